//! What can go wrong, with the numbers that a person needs to fix it.
//!
//! An operating system failure names the call, the errno and what it was applied to. Mistakes of
//! the caller (ranges, alignment) carry the numbers and allocate nothing, since they are on hot
//! paths.

use nix::errno::Errno;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("{op} failed for {what}: {errno}")]
    Sys {
        /// Name of the system call.
        op: &'static str,
        /// What the kernel answered.
        errno: Errno,
        /// The object or range concerned.
        what: String,
    },
    /// The file system behind the shared memory is full.
    #[error(
        "no space for {what}: {need} bytes needed, {free} free in /dev/shm; its size is the limit \
         (df /dev/shm; mount -o remount,size=... /dev/shm)"
    )]
    NoSpace {
        /// Bytes needed.
        need: u64,
        /// Bytes free.
        free: u64,
        /// What they were needed for.
        what: String,
    },
    /// The arena has no free range that is long enough, though memory may be free.
    #[error(
        "the arena of {capacity} bytes has no free range of {need} bytes (longest: {longest}); it \
         follows the size of /dev/shm: make that larger, or use less state at once"
    )]
    ArenaFull {
        /// Bytes of address range needed.
        need: u64,
        /// The longest free range in bytes.
        longest: u64,
        /// Bytes that the arena spans.
        capacity: u64,
    },
    /// A range does not lie within what it is a range of.
    #[error("{len} bytes at offset {offset} do not lie within the {size} bytes of the {what}")]
    OutOfRange {
        /// What the range is a range of.
        what: &'static str,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
        /// Bytes there are.
        size: u64,
    },
    /// An address does not have the alignment that its use needs.
    #[error("offset {offset} of the {what} is not at a multiple of {align} bytes")]
    Misaligned {
        /// What the offset lies in.
        what: &'static str,
        /// The offset in bytes.
        offset: u64,
        /// The alignment in bytes.
        align: u64,
    },
    /// A size cannot be used.
    #[error("{bytes} bytes cannot be the size of {what}")]
    BadSize {
        /// What the size was meant for.
        what: &'static str,
        /// The size in bytes.
        bytes: u64,
    },
    /// A name cannot be the name of a segment.
    #[error("{name:?} cannot name a segment: 1 to 200 bytes without '/' and NUL")]
    BadName {
        /// The name.
        name: String,
    },
    /// Shared bytes are not what they should be: made by another version, another user, or not yet.
    #[error("{what} cannot be used: {reason}")]
    Foreign {
        /// The object.
        what: String,
        /// What does not fit, with the numbers.
        reason: String,
    },
    /// Only the process that created the arena may allocate in it.
    #[error("the arena {name:?} was attached, not created, here: only its creator may allocate")]
    NotCreator {
        /// Name of the arena.
        name: String,
    },
    /// A lock was released by an owner who does not hold it.
    #[error("slot {slot} does not hold the {kind} lock that it releases")]
    NotHeld {
        /// `read` or `write`.
        kind: &'static str,
        /// The owner's slot.
        slot: u32,
    },
    /// All slots of an owner table belong to living processes.
    #[error("all {limit} owner slots of this host are taken by living processes")]
    OwnersFull {
        /// Number of slots.
        limit: u32,
    },
}

impl Error {
    /// Makes a closure for `map_err` on a system call.
    pub(crate) fn sys(op: &'static str, what: impl Into<String>) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Sys { op, errno, what: what.into() }
    }

    /// As [`sys`](Self::sys) for calls made through the standard library.
    pub(crate) fn io(
        op: &'static str,
        what: impl Into<String>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        move |err| Self::Sys {
            op,
            errno: err.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw),
            what: what.into(),
        }
    }

    /// A range that does not fit; numbers that do not fit in 64 bits do not exist on this platform.
    pub(crate) fn range(what: &'static str, offset: usize, len: usize, size: usize) -> Self {
        Self::OutOfRange { what, offset: offset as u64, len: len as u64, size: size as u64 }
    }
}
