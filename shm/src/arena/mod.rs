//! Shared memory from which blocks are allocated.
//!
//! ```text
//!  file    0        64 KiB                                                             capacity
//!          ├ header ┼── block ──┼┄ hole ┄┼─────── block ───────┼┄┄┄┄┄┄┄┄ hole ┄┄┄┄┄┄┄┄┄┄┄┤
//!                   └ chunk aligned      └ huge: 2 MiB aligned
//!  memory  4 KiB      its pages  none      its pages             none
//! ```
//!
//! * The file is sparse and mapped whole by every process that uses it. Its capacity is address
//!   space, not memory; the size of `/dev/shm` limits the memory.
//! * A [`Block`] has memory for all its pages from the start (`fallocate`), so that a full file
//!   system is an error here and not SIGBUS at some later store. When its last handle and view are
//!   gone, a hole is punched, and the range is free again.
//! * A *sparse* block ([`Arena::alloc_sparse`]) has address space only; [`Block::allocate`] gives parts
//!   of it memory. Who touches a part before that may be killed (SIGBUS).
//! * Processes of the host attach an arena by its name, or, without one, by the descriptor that its
//!   creator has open ([`Arena::attach_open`]). They see blocks ([`Arena::block_at`]) and free none.
//! * Extents are whole chunks of address space, memory is whole pages: no two blocks share a page,
//!   and free space cannot crumble into pieces that no block fits in.
//!
//! Invariants: only the process that created the arena allocates; a range is free exactly when it
//! has no memory and no handle; the file never shrinks.

mod extents;
mod header;
mod segment;

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::sys::SharedFile;
use crate::units::{CHUNK_BYTES, HUGE_BYTES, PAGE_BYTES, PageBytes};
use crate::view::ByteView;
use extents::Extents;
use header::Header;
use segment::Segment;

/// Bytes at the start of the file that hold no block.
const FIRST_BLOCK: u64 = CHUNK_BYTES as u64;

/// Address space of an arena per byte of memory it may use: a block of one page takes a chunk of
/// it.
const SPARSENESS: u64 = 4;

/// Private arenas of this process, by their descriptor.
static OWN: Mutex<Vec<(i32, Weak<Shared>)>> = Mutex::new(Vec::new());

/// How an arena is created.
#[derive(Debug, Clone, Copy)]
pub struct ArenaOptions {
    /// Bytes of address range, rounded up to whole chunks; memory is taken as blocks are allocated.
    pub capacity: u64,
    /// The NUMA node on which memory is placed while that node has any.
    pub numa_node: Option<u32>,
}

/// Where the memory of an arena is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On this NUMA node while it has memory.
    Bound(u32),
    /// Where the kernel likes: on the node of the thread that allocates.
    Unbound(WhyUnbound),
}

/// Why an arena is not bound to a NUMA node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyUnbound {
    /// No node was asked for.
    NotAsked,
    /// The kernel refused: a container without the right (EPERM), or a kernel without NUMA
    /// (ENOSYS).
    Refused(Errno),
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound(node) => write!(f, "NUMA node {node}"),
            Self::Unbound(WhyUnbound::NotAsked) => f.write_str("no NUMA node asked for"),
            Self::Unbound(WhyUnbound::Refused(errno)) => write!(f, "unbound (mbind: {errno})"),
        }
    }
}

/// Where a block begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// At a chunk, 64 KiB.
    Chunk,
    /// At a huge page, 2 MiB, with huge pages advised.
    Huge,
}

impl Alignment {
    const fn bytes(self) -> u64 {
        match self {
            Self::Chunk => CHUNK_BYTES as u64,
            Self::Huge => HUGE_BYTES as u64,
        }
    }
}

/// How much of an arena is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArenaStats {
    /// Bytes of memory in live blocks.
    pub allocated: u64,
    /// The most bytes that were in live blocks at any time.
    pub high_water: u64,
}

/// A segment of shared memory. See the module head.
///
/// Dropping it removes its name, if it still has one; the memory stays until blocks and views are
/// gone.
#[derive(Debug)]
pub struct Arena {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    segment: Segment,
    mapping: Arc<SharedFile>,
    placement: Placement,
    /// `None` where the arena was attached.
    space: Option<Mutex<Space>>,
}

#[derive(Debug)]
struct Space {
    extents: Extents,
    stats: ArenaStats,
}

impl Arena {
    /// A capacity that memory runs out before: several times the size of `/dev/shm`.
    ///
    /// # Errors
    /// [`Error::Sys`] when there is no `/dev/shm`.
    pub fn default_capacity() -> Result<u64> {
        use nix::sys::resource::{Resource, getrlimit};
        let fs = nix::sys::statvfs::statvfs(segment::DIRECTORY)
            .map_err(Error::sys("statvfs", segment::DIRECTORY))?;
        let memory = match fs.blocks() * fs.fragment_size() {
            // A tmpfs mounted without a limit says 0; it may use what the machine has.
            0 => 1 << 40,
            bytes => bytes,
        };
        let (address_space, _) =
            getrlimit(Resource::RLIMIT_AS).map_err(Error::sys("getrlimit", "RLIMIT_AS"))?;
        let capacity = memory.saturating_mul(SPARSENESS).min(address_space / 4);
        Ok(capacity.max(2 * FIRST_BLOCK).next_multiple_of(CHUNK_BYTES as u64))
    }

    /// Creates an arena that other processes find by `name`, which should contain job and process.
    ///
    /// # Errors
    /// [`Error::Sys`] with EEXIST when the name is taken; [`Error::BadName`], [`Error::BadSize`],
    /// [`Error::NoSpace`]; [`Error::Sys`] when the kernel refuses otherwise. No name is left then.
    pub fn create(name: &str, options: ArenaOptions) -> Result<Self> {
        Self::build(Segment::create(name)?, options)
    }

    /// Creates an arena that has no name, for this process alone and those it hands the descriptor
    /// to.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_private(options: ArenaOptions) -> Result<Self> {
        let arena = Self::build(Segment::create_private()?, options)?;
        let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
        own.retain(|(_, shared)| shared.strong_count() > 0);
        own.push((arena.fd().as_raw_fd(), Arc::downgrade(&arena.shared)));
        drop(own);
        Ok(arena)
    }

    fn build(segment: Segment, options: ArenaOptions) -> Result<Self> {
        let asked = options.capacity;
        let bad = || Error::BadSize { what: "an arena", bytes: asked };
        let capacity = asked.checked_next_multiple_of(CHUNK_BYTES as u64).ok_or_else(bad)?;
        if capacity <= FIRST_BLOCK {
            return Err(bad());
        }
        segment.set_len(capacity)?;
        let len = usize::try_from(capacity).map_err(|_| bad())?;
        let mapping = Arc::new(SharedFile::map(segment.fd(), len)?);
        let placement = place(&mapping, options.numa_node)?;
        segment.allocate(0, PAGE_BYTES as u64)?;
        Header::new(capacity).write(&ByteView::of_file(&mapping))?;
        let extents = Extents::new(FIRST_BLOCK, capacity);
        let space = Some(Mutex::new(Space { extents, stats: ArenaStats::default() }));
        Ok(Self { shared: Arc::new(Shared { segment, mapping, placement, space }) })
    }

    /// Attaches the arena that another process of this host created as `name`.
    ///
    /// # Errors
    /// [`Error::Sys`] with ENOENT when there is none; [`Error::Foreign`] when it is of
    /// another user or version or not finished; [`Error::BadName`].
    pub fn attach(name: &str) -> Result<Self> {
        Self::of_segment(Segment::open(name)?)
    }

    fn of_segment((segment, size): (Segment, u64)) -> Result<Self> {
        let name = segment.name().to_owned();
        if size < FIRST_BLOCK {
            let reason = format!("it has {size} bytes, fewer than any arena");
            return Err(Error::Foreign { what: format!("arena {name:?}"), reason });
        }
        let len =
            usize::try_from(size).map_err(|_| Error::BadSize { what: "an arena", bytes: size })?;
        let mapping = Arc::new(SharedFile::map(segment.fd(), len)?);
        Header::verify(&ByteView::of_file(&mapping), &name, size)?;
        let placement = Placement::Unbound(WhyUnbound::NotAsked);
        Ok(Self { shared: Arc::new(Shared { segment, mapping, placement, space: None }) })
    }

    /// Attaches the arena that process `pid` of this user has open as descriptor `fd`, which may have no
    /// name. A private arena of this very process is not mapped a second time.
    ///
    /// # Errors
    /// [`Error::Sys`] when the process is gone or not ours, [`Error::Foreign`] when the descriptor is
    /// no arena of that process.
    pub fn attach_open(pid: u32, fd: i32) -> Result<Self> {
        if pid == std::process::id() {
            let own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
            let found = own.iter().filter(|(number, _)| *number == fd);
            if let Some(shared) = found.filter_map(|(_, shared)| shared.upgrade()).next() {
                return Ok(Self { shared });
            }
        }
        let arena = Self::of_segment(Segment::open_of(pid, fd)?)?;
        let creator = Header::creator(&ByteView::of_file(&arena.shared.mapping))?;
        if creator == pid {
            return Ok(arena);
        }
        let reason = format!("process {creator} made it, not {pid}");
        Err(Error::Foreign { what: format!("arena {:?}", arena.name()), reason })
    }

    /// Removes the name: nobody else can attach, and nothing is left when the last process ends.
    /// Does nothing where there is no name or another process has to remove it.
    ///
    /// # Errors
    /// [`Error::Sys`] when somebody else removed it.
    pub fn unlink(&mut self) -> Result<()> {
        self.shared.segment.unlink()
    }

    /// Allocates `len` bytes, rounded up to whole pages (at least one), zero filled.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when memory runs out, [`Error::ArenaFull`] when address range runs out,
    /// [`Error::NotCreator`] where the arena was attached, [`Error::BadSize`].
    pub fn alloc(&self, len: u64, alignment: Alignment) -> Result<Block> {
        let bad = || Error::BadSize { what: "a block", bytes: len };
        let pages =
            usize::try_from(len.max(1)).ok().and_then(PageBytes::round_up).ok_or_else(bad)?;
        let bytes = pages.get() as u64;
        let extent = bytes.checked_next_multiple_of(CHUNK_BYTES as u64).ok_or_else(bad)?;
        let offset = self.shared.take(extent, alignment)?;
        // From here on, dropping the extent gives it back.
        let extent = Extent { arena: self.shared.clone(), offset, len: extent };
        let at = PageBytes::new(offset as usize).expect("extents begin at chunks");
        if alignment == Alignment::Huge {
            // Before there is memory, so that it can be huge from the start.
            self.shared.mapping.advise_huge(at, pages)?;
            self.shared.segment.allocate_huge(offset, bytes)?;
        } else {
            self.shared.segment.allocate(offset, bytes)?;
        }
        self.shared.count(bytes);
        let counted = bytes;
        let bytes = ByteView::of_file(&self.shared.mapping).sub(at.get(), pages.get())?;
        Ok(Block { memory: Arc::new(Memory { bytes, extent, counted, ours: true, keep: None }) })
    }

    /// Takes address space for `len` bytes, rounded up to whole pages, without memory.
    ///
    /// # Errors
    /// [`Error::ArenaFull`], [`Error::NotCreator`] where the arena was attached, [`Error::BadSize`].
    pub fn alloc_sparse(&self, len: u64) -> Result<Block> {
        let bad = || Error::BadSize { what: "a block", bytes: len };
        let pages =
            usize::try_from(len.max(1)).ok().and_then(PageBytes::round_up).ok_or_else(bad)?;
        let extent = (pages.get() as u64).checked_next_multiple_of(CHUNK_BYTES as u64);
        let extent = extent.ok_or_else(bad)?;
        let large = extent >= HUGE_BYTES as u64;
        let alignment = if large { Alignment::Huge } else { Alignment::Chunk };
        let offset = self.shared.take(extent, alignment)?;
        let extent = Extent { arena: self.shared.clone(), offset, len: extent };
        let bytes = ByteView::of_file(&self.shared.mapping).sub(offset as usize, pages.get())?;
        Ok(Block { memory: Arc::new(Memory { bytes, extent, counted: 0, ours: true, keep: None }) })
    }

    /// A block that the arena's creator has at `offset`, of `len` bytes; dropping it frees nothing.
    /// It holds `keep`, by which the creator may know that the block is still used.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], also for a length that is no whole number of pages.
    pub fn block_at(
        &self,
        offset: u64,
        len: u64,
        keep: Arc<dyn Any + Send + Sync>,
    ) -> Result<Block> {
        let bytes = self.at(offset, len.next_multiple_of(PAGE_BYTES as u64))?;
        let extent = Extent { arena: self.shared.clone(), offset, len: 0 };
        let memory = Memory { bytes, extent, counted: 0, ours: false, keep: Some(keep) };
        Ok(Block { memory: Arc::new(memory) })
    }

    /// Bytes of memory that the arena has now, whoever gave it to which block.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.shared.segment.memory()
    }

    /// The `len` bytes at `offset` of the file, as in [`Block::file_offset`] of the creator.
    ///
    /// They must lie in a live block of the creator's: elsewhere a store may find no memory
    /// (SIGBUS).
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn at(&self, offset: u64, len: u64) -> Result<ByteView> {
        let size = self.capacity();
        let outside = || Error::OutOfRange { what: "arena", offset, len, size };
        let at = usize::try_from(offset).map_err(|_| outside())?;
        let bytes = usize::try_from(len).map_err(|_| outside())?;
        let view = ByteView::of_file(&self.shared.mapping).sub(at, bytes).map_err(|_| outside())?;
        if offset < FIRST_BLOCK {
            return Err(outside());
        }
        Ok(view)
    }

    /// The file, for mapping parts of it elsewhere.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.shared.segment.fd()
    }

    /// The name under which it was created; of a private arena, the one for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shared.segment.name()
    }

    /// Bytes of address range, most of it without memory.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.shared.mapping.len() as u64
    }

    /// Where memory is placed, as far as this process asked for it.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.shared.placement
    }

    /// Memory in use by blocks; zeros where the arena was attached.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        self.shared.space().map_or(ArenaStats::default(), |space| space.stats)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // Blocks may live on; the name must not. A name that somebody else removed is no loss.
        let _gone = self.shared.segment.unlink();
    }
}

fn place(mapping: &SharedFile, node: Option<u32>) -> Result<Placement> {
    let Some(node) = node else { return Ok(Placement::Unbound(WhyUnbound::NotAsked)) };
    match mapping.prefer_node(node) {
        Ok(()) => Ok(Placement::Bound(node)),
        Err(errno @ (Errno::EPERM | Errno::ENOSYS)) => {
            Ok(Placement::Unbound(WhyUnbound::Refused(errno)))
        }
        Err(errno) => Err(Error::sys("mbind", format!("NUMA node {node}"))(errno)),
    }
}

impl Shared {
    fn space(&self) -> Option<MutexGuard<'_, Space>> {
        // No code panics while it holds the lock, except on an inconsistency that a later caller
        // would meet again.
        self.space.as_ref().map(|space| space.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, len: u64, alignment: Alignment) -> Result<u64> {
        let not_creator = || Error::NotCreator { name: self.segment.name().into() };
        let mut space = self.space().ok_or_else(not_creator)?;
        space.extents.take(len, alignment.bytes()).ok_or_else(|| Error::ArenaFull {
            need: len,
            longest: space.extents.longest(),
            capacity: self.mapping.len() as u64,
        })
    }

    fn count(&self, bytes: u64) {
        if let Some(mut space) = self.space() {
            space.stats.allocated += bytes;
            space.stats.high_water = space.stats.high_water.max(space.stats.allocated);
        }
    }
}

/// A range of address space in the arena; gives it back when dropped.
#[derive(Debug)]
struct Extent {
    arena: Arc<Shared>,
    offset: u64,
    len: u64,
}

impl Drop for Extent {
    fn drop(&mut self) {
        if let Some(mut space) = self.arena.space() {
            space.extents.give(self.offset, self.len);
        }
    }
}

/// An extent with memory. What `kept` views hold on to.
struct Memory {
    bytes: ByteView,
    extent: Extent,
    /// Bytes of it in the arena's statistics.
    counted: u64,
    /// Whether this handle frees it: false for another process's block.
    ours: bool,
    /// Held as long as the block is used.
    #[expect(dead_code, reason = "it is there to be dropped")]
    keep: Option<Arc<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:#x}", self.bytes, self.extent.offset)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        let arena = &self.extent.arena;
        let len = self.bytes.len() as u64;
        if arena.segment.punch(self.extent.offset, len).is_err() {
            // Old bytes would appear in the next block: rather lose the range, with its memory.
            self.extent.len = 0;
            return;
        }
        if let Some(mut space) = arena.space() {
            space.stats.allocated -= self.counted;
        }
    }
}

/// A piece of an arena with memory of its own. Clones are handles to the same piece; it is freed
/// when the last handle and the last view are gone.
#[derive(Debug, Clone)]
pub struct Block {
    memory: Arc<Memory>,
}

impl Block {
    /// A view of all bytes, which keeps the block.
    #[must_use]
    pub fn view(&self) -> ByteView {
        let keep: Arc<dyn Any + Send + Sync> = self.memory.clone();
        self.memory.bytes.clone().keeping(keep)
    }

    /// Gives the pages of `part` of a sparse block memory, zero filled where they had none.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::NoSpace`]. What had memory before keeps it.
    pub fn allocate(&self, part: Range<u64>) -> Result<()> {
        let (offset, len) = self.pages_of(part)?;
        self.memory.extent.arena.segment.give_memory(offset, len)
    }

    /// The same, in huge pages as far as possible: for what is used long and often.
    ///
    /// # Errors
    /// As above.
    pub fn allocate_huge(&self, part: Range<u64>) -> Result<()> {
        let (offset, len) = self.pages_of(part)?;
        self.memory.extent.arena.segment.give_huge_memory(offset, len)
    }

    /// Where in the file the pages that hold these bytes lie.
    fn pages_of(&self, part: Range<u64>) -> Result<(u64, u64)> {
        let page = PAGE_BYTES as u64;
        let (start, end) = (part.start / page * page, part.end.next_multiple_of(page));
        let size = self.len();
        if part.start > part.end || end > size {
            let (offset, len) = (part.start, part.end.saturating_sub(part.start));
            return Err(Error::OutOfRange { what: "block", offset, len, size });
        }
        Ok((self.memory.extent.offset + start, end - start))
    }

    /// Offset of the first byte in the file [`fd`](Self::fd).
    #[must_use]
    pub fn file_offset(&self) -> u64 {
        self.memory.extent.offset
    }

    /// Number of bytes, a whole number of pages.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.memory.bytes.len() as u64
    }

    /// Never true: a block has at least one page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.bytes.is_empty()
    }

    /// The arena's file, for mapping the block elsewhere. Such a mapping does not keep the block.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.memory.extent.arena.segment.fd()
    }
}
