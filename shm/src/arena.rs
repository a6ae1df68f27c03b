//! The arena: a rank's segment of POSIX shared memory, in which state is allocated.
//!
//! ```text
//!  /dev/shm/<name> ── unlinked as soon as all are attached ──▶ only descriptors and mappings are left
//!  │ header │ free … │ block (fallocated) │ free … │ block │ …            sparse up to `capacity`
//! ```
//!
//! Invariants: the owner unlinks (at the latest on drop), the attached only unmap; a block's pages are
//! allocated before anybody can touch them, so a full `/dev/shm` is an error and never a SIGBUS; a
//! block's pages belong to it alone and are zero when it is handed out; they go back to the system
//! when the last handle of the block is dropped.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nix::sys::mman::{MmapAdvise, shm_open, shm_unlink};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::ftruncate;

use crate::alloc::FreeList;
use crate::error::{Error, Result, sys};
use crate::sys::Mapping;
use crate::units::{CHUNK_BYTES, HUGE_BYTES, PAGE_BYTES, PageBytes};
use crate::view::ByteView;

/// First bytes of every arena.
const MAGIC: u64 = u64::from_le_bytes(*b"mobulaAR");
/// Layout of what follows; raised whenever it changes.
const LAYOUT: u64 = 1;
/// Offsets of the header's words.
const AT_MAGIC: usize = 0;
const AT_LAYOUT: usize = 8;
const AT_CAPACITY: usize = 16;
/// Least and most address space of an arena.
const CAPACITY: std::ops::RangeInclusive<u64> = (64 << 20)..=(1 << 42);

/// How to make an arena.
#[derive(Debug, Clone, Copy)]
pub struct ArenaOptions {
    /// Address space in bytes; memory is taken only as blocks are allocated.
    pub capacity: u64,
    /// NUMA node to prefer; `None` for where memory is first touched.
    pub numa_node: Option<u32>,
}

/// Where a block may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// At a chunk, as windows need.
    Chunk,
    /// At a huge page, with advice to use them.
    Huge,
}

/// Whether the memory policy was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// No node was asked for.
    FirstTouch,
    /// Memory comes from this node while it has any.
    Node(u32),
    /// The system refused, with this errno.
    Refused(u32, Errno),
}

/// Bytes of an arena in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArenaStats {
    /// Bytes of all blocks.
    pub allocated: u64,
    /// Most bytes of all blocks at once.
    pub high_water: u64,
}

/// See the module head.
#[derive(Debug)]
pub struct Arena(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The name while it is linked and ours to unlink.
    name: Mutex<Option<String>>,
    fd: OwnedFd,
    map: Arc<Mapping>,
    capacity: u64,
    placement: Placement,
    /// `None` in attached arenas, which cannot allocate.
    space: Option<Mutex<Space>>,
}

#[derive(Debug)]
struct Space {
    free: FreeList,
    stats: ArenaStats,
}

impl Arena {
    /// A capacity that the shared-memory file system can never exceed.
    ///
    /// # Errors
    /// [`Error::Sys`] when `/dev/shm` cannot be asked.
    pub fn default_capacity() -> Result<u64> {
        let stat = nix::sys::statvfs::statvfs("/dev/shm").map_err(sys("statvfs", "/dev/shm"))?;
        let bytes = stat.blocks().saturating_mul(stat.fragment_size());
        // Alignment leaves holes in the address space; they cost nothing else.
        Ok(bytes.saturating_mul(4).clamp(*CAPACITY.start(), *CAPACITY.end()))
    }

    /// Creates an arena under a name that others can attach to.
    ///
    /// # Errors
    /// [`Error::Sys`], `EEXIST` when the name is taken, or [`Error::NoSpace`] for the header.
    pub fn create(name: &str, options: ArenaOptions) -> Result<Self> {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let fd = shm_open(name, flags, mode).map_err(sys("shm_open", name))?;
        let made = Self::init(name, fd, options);
        if made.is_err() {
            // Nobody else knows the name yet; a failure here changes nothing.
            let _ = shm_unlink(name);
        }
        made
    }

    fn init(name: &str, fd: OwnedFd, options: ArenaOptions) -> Result<Self> {
        let capacity = options.capacity.clamp(*CAPACITY.start(), *CAPACITY.end());
        let capacity = capacity.next_multiple_of(HUGE_BYTES as u64);
        let size = i64::try_from(capacity).unwrap_or(i64::MAX);
        ftruncate(&fd, size).map_err(sys("ftruncate", name))?;
        let map = Arc::new(Mapping::of_file(fd.as_fd(), page_bytes(capacity), true)?);
        let placement = match options.numa_node {
            None => Placement::FirstTouch,
            Some(node) => match map.prefer_node(node) {
                Ok(()) => Placement::Node(node),
                Err(errno) => Placement::Refused(node, errno),
            },
        };
        let space = Space {
            free: FreeList::new(CHUNK_BYTES as u64..capacity),
            stats: ArenaStats::default(),
        };
        let name = Mutex::new(Some(name.to_owned()));
        let inner = Inner { name, fd, map, capacity, placement, space: Some(Mutex::new(space)) };
        let arena = Self(Arc::new(inner));
        arena.0.commit(0, PAGE_BYTES as u64)?;
        let header = arena.at(0, PAGE_BYTES as u64)?;
        for (at, word) in [(AT_LAYOUT, LAYOUT), (AT_CAPACITY, capacity), (AT_MAGIC, MAGIC)] {
            // The magic comes last: whoever sees it sees the rest.
            header.atomic_u64(at)?.store(word, std::sync::atomic::Ordering::Release);
        }
        Ok(arena)
    }

    /// Creates an arena that nobody else can ever attach to, and that leaves no name behind even if
    /// this process is killed a moment later.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_private(options: ArenaOptions) -> Result<Self> {
        static SERIAL: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let arena = Self::create(&format!("/mobula-{}-{serial}", std::process::id()), options)?;
        arena.unlink()?;
        Ok(arena)
    }

    /// Attaches to another process's arena, which must still be linked.
    ///
    /// # Errors
    /// [`Error::Sys`], or [`Error::Foreign`] when the segment is something else.
    pub fn attach(name: &str) -> Result<Self> {
        let fd = shm_open(name, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
        let fd = fd.map_err(sys("shm_open", name))?;
        let size = fstat(&fd).map_err(sys("fstat", name))?.st_size.unsigned_abs();
        let foreign = |why: String| Error::Foreign { name: name.to_owned(), why };
        if size < *CAPACITY.start() || !size.is_multiple_of(HUGE_BYTES as u64) {
            return Err(foreign(format!("it has {size} bytes")));
        }
        let map = Arc::new(Mapping::of_file(fd.as_fd(), page_bytes(size), true)?);
        let header = ByteView::of_mapping(map.clone());
        for (at, want, what) in
            [(AT_MAGIC, MAGIC, "magic"), (AT_LAYOUT, LAYOUT, "layout"), (AT_CAPACITY, size, "capacity")]
        {
            let found = header.atomic_u64(at)?.load(std::sync::atomic::Ordering::Acquire);
            if found != want {
                return Err(foreign(format!("{what} is {found:#x}, not {want:#x}")));
            }
        }
        let placement = Placement::FirstTouch;
        let name = Mutex::new(None);
        Ok(Self(Arc::new(Inner { name, fd, map, capacity: size, placement, space: None })))
    }

    /// Removes the name, once everybody who should is attached; the memory stays while it is used.
    ///
    /// # Errors
    /// [`Error::Sys`].
    pub fn unlink(&self) -> Result<()> {
        let name = self.0.name.lock().unwrap_or_else(PoisonError::into_inner).take();
        name.map_or(Ok(()), |name| shm_unlink(name.as_str()).map_err(sys("shm_unlink", name)))
    }

    /// Allocates `len` zero bytes.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when `/dev/shm` is full, [`Error::ArenaFull`] when the address space is, or
    /// when this arena is an attached one.
    pub fn alloc(&self, len: u64, align: Alignment) -> Result<Block> {
        let inner = &self.0;
        let full = || Error::ArenaFull { need: len, capacity: inner.capacity };
        let pages = len.checked_next_multiple_of(PAGE_BYTES as u64).filter(|&n| n > 0);
        let pages = pages.ok_or_else(full)?;
        let space = inner.space.as_ref().ok_or_else(full)?;
        let step = match align {
            Alignment::Chunk => CHUNK_BYTES as u64,
            Alignment::Huge => HUGE_BYTES as u64,
        };
        let lock = || space.lock().unwrap_or_else(PoisonError::into_inner);
        let start = lock().free.take(pages, step).ok_or_else(full)?;
        if let Err(err) = inner.commit(start, pages) {
            inner.release(start, pages);
            return Err(err);
        }
        if align == Alignment::Huge {
            // Advice: where the kernel has no huge pages for shared memory, small ones do.
            let (at, len) = (page_bytes(start), page_bytes(pages));
            let _ = inner.map.advise(at, len, MmapAdvise::MADV_HUGEPAGE);
        }
        let stats = &mut lock().stats;
        stats.allocated += pages;
        stats.high_water = stats.high_water.max(stats.allocated);
        Ok(Block(Arc::new(Extent { arena: inner.clone(), start, len: pages })))
    }

    /// Bytes at an offset that another process told us.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn at(&self, offset: u64, len: u64) -> Result<ByteView> {
        let as_usize = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        ByteView::of_mapping(self.0.map.clone()).sub(as_usize(offset), as_usize(len))
    }

    /// The segment itself, for mapping it elsewhere.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }

    /// Where its memory comes from.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.0.placement
    }

    /// How much is in use.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        let space = self.0.space.as_ref();
        space.map_or_else(ArenaStats::default, |s| {
            s.lock().unwrap_or_else(PoisonError::into_inner).stats
        })
    }
}

impl Inner {
    /// Takes memory for a range, or says how much is missing.
    fn commit(&self, start: u64, len: u64) -> Result<()> {
        let (at, n) = (start.cast_signed(), len.cast_signed());
        loop {
            return match fallocate(&self.fd, FallocateFlags::empty(), at, n) {
                Ok(()) => Ok(()),
                Err(Errno::EINTR) => continue,
                Err(Errno::ENOSPC) => {
                    let free = fstatvfs(&self.fd);
                    let free = free.map_or(0, |s| s.blocks_available() * s.fragment_size());
                    Err(Error::NoSpace { need: len, free })
                }
                Err(errno) => Err(sys("fallocate", format!("{len} bytes of the arena"))(errno)),
            };
        }
    }

    /// Gives memory and address space of a range back.
    fn release(&self, start: u64, len: u64) {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let punched = fallocate(&self.fd, flags, start.cast_signed(), len.cast_signed());
        // Pages that could not be given back are not zero: they must not be handed out again.
        if let (Ok(()), Some(space)) = (punched, &self.space) {
            space.lock().unwrap_or_else(PoisonError::into_inner).free.give(start..start + len);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(name) = self.name.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // Nobody is left to tell; a name that is gone already is what we want.
            let _ = shm_unlink(name.as_str());
        }
    }
}

/// A handle of an allocated range; the last one dropped frees it.
#[derive(Debug, Clone)]
pub struct Block(Arc<Extent>);

#[derive(Debug)]
struct Extent {
    arena: Arc<Inner>,
    start: u64,
    len: u64,
}

impl Block {
    /// The bytes, in whole pages. The view keeps the block.
    #[must_use]
    pub fn view(&self) -> ByteView {
        let whole = ByteView::of_mapping(self.0.arena.map.clone());
        let (start, len) = (page_bytes(self.0.start).get(), page_bytes(self.0.len).get());
        whole.sub(start, len).expect("a block lies in its arena").keeping(self.0.clone())
    }

    /// Where it starts in the segment.
    #[must_use]
    pub fn file_offset(&self) -> u64 {
        self.0.start
    }

    /// The segment.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.arena.fd.as_fd()
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        self.arena.release(self.start, self.len);
        if let Some(space) = &self.arena.space {
            space.lock().unwrap_or_else(PoisonError::into_inner).stats.allocated -= self.len;
        }
    }
}

/// Arena offsets and lengths are whole pages and fit the address space they are mapped in.
fn page_bytes(bytes: u64) -> PageBytes {
    let bytes = usize::try_from(bytes).ok().and_then(PageBytes::new);
    bytes.expect("arena ranges are whole pages of mapped memory")
}
