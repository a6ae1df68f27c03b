//! The file behind an arena: created, found, sized, unlinked.
//!
//! ```text
//!  named     shm_open(O_CREAT|O_EXCL) ──▶ /dev/shm/NAME ──▶ others: shm_open ──▶ shm_unlink
//!  private   open(O_TMPFILE)          ──▶ never has a name ──▶ others: open(/proc/PID/fd/N)
//! ```
//!
//! Invariants: a segment is created anew or found, never "either"; only its creator unlinks its
//! name, at the latest when dropped; a private segment has no name, so that not even `kill -9`
//! between two system calls can leave one behind.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nix::sys::mman::{shm_open, shm_unlink};
use nix::sys::stat::{Mode, fstat};

use crate::error::{Error, Result};
use crate::sys;
use crate::units::{HUGE_BYTES, PAGE_BYTES, PageBytes};

/// Where Linux keeps POSIX shared memory.
pub(super) const DIRECTORY: &str = "/dev/shm";

/// Most bytes of a name; file systems allow 255.
const NAME_BYTES: usize = 200;

/// Bytes allocated by one call: a signal makes the kernel give up a call and undo it, so that one
/// call for many gigabytes might never get through.
const STEP: u64 = 64 << 20;

/// An open segment and, at its creator, the duty to remove its name.
#[derive(Debug)]
pub(super) struct Segment {
    file: OwnedFd,
    name: String,
    linked: AtomicBool,
}

impl Segment {
    /// Creates a segment that others can find by `name`.
    pub(super) fn create(name: &str) -> Result<Self> {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let file = shm_open(path(name)?.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(Error::sys("shm_open", format!("creating {DIRECTORY}/{name}")))?;
        Ok(Self { file, name: name.into(), linked: AtomicBool::new(true) })
    }

    /// Creates a segment that has no name.
    pub(super) fn create_private() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mobula-{}-{number}", std::process::id());
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_EXCL;
        match nix::fcntl::open(DIRECTORY, flags, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(file) => Ok(Self { file, name, linked: AtomicBool::new(false) }),
            // Some file systems that stand in for tmpfs cannot make files without names.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {
                let segment = Self::create(&name)?;
                segment.unlink()?;
                Ok(segment)
            }
            Err(errno) => Err(Error::sys("open(O_TMPFILE)", DIRECTORY)(errno)),
        }
    }

    /// Opens the segment that another process created as `name`; returns its length in bytes too.
    pub(super) fn open(name: &str) -> Result<(Self, u64)> {
        let file = shm_open(path(name)?.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(Error::sys("shm_open", format!("attaching {DIRECTORY}/{name}")))?;
        let stat = fstat(&file).map_err(Error::sys("fstat", name))?;
        let user = nix::unistd::geteuid().as_raw();
        if stat.st_uid != user {
            let reason = format!("it belongs to user {}, we are {user}", stat.st_uid);
            return Err(Error::Foreign { what: format!("{DIRECTORY}/{name}"), reason });
        }
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        Ok((Self { file, name: name.into(), linked: AtomicBool::new(false) }, bytes))
    }

    /// Opens the segment that process `pid` has open as descriptor `fd`; it needs no name for that.
    pub(super) fn open_of(pid: u32, fd: i32) -> Result<(Self, u64)> {
        let path = format!("/proc/{pid}/fd/{fd}");
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let file = nix::fcntl::open(path.as_str(), flags, Mode::empty())
            .map_err(Error::sys("open", path.as_str()))?;
        let stat = fstat(&file).map_err(Error::sys("fstat", path.as_str()))?;
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        let name = format!("mobula-{pid} (descriptor {fd})");
        Ok((Self { file, name, linked: AtomicBool::new(false) }, bytes))
    }

    /// Bytes of memory that the file has.
    pub(super) fn memory(&self) -> u64 {
        fstat(&self.file).map_or(0, |stat| u64::try_from(stat.st_blocks).unwrap_or(0) * 512)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Removes the name, if there is one and it is ours to remove.
    pub(super) fn unlink(&self) -> Result<()> {
        if !self.linked.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let what = || format!("{DIRECTORY}/{}", self.name);
        shm_unlink(path(&self.name)?.as_str())
            .map_err(|errno| Error::sys("shm_unlink", what())(errno))
    }

    /// Makes the file `bytes` long, without memory.
    pub(super) fn set_len(&self, bytes: u64) -> Result<()> {
        let len = i64::try_from(bytes).map_err(|_| Error::BadSize { what: "an arena", bytes })?;
        let what = || format!("{bytes} bytes of arena {}", self.name);
        nix::unistd::ftruncate(&self.file, len)
            .map_err(|errno| Error::sys("ftruncate", what())(errno))
    }

    /// Gives `len` bytes at `offset` memory, zero filled; if that fails, they have none.
    pub(super) fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.fill(offset, len).map_err(|(errno, done)| {
            // What cannot be given back here is lost until the arena goes.
            let _given_back = self.punch(offset, done);
            self.refused(errno, len)
        })
    }

    /// As [`allocate`](Self::allocate), where a part may have memory already, which keeps its content
    /// also when this fails.
    pub(super) fn give_memory(&self, offset: u64, len: u64) -> Result<()> {
        self.fill(offset, len).map_err(|(errno, _)| self.refused(errno, len))
    }

    /// As [`allocate`](Self::allocate), in huge pages as far as whole ones fit in and the system has
    /// some. It takes longer, and every later access by every mapping is faster.
    pub(super) fn allocate_huge(&self, offset: u64, len: u64) -> Result<()> {
        self.fill_huge(offset, len);
        self.fill(offset, len).map_err(|(errno, _)| {
            // As above; huge pages may be anywhere in it.
            let _given_back = self.punch(offset, len);
            self.refused(errno, len)
        })
    }

    /// As [`give_memory`](Self::give_memory), in huge pages as far as possible.
    pub(super) fn give_huge_memory(&self, offset: u64, len: u64) -> Result<()> {
        self.fill_huge(offset, len);
        self.give_memory(offset, len)
    }

    /// Gives whole huge pages within a range memory. Where that fails the rest is left to small ones.
    ///
    /// File systems of shared memory make no huge pages by themselves unless an administrator says so,
    /// but they do so of pages that are there.
    fn fill_huge(&self, offset: u64, len: u64) {
        let huge = HUGE_BYTES as u64;
        let (mut at, end) = (offset.next_multiple_of(huge), (offset + len) / huge * huge);
        while at < end {
            let step = STEP.min(end - at);
            let first = |page| self.fallocate(FallocateFlags::empty(), page, PAGE_BYTES as u64);
            let Some(bytes) = usize::try_from(step).ok().and_then(PageBytes::new) else { return };
            if (at..at + step).step_by(HUGE_BYTES).map(first).any(|done| done.is_err())
                || sys::collapse(self.fd(), at, bytes).is_err()
            {
                return;
            }
            at += step;
        }
    }

    /// Gives memory step by step; on failure, also how far it came.
    fn fill(&self, offset: u64, len: u64) -> std::result::Result<(), (Errno, u64)> {
        let mut done = 0;
        while done < len {
            let step = STEP.min(len - done);
            match self.fallocate(FallocateFlags::empty(), offset + done, step) {
                Ok(()) => done += step,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err((errno, done)),
            }
        }
        Ok(())
    }

    /// Takes the memory of `len` bytes at `offset` back; they read as zeros afterwards.
    pub(super) fn punch(&self, offset: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        loop {
            match self.fallocate(flags, offset, len) {
                Err(Errno::EINTR) => {}
                done => {
                    let what = || format!("{len} bytes of arena {}", self.name);
                    return done
                        .map_err(|errno| Error::sys("fallocate(PUNCH_HOLE)", what())(errno));
                }
            }
        }
    }

    fn fallocate(&self, flags: FallocateFlags, offset: u64, len: u64) -> nix::Result<()> {
        let number = |n| i64::try_from(n).map_err(|_| Errno::EFBIG);
        fallocate(&self.file, flags, number(offset)?, number(len)?)
    }

    fn refused(&self, errno: Errno, len: u64) -> Error {
        let what = format!("{len} bytes of arena {}", self.name);
        match errno {
            Errno::ENOSPC => Error::NoSpace { need: len, free: sys::free_bytes(&self.file), what },
            errno => Error::Sys { op: "fallocate", errno, what },
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // A name that somebody else removed is no loss.
        let _gone = self.unlink();
    }
}

fn path(name: &str) -> Result<String> {
    let bad = name.is_empty() || name.len() > NAME_BYTES || name.contains(['/', '\0']);
    if bad || name == "." || name == ".." {
        return Err(Error::BadName { name: name.into() });
    }
    Ok(format!("/{name}"))
}
