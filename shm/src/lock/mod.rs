//! Locks that live in shared memory and survive a holder's death. `README.md` beside this file has
//! the protocol and why it is right.
//!
//! ```text
//!  OwnerTable   │ pid, start │ pid, start │ …        one slot a process, never reused
//!  RwLockWord   │ writer = 0 or slot+1 │ readers of slot 0 │ readers of slot 1 │ …
//! ```
//!
//! Nothing here waits: who does not get the lock tries again later, when it knows best.

use std::sync::atomic::Ordering;

use crate::error::{Error, Result, sys};
use crate::view::ByteView;

mod protocol;

use protocol::Word;

/// Processes that one table can ever know.
pub const OWNER_SLOTS: usize = 128;
/// Bytes of one lock.
pub const RW_LOCK_BYTES: usize = 8 + OWNER_SLOTS * 4 + 56;

const OWNER_BYTES: usize = 16;
/// Set in a slot's pid word while its start time is not yet written.
const CLAIMING: u64 = 1 << 63;

const _: () = assert!(RW_LOCK_BYTES.is_multiple_of(64), "locks do not share cache lines");

/// Who takes part in the locks of a host: one slot for each process that ever registered.
#[derive(Debug, Clone)]
pub struct OwnerTable(ByteView);

/// A process's place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerSlot(usize);

impl OwnerTable {
    /// Bytes that a table takes; they must be zero at first.
    #[must_use]
    pub const fn bytes() -> usize {
        OWNER_SLOTS * OWNER_BYTES
    }

    /// The table in the first bytes of `view`.
    ///
    /// # Errors
    /// When the view is too short or not aligned to 8 bytes.
    pub fn new(view: &ByteView) -> Result<Self> {
        let view = view.sub(0, Self::bytes())?;
        view.atomic_u64(0)?;
        Ok(Self(view))
    }

    /// Takes a slot for this process. It is never given to another one, so that a lock whose holder
    /// died can be told from one that is held.
    ///
    /// # Errors
    /// [`Error::NoOwnerSlot`] after [`OWNER_SLOTS`] processes; [`Error::Sys`] without `/proc`.
    pub fn register(&self) -> Result<OwnerSlot> {
        let pid = u64::from(std::process::id());
        let start = start_time(pid)
            .ok_or_else(|| sys("open", "/proc/self/stat")(nix::errno::Errno::ENOENT))?;
        for slot in 0..OWNER_SLOTS {
            let word = self.0.atomic_u64(slot * OWNER_BYTES)?;
            let claim = pid | CLAIMING;
            if word.compare_exchange(0, claim, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.0.atomic_u64(slot * OWNER_BYTES + 8)?.store(start, Ordering::Release);
                word.store(pid, Ordering::Release);
                return Ok(OwnerSlot(slot));
            }
        }
        Err(Error::NoOwnerSlot(OWNER_SLOTS))
    }

    /// Whether the process that took the slot lives. A pid that another process has since got is not
    /// it: the start times differ.
    #[must_use]
    pub fn is_alive(&self, slot: usize) -> bool {
        let word = |at| self.0.atomic_u64(slot * OWNER_BYTES + at).map(|w| w.load(Ordering::Acquire));
        let (Ok(pid), Ok(start)) = (word(0), word(8)) else { return false };
        match start_time(pid & !CLAIMING) {
            None => false,
            Some(now) => pid & CLAIMING != 0 || now == start,
        }
    }
}

/// Start time of a process in clock ticks after boot; `None` when it has ended, reaped or not.
fn start_time(pid: u64) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc_pid_stat(5): the name is in parentheses and may hold anything; state is field 3, start
    // time field 22.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

/// What [`RwLockWord::recover`] released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// A dead process held it for writing.
    pub writer: bool,
    /// Read holds of dead processes.
    pub readers: u32,
}

/// A reader/writer lock between processes; used write-only it is an exclusive lock.
#[derive(Debug, Clone)]
pub struct RwLockWord(ByteView);

impl RwLockWord {
    /// The lock in the first [`RW_LOCK_BYTES`] of `view`; zero bytes are an unheld lock.
    ///
    /// # Errors
    /// When the view is too short or not aligned.
    pub fn new(view: &ByteView) -> Result<Self> {
        let view = view.sub(0, RW_LOCK_BYTES)?;
        view.atomic_u64(0)?;
        Ok(Self(view))
    }

    fn writer(&self) -> &Word {
        self.0.atomic_u32(0).expect("checked when it was made")
    }

    fn readers(&self, slot: usize) -> &Word {
        self.0.atomic_u32(8 + slot * 4).expect("checked when it was made")
    }

    fn all_readers(&self) -> impl Iterator<Item = &Word> {
        (0..OWNER_SLOTS).map(|slot| self.readers(slot))
    }

    /// Takes the lock for reading if nobody writes.
    #[must_use]
    pub fn try_read(&self, slot: OwnerSlot) -> bool {
        protocol::try_read(self.writer(), self.readers(slot.0))
    }

    /// Takes the lock for writing if nobody reads or writes.
    #[must_use]
    pub fn try_write(&self, slot: OwnerSlot) -> bool {
        protocol::try_write(self.writer(), self.all_readers(), slot.0)
    }

    /// Gives up one read hold.
    ///
    /// # Errors
    /// [`Error::NotHeld`].
    pub fn unlock_read(&self, slot: OwnerSlot) -> Result<()> {
        let done = protocol::unlock_read(self.readers(slot.0));
        if done { Ok(()) } else { Err(Error::NotHeld { slot: slot.0 }) }
    }

    /// Gives up the write hold.
    ///
    /// # Errors
    /// [`Error::NotHeld`].
    pub fn unlock_write(&self, slot: OwnerSlot) -> Result<()> {
        let done = protocol::unlock_write(self.writer(), slot.0);
        if done { Ok(()) } else { Err(Error::NotHeld { slot: slot.0 }) }
    }

    /// Releases what dead processes hold. Anybody may do this at any time.
    pub fn recover(&self, owners: &OwnerTable) -> Recovered {
        let mut done = Recovered::default();
        let writer = self.writer().load(Ordering::SeqCst);
        if let Some(slot) = (writer as usize).checked_sub(1)
            && !owners.is_alive(slot)
        {
            done.writer = protocol::unlock_write(self.writer(), slot);
        }
        for (slot, readers) in self.all_readers().enumerate() {
            if readers.load(Ordering::SeqCst) > 0 && !owners.is_alive(slot) {
                done.readers += readers.swap(0, Ordering::SeqCst);
            }
        }
        done
    }
}
