//! The processes of a host that take locks: a slot each.
//!
//! ```text
//!  0       8            16      64          80          96
//!  │ magic │ namespace  │ (0) … │ who │ inc │ who │ inc │ …       64 slots of 16 bytes
//! ```
//!
//! * `who` is the [`Identity`] of the process in the slot, 0 when free.
//! * `inc` counts the processes that have had the slot: the incarnation that lock words carry.
//!
//! README, "Slots": why a slot can be taken again at once, with locks of its dead holder still
//! held.
//!
//! Invariants: `who` changes from free or dead to a process only by that process, and from a
//! process to free only by itself; `inc` only grows, and only by the process in the slot.

use std::sync::atomic::{AtomicU64, Ordering};

use super::process::{self, Identity};
use super::protocol::Owner;
use crate::error::{Error, Result};
use crate::view::ByteView;

/// Processes that can share the locks of a host.
pub const OWNER_SLOTS: u32 = 64;

/// "MOBULAOW" and the version of the layout of table and lock words.
const MAGIC: u64 = u64::from_le_bytes(*b"MOBULAO\x01");

const NAMESPACE_AT: usize = 8;
const SLOTS_AT: usize = 64;
const SLOT_BYTES: usize = 16;

/// The table of owners in shared memory.
#[derive(Debug, Clone)]
pub struct OwnerTable {
    bytes: ByteView,
}

impl OwnerTable {
    /// Bytes that a table takes.
    #[must_use]
    pub const fn bytes() -> usize {
        SLOTS_AT + OWNER_SLOTS as usize * SLOT_BYTES
    }

    /// Makes an empty table in the first bytes of `view`, which nobody uses yet.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] and [`Error::Misaligned`] when the view is too short or not aligned to
    /// 8 bytes, [`Error::Sys`] without `/proc`.
    pub fn create(view: ByteView) -> Result<Self> {
        let bytes = view.sub(0, Self::bytes())?;
        bytes.fill_zero(0, Self::bytes())?;
        bytes.atomic_u64(NAMESPACE_AT)?.store(process::pid_namespace()?, Ordering::Relaxed);
        bytes.atomic_u64(0)?.store(MAGIC, Ordering::Release);
        Ok(Self { bytes })
    }

    /// The table that another process created in these bytes.
    ///
    /// # Errors
    /// [`Error::Foreign`] when there is none or it belongs to another PID namespace, where our pids
    /// mean other processes; otherwise as [`create`](Self::create).
    pub fn attach(view: ByteView) -> Result<Self> {
        let bytes = view.sub(0, Self::bytes())?;
        let foreign = |reason| Error::Foreign { what: "the table of lock owners".into(), reason };
        let magic = bytes.atomic_u64(0)?.load(Ordering::Acquire);
        if magic != MAGIC {
            return Err(foreign(format!("its magic number is {magic:#x}, not {MAGIC:#x}")));
        }
        let namespace = bytes.atomic_u64(NAMESPACE_AT)?.load(Ordering::Relaxed);
        let own = process::pid_namespace()?;
        if namespace != own {
            return Err(foreign(format!("it is for PID namespace {namespace}, we are in {own}")));
        }
        Ok(Self { bytes })
    }

    /// Takes a slot for this process: a free one, or that of a process that has died.
    ///
    /// # Errors
    /// [`Error::OwnersFull`], or [`Error::Sys`] without `/proc`.
    pub fn register(&self) -> Result<OwnerSlot> {
        let own = Identity::own()?;
        let is_free = |who: Identity| who == Identity::NONE;
        // Free slots first: telling the dead from the living costs a look into /proc for each.
        let found = self.take(own, is_free).or_else(|| self.take(own, |who| !who.is_alive()));
        let slot = found.ok_or(Error::OwnersFull { limit: OWNER_SLOTS })?;
        let before = self.word(slot, 8).fetch_add(1, Ordering::AcqRel);
        let incarnation = (before + 1) as u32;
        Ok(OwnerSlot { table: self.clone(), who: own, owner: Owner { slot, incarnation } })
    }

    fn take(&self, own: Identity, may_take: impl Fn(Identity) -> bool) -> Option<u32> {
        (0..OWNER_SLOTS).find(|&slot| {
            let who = self.who(slot);
            let (release, ignored) = (Ordering::AcqRel, Ordering::Relaxed);
            let word = self.word(slot, 0);
            may_take(who) && word.compare_exchange(who.0, own.0, release, ignored).is_ok()
        })
    }

    /// Whether a holder of locks is still registered and runs.
    pub(super) fn is_alive(&self, owner: Owner) -> bool {
        // A word beyond the table is no owner's: it can only come from a corrupted lock.
        if owner.slot >= OWNER_SLOTS {
            return false;
        }
        let incarnation = self.word(owner.slot, 8).load(Ordering::Acquire) as u32;
        incarnation == owner.incarnation && self.who(owner.slot).is_alive()
    }

    fn who(&self, slot: u32) -> Identity {
        Identity(self.word(slot, 0).load(Ordering::Acquire))
    }

    fn word(&self, slot: u32, at: usize) -> &AtomicU64 {
        self.bytes
            .atomic_u64(SLOTS_AT + slot as usize * SLOT_BYTES + at)
            .expect("creating or attaching checked length and alignment")
    }
}

/// This process's place in an [`OwnerTable`]; given back when dropped.
///
/// Locks still held when it is dropped are anybody's to [`recover`](super::RwLockWord::recover). It
/// belongs to the process that registered: after a `fork`, the child registers itself.
#[derive(Debug)]
pub struct OwnerSlot {
    table: OwnerTable,
    who: Identity,
    owner: Owner,
}

impl OwnerSlot {
    /// Number of the slot, below [`OWNER_SLOTS`].
    #[must_use]
    pub fn index(&self) -> u32 {
        self.owner.slot
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }
}

impl Drop for OwnerSlot {
    fn drop(&mut self) {
        if self.who.pid() != std::process::id() {
            return; // A forked child must not free its parent's slot.
        }
        let (release, ignored) = (Ordering::AcqRel, Ordering::Relaxed);
        let word = self.table.word(self.owner.slot, 0);
        let freed = word.compare_exchange(self.who.0, Identity::NONE.0, release, ignored);
        debug_assert!(freed.is_ok(), "nobody takes the slot of a living process");
    }
}
