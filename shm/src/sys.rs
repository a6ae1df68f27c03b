//! System calls that make, change and remove mappings. Nothing else in the crate does.
//!
//! ```text
//!  Reserved      ├┄ no access ┄┼── zero ──┼── file, private ──┼── file, shared ──┼┄ no access ┄┤
//!                base          └──────── replaced in place, MAP_FIXED ───────────┘    base + len
//!  SharedFile    ├──────────────── a whole file, read and write, never replaced ───────────────┤
//!  ReadOnlyFile  ├──────────────── a whole file, read only, never replaced ────────────────────┤
//! ```
//!
//! * [`Mapping`] owns an address range and unmaps it when dropped; the three others differ in what
//!   may happen to it in between.
//! * Only a [`Reserved`] range is ever mapped over, and only within itself.
//!
//! Invariants: `base` and `len` come from one successful `mmap` and never change; every fixed
//! mapping lies within its own reservation; no reference to mapped bytes is made here.
//!
//! JUSTIFICATION for `unsafe`: fixed mappings, `PAGEMAP_SCAN` and `mbind` have no safe wrapper,
//! since the kernel would replace memory that Rust believes its own. Confining them to ranges that
//! this file reserved, and that nobody holds references into, is what makes the functions below
//! safe.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags};

use crate::error::{Error, Result};
use crate::units::{HUGE_BYTES, PageBytes, fits};

const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

/// An address range that is ours until dropped.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    len: NonZeroUsize,
}

// SAFETY: the range is plain memory of the process, which any thread may map, use and unmap.
unsafe impl Send for Mapping {}
// SAFETY: `base` and `len` never change, and the kernel serialises calls that change the mapping.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(
        len: usize,
        prot: ProtFlags,
        flags: MapFlags,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<Self> {
        let what = || format!("{len} bytes (limits: ulimit -v, vm.max_map_count, overcommit)");
        let len = NonZeroUsize::new(len).ok_or(Error::BadSize { what: "a mapping", bytes: 0 })?;
        debug_assert!(!flags.contains(MapFlags::MAP_FIXED));
        // SAFETY: no fixed address, so the kernel picks a range that nothing else uses.
        let mapped = unsafe { mmap(None, len, prot, flags, file.map(|file| (file, 0))) };
        Ok(Self { base: mapped.map_err(|errno| Error::sys("mmap", what())(errno))?, len })
    }

    /// Keeps `len` bytes from the first multiple of `align` on, which is a multiple of the page size.
    fn trim(&mut self, align: usize, len: usize) {
        let (base, size) = (self.base.addr().get(), self.len.get());
        let head = base.next_multiple_of(align) - base;
        let Some(kept) = NonZeroUsize::new(len).filter(|_| head + len <= size) else { return };
        // SAFETY: `head + len` was just checked to lie within the mapping.
        let (start, end) = unsafe { (self.base.add(head), self.base.add(head + len)) };
        for (at, bytes) in [(self.base, head), (end, size - head - len)] {
            if bytes > 0 {
                // SAFETY: this part of the mapping is given up here, and nobody has seen it yet.
                let unmapped = unsafe { nix::sys::mman::munmap(at.cast(), bytes) };
                debug_assert_eq!(unmapped, Ok(()), "unmapping our own range");
            }
        }
        (self.base, self.len) = (start, kept);
    }

    /// Start and length of a range, which is checked to be within the mapping; `None` if empty.
    fn span(&self, at: PageBytes, len: PageBytes) -> Result<Option<(NonNull<u8>, NonZeroUsize)>> {
        let size = self.len.get();
        if !fits(at.get(), len.get(), size) {
            return Err(Error::range("reservation", at.get(), len.get(), size));
        }
        let Some(len) = NonZeroUsize::new(len.get()) else { return Ok(None) };
        // SAFETY: `at` was just checked to lie within the mapping.
        let start = unsafe { self.base.add(at.get()) };
        Ok(Some((start, len)))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping's own, from one `mmap`; whoever kept a raw pointer into
        // it promised to keep the mapping too.
        let unmapped = unsafe { nix::sys::mman::munmap(self.base.cast(), self.len.get()) };
        debug_assert_eq!(unmapped, Ok(()), "unmapping our own range");
    }
}

/// `mmap` with numbers that fit its types.
///
/// # Safety
/// With an address, `flags` contain `MAP_FIXED` and the range lies within a [`Reserved`] one.
unsafe fn mmap(
    at: Option<NonNull<u8>>,
    len: NonZeroUsize,
    prot: ProtFlags,
    flags: MapFlags,
    file: Option<(BorrowedFd<'_>, u64)>,
) -> std::result::Result<NonNull<u8>, Errno> {
    let addr = at.map(|at| at.addr());
    let mapped = match file {
        Some((file, offset)) => {
            let offset = i64::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
            // SAFETY: the caller's promise; the descriptor is open for as long as it is borrowed.
            unsafe { nix::sys::mman::mmap(addr, len, prot, flags, file, offset) }
        }
        // SAFETY: the caller's promise.
        None => unsafe { nix::sys::mman::mmap_anonymous(addr, len, prot, flags) },
    };
    mapped.map(NonNull::cast)
}

/// What a part of a [`Reserved`] range is replaced by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    /// No access; costs no memory.
    Hidden,
    /// Fresh private zero pages.
    Zero,
    /// Copy-on-write pages of a file from an offset on.
    Private(BorrowedFd<'a>, u64),
    /// The pages of a file from an offset on, shared with all that map it.
    Shared(BorrowedFd<'a>, u64),
}

/// Address space without memory, parts of which get and lose content.
#[derive(Debug)]
pub(crate) struct Reserved(Mapping);

impl Reserved {
    pub(crate) fn new(len: PageBytes) -> Result<Self> {
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS | MapFlags::MAP_NORESERVE;
        // A large one begins at a huge page, so that what is mapped in it can be of huge pages.
        let slack = if len.get() >= HUGE_BYTES { HUGE_BYTES } else { 0 };
        let mut mapping = Mapping::new(len.get() + slack, ProtFlags::PROT_NONE, flags, None)?;
        if slack > 0 {
            mapping.trim(HUGE_BYTES, len.get());
        }
        let reserved = Self(mapping);
        reserved.refuse_huge(PageBytes::ZERO, len);
        Ok(reserved)
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.0.base
    }

    /// Keeps the kernel from making huge pages of private memory behind our back: that would bring
    /// pages in without a fault, and whoever counts faults would not notice.
    fn refuse_huge(&self, at: PageBytes, len: PageBytes) {
        // A kernel without huge pages refuses the advice; it has nothing to refrain from.
        let _ = self.advise(at, len, MmapAdvise::MADV_NOHUGEPAGE);
    }

    /// Replaces a part, whatever was there.
    pub(crate) fn replace(&self, at: PageBytes, len: PageBytes, with: Content<'_>) -> Result<()> {
        let Some((start, bytes)) = self.0.span(at, len)? else { return Ok(()) };
        let own = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        let (prot, flags, file) = match with {
            Content::Hidden => (ProtFlags::PROT_NONE, own, None),
            Content::Zero => (READ_WRITE, own, None),
            Content::Private(file, offset) => (READ_WRITE, own, Some((file, offset))),
            Content::Shared(file, offset) => {
                (READ_WRITE, MapFlags::MAP_SHARED, Some((file, offset)))
            }
        };
        // SAFETY: `span` checked that the range lies within this reservation.
        let mapped = unsafe { mmap(Some(start), bytes, prot, flags | MapFlags::MAP_FIXED, file) };
        let what = || format!("{len} at +{:#x} (limit: vm.max_map_count)", at.get());
        mapped.map(drop).map_err(|errno| Error::sys("mmap", what())(errno))?;
        if !matches!(with, Content::Shared(..)) {
            self.refuse_huge(at, len);
        }
        Ok(())
    }

    /// Makes a part readable and writable and keeps its content.
    pub(crate) fn make_accessible(&self, at: PageBytes, len: PageBytes) -> Result<()> {
        let Some((start, bytes)) = self.0.span(at, len)? else { return Ok(()) };
        // SAFETY: `span` checked that the range lies within this reservation.
        let done = unsafe { nix::sys::mman::mprotect(start.cast(), bytes.get(), READ_WRITE) };
        let what = || format!("{len} at +{:#x} (limit: vm.max_map_count)", at.get());
        done.map_err(|errno| Error::sys("mprotect", what())(errno))
    }

    /// Drops the private pages of a part: file content or zeros come back at the next touch.
    pub(crate) fn discard(&self, at: PageBytes, len: PageBytes) -> Result<()> {
        self.advise(at, len, MmapAdvise::MADV_DONTNEED)
    }

    /// Asks for huge pages in a part.
    pub(crate) fn advise_huge(&self, at: PageBytes, len: PageBytes) -> Result<()> {
        self.advise(at, len, MmapAdvise::MADV_HUGEPAGE)
    }

    /// Makes huge pages of the pages of a part, now, whatever the system's settings are.
    fn collapse(&self, at: PageBytes, len: PageBytes) -> Result<()> {
        let Some((start, bytes)) = self.0.span(at, len)? else { return Ok(()) };
        // SAFETY: `span` checked that the range lies within this reservation; no content changes.
        let done =
            unsafe { libc::madvise(start.as_ptr().cast(), bytes.get(), libc::MADV_COLLAPSE) };
        let what = || format!("{len} at +{:#x}", at.get());
        Errno::result(done).map(drop).map_err(|errno| Error::sys("madvise", what())(errno))
    }

    fn advise(&self, at: PageBytes, len: PageBytes, advice: MmapAdvise) -> Result<()> {
        let Some((start, bytes)) = self.0.span(at, len)? else { return Ok(()) };
        // SAFETY: `span` checked that the range lies within this reservation.
        let done = unsafe { nix::sys::mman::madvise(start.cast(), bytes.get(), advice) };
        done.map_err(|errno| Error::sys("madvise", format!("{len} at +{:#x}", at.get()))(errno))
    }
}

/// Makes huge pages of `len` bytes at `offset` of a file in shared memory, both multiples of
/// [`HUGE_BYTES`], each of which has at least one page. Their bytes stay as they are.
///
/// The kernel does that through a mapping whose addresses fall on huge pages as the file does, which
/// ours of the whole file need not.
pub(crate) fn collapse(file: BorrowedFd<'_>, offset: u64, len: PageBytes) -> Result<()> {
    let bad = || Error::BadSize { what: "huge pages", bytes: len.get() as u64 };
    let room = PageBytes::new(len.get() + HUGE_BYTES).ok_or_else(bad)?;
    let range = Reserved::new(room)?;
    let base = range.base().addr().get();
    let at = PageBytes::new(base.next_multiple_of(HUGE_BYTES) - base).ok_or_else(bad)?;
    range.replace(at, len, Content::Shared(file, offset))?;
    range.collapse(at, len)
}

/// A whole file, mapped readable, writable and shared for as long as this lives.
#[derive(Debug)]
pub(crate) struct SharedFile(Mapping);

impl SharedFile {
    pub(crate) fn map(file: BorrowedFd<'_>, len: usize) -> Result<Self> {
        Ok(Self(Mapping::new(len, READ_WRITE, MapFlags::MAP_SHARED, Some(file))?))
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.0.base
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len.get()
    }

    /// Asks for huge pages; an advice, so a refusal is no error.
    pub(crate) fn advise_huge(&self, at: PageBytes, len: PageBytes) -> Result<()> {
        let Some((start, bytes)) = self.0.span(at, len)? else { return Ok(()) };
        let advice = MmapAdvise::MADV_HUGEPAGE;
        // SAFETY: the range lies within this mapping, and the advice changes no content.
        let _refused = unsafe { nix::sys::mman::madvise(start.cast(), bytes.get(), advice) };
        Ok(())
    }

    /// Asks that pages of the file that are allocated from now on lie on NUMA node `node`.
    pub(crate) fn prefer_node(&self, node: u32) -> std::result::Result<(), Errno> {
        const BITS: usize = 1024;
        let mut mask = [0u64; BITS / 64];
        let word = mask.get_mut(node as usize / 64).ok_or(Errno::EINVAL)?;
        *word |= 1 << (node % 64);
        let (base, len) = (self.0.base.as_ptr(), self.0.len.get());
        // The kernel takes one off the number of bits before it looks at the mask.
        let bits = BITS + 1;
        let policy = libc::MPOL_PREFERRED;
        // SAFETY: the range is our own mapping; the mask holds `BITS` bits and is only read.
        let done =
            unsafe { libc::syscall(libc::SYS_mbind, base, len, policy, &raw const mask, bits, 0) };
        Errno::result(done).map(drop)
    }
}

/// A whole file, mapped read only for as long as this lives.
#[derive(Debug)]
pub(crate) struct ReadOnlyFile(Mapping);

impl ReadOnlyFile {
    pub(crate) fn map(file: BorrowedFd<'_>, len: PageBytes) -> Result<Self> {
        let prot = ProtFlags::PROT_READ;
        Ok(Self(Mapping::new(len.get(), prot, MapFlags::MAP_SHARED, Some(file))?))
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.0.base
    }
}

/// `struct page_region`: a range of pages with the same categories.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PageRegion {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) categories: u64,
}

/// `struct pm_scan_arg`: what `PAGEMAP_SCAN` is asked, and where it stopped.
#[repr(C)]
#[derive(Debug, Default)]
struct PmScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

const _: () = assert!(size_of::<PageRegion>() == 24);
const _: () = assert!(size_of::<PmScanArg>() == 96);

/// Which pages `PAGEMAP_SCAN` reports, as bits of `PAGE_IS_*`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageFilter {
    /// None of these.
    pub(crate) none_of: u64,
    /// At least one of these.
    pub(crate) any_of: u64,
    /// Also write-protect what is found, in the same step.
    pub(crate) protect: bool,
}

/// `PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC`.
const PROTECT_FOUND: u64 = 1 | 2;

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong = (3 << 30)
    | ((size_of::<PmScanArg>() as libc::c_ulong) << 16)
    | ((b'f' as libc::c_ulong) << 8)
    | 16;

/// Scans the addresses `start..end` of the process whose page map is `pagemap`; returns how many of
/// `regions` were filled and the address where the scan stopped (`end`, or less when they are
/// full).
pub(crate) fn pagemap_scan(
    pagemap: BorrowedFd<'_>,
    (start, end): (usize, usize),
    filter: PageFilter,
    regions: &mut [PageRegion],
) -> std::result::Result<(usize, usize), Errno> {
    let mut arg = PmScanArg {
        size: size_of::<PmScanArg>() as u64,
        flags: if filter.protect { PROTECT_FOUND } else { 0 },
        start: start as u64,
        end: end as u64,
        vec: regions.as_mut_ptr() as u64,
        vec_len: regions.len() as u64,
        category_inverted: filter.none_of,
        category_mask: filter.none_of,
        category_anyof_mask: filter.any_of,
        return_mask: filter.any_of,
        ..PmScanArg::default()
    };
    let fd = pagemap.as_raw_fd();
    // SAFETY: the argument has the layout and size that the request number names; the kernel writes
    // at most `vec_len` regions into `regions`, which outlives the call.
    let found = unsafe { libc::ioctl(fd, PAGEMAP_SCAN as _, &raw mut arg) };
    let found = Errno::result(found)?;
    let found = usize::try_from(found).map_err(|_| Errno::EINVAL)?;
    Ok((found.min(regions.len()), arg.walk_end as usize))
}

/// `struct uffdio_api`.
#[repr(C)]
struct UffdApi {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register` and, with its last field unused, `struct uffdio_writeprotect`.
#[repr(C)]
struct UffdRange {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

const fn uffd_request(number: libc::c_ulong, bytes: usize) -> libc::c_ulong {
    (3 << 30) | ((bytes as libc::c_ulong) << 16) | (0xAA << 8) | number
}

const UFFD_API_VERSION: u64 = 0xAA;
/// `UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_ASYNC`: shared memory, and the kernel itself
/// takes the protection away at a store.
const UFFD_FEATURES: u64 = 1 << 12 | 1 << 15;
const UFFDIO_API: libc::c_ulong = uffd_request(0x3F, size_of::<UffdApi>());
const UFFDIO_REGISTER: libc::c_ulong = uffd_request(0x00, size_of::<UffdRange>());
const UFFDIO_WRITEPROTECT: libc::c_ulong = uffd_request(0x06, size_of::<UffdRange>() - 8);
/// `UFFD_USER_MODE_ONLY`: asks for no privilege.
const UFFD_USER_MODE_ONLY: libc::c_int = 1;

/// Opens a `userfaultfd` that notes stores and never stops a thread.
pub(crate) fn write_notes() -> std::result::Result<OwnedFd, Errno> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | UFFD_USER_MODE_ONLY;
    // SAFETY: the call takes flags only and makes a descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel just made it and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut api = UffdApi { api: UFFD_API_VERSION, features: UFFD_FEATURES, ioctls: 0 };
    // SAFETY: the argument has the layout that the request number names and outlives the call.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), UFFDIO_API as _, &raw mut api) };
    Errno::result(done)?;
    Ok(fd)
}

impl Reserved {
    /// Write-protects the mapping of shared memory at `at` so that stores into it are noted by `notes`;
    /// its content and what may be done with it stay as they are.
    pub(crate) fn note_writes(
        &self,
        notes: BorrowedFd<'_>,
        at: PageBytes,
        len: PageBytes,
    ) -> Result<()> {
        let Some((start, bytes)) = self.0.span(at, len)? else { return Ok(()) };
        for (op, request, mode) in [
            ("ioctl(UFFDIO_REGISTER)", UFFDIO_REGISTER, 1 << 1),
            ("ioctl(UFFDIO_WRITEPROTECT)", UFFDIO_WRITEPROTECT, 1),
        ] {
            let (start, len) = (start.as_ptr() as u64, bytes.get() as u64);
            let mut range = UffdRange { start, len, mode, ioctls: 0 };
            // SAFETY: the argument has the layout that the request number names and outlives the call;
            // the range is this reservation's, and only its protection against stores changes, which
            // the kernel itself takes away again at the first one.
            let done = unsafe { libc::ioctl(notes.as_raw_fd(), request as _, &raw mut range) };
            let what = || format!("{len} bytes at {start:#x}");
            Errno::result(done).map_err(|errno| Error::sys(op, what())(errno))?;
        }
        Ok(())
    }
}

/// Milliseconds of the host's monotonic clock; wraps after 49 days.
#[cfg_attr(all(test, loom), allow(dead_code, reason = "the model has no time"))]
pub(crate) fn monotonic_ms() -> u32 {
    let clock = nix::time::ClockId::CLOCK_MONOTONIC;
    let now = nix::time::clock_gettime(clock).expect("Linux has a monotonic clock");
    let ms = now.tv_sec().wrapping_mul(1000).wrapping_add(now.tv_nsec() / 1_000_000);
    ms as u32
}

/// Page faults of the calling thread so far, minor and major.
///
/// A number that did not move between two calls on one thread proves that the thread got no new
/// page in between: a page becomes private to a mapping by a fault, and in no other way.
#[must_use]
pub fn thread_faults() -> u64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD)
        .expect("getrusage of the calling thread cannot fail");
    (usage.minor_page_faults() as u64).wrapping_add(usage.major_page_faults() as u64)
}

/// Bytes available to us in the file system of `file`.
pub(crate) fn free_bytes(file: impl AsFd) -> u64 {
    nix::sys::statvfs::fstatvfs(file).map_or(0, |fs| fs.blocks_available() * fs.fragment_size())
}
