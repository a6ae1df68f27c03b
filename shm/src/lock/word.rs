//! The words of a lock, laid out in shared memory.
//!
//! ```text
//!  0        8      12     64          72                                576
//!  │ writer │ hint │ (0)  │ readers 0 │ readers 1 │ …  │ readers 63 │
//! ```
//!
//! The writer's cache line is apart from the readers': readers that come and go on one process's
//! word disturb a writer only when it counts them.
//!
//! Invariant: the layout is part of the owner table's version.

use super::owners::{OWNER_SLOTS, OwnerSlot, OwnerTable};
use super::protocol::{self, Words};
use crate::error::{Error, Result};
use crate::sync::{AtomicU32, AtomicU64};
use crate::sys::monotonic_ms;
use crate::view::ByteView;

const HINT_AT: usize = 8;
const READERS_AT: usize = 64;

/// Bytes that a lock takes; a multiple of a cache line (64).
pub const RW_LOCK_BYTES: usize = READERS_AT + OWNER_SLOTS as usize * size_of::<u64>();

const _: () = assert!(RW_LOCK_BYTES.is_multiple_of(64));

/// A reader/writer lock in shared memory. Zeros are a free lock.
///
/// Processes hold it, by their slot in the host's [`OwnerTable`]; one process may hold several
/// reads. Nothing here waits: `try_*` answers at once, may say no when somebody else just tries
/// too, and is to be tried again. Only slots of one table may be used with one lock.
#[derive(Debug, Clone)]
pub struct RwLockWord {
    bytes: ByteView,
}

/// What [`RwLockWord::recover`] released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// A dead process held it for writing: what the lock guards may be half changed.
    pub writer: bool,
    /// Read holds of dead processes.
    pub readers: u32,
}

impl RwLockWord {
    /// The lock in the first [`RW_LOCK_BYTES`] of `view`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the view is too short, [`Error::Misaligned`] when it
    /// does not begin at a multiple of 8 bytes.
    pub fn new(view: ByteView) -> Result<Self> {
        let bytes = view.sub(0, RW_LOCK_BYTES)?;
        bytes.atomic_u64(0)?;
        Ok(Self { bytes })
    }

    /// Takes a read hold; false when a writer holds, tries, or has just tried and waits.
    #[must_use]
    pub fn try_read(&self, slot: &OwnerSlot) -> bool {
        protocol::try_read(self, slot.owner(), monotonic_ms)
    }

    /// Takes the write hold; false when anybody holds or tries, also this process.
    ///
    /// A writer that finds readers keeps new ones away for 20 ms: one that tries again more often
    /// than that is not starved, and one that never does holds readers up no longer than that.
    #[must_use]
    pub fn try_write(&self, slot: &OwnerSlot) -> bool {
        protocol::try_write(self, slot.owner(), monotonic_ms)
    }

    /// Gives one read hold back.
    ///
    /// # Errors
    /// [`Error::NotHeld`] when this process has none.
    pub fn unlock_read(&self, slot: &OwnerSlot) -> Result<()> {
        let held = protocol::unlock_read(self, slot.owner());
        held.then_some(()).ok_or(Error::NotHeld { kind: "read", slot: slot.index() })
    }

    /// Gives the write hold back.
    ///
    /// # Errors
    /// [`Error::NotHeld`] when this process does not have it.
    pub fn unlock_write(&self, slot: &OwnerSlot) -> Result<()> {
        let held = protocol::unlock_write(self, slot.owner());
        held.then_some(()).ok_or(Error::NotHeld { kind: "write", slot: slot.index() })
    }

    /// Releases what processes hold that have died or given their slot back.
    ///
    /// Safe at any time and by several at once: each hold is released, and counted, once. Costs a
    /// look into `/proc` for each process that holds the lock.
    pub fn recover(&self, owners: &OwnerTable) -> Recovered {
        let (writer, readers) = protocol::recover(self, |owner| owners.is_alive(owner));
        Recovered { writer, readers }
    }
}

const IN_BOUNDS: &str = "`new` checked length and alignment";

impl Words for RwLockWord {
    fn writer(&self) -> &AtomicU64 {
        self.bytes.atomic_u64(0).expect(IN_BOUNDS)
    }

    fn hint(&self) -> &AtomicU32 {
        self.bytes.atomic_u32(HINT_AT).expect(IN_BOUNDS)
    }

    fn readers(&self, slot: u32) -> &AtomicU64 {
        let at = READERS_AT + slot as usize * size_of::<u64>();
        self.bytes.atomic_u64(at).expect(IN_BOUNDS)
    }

    fn slots(&self) -> u32 {
        OWNER_SLOTS
    }
}
