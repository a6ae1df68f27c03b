//! The lock algorithm, over any memory that has its words. `README.md` is the text to this code.
//!
//! ```text
//!  writer     u64   0 free │ incarnation (32) │ slot + 1 (32)
//!  readers[s] u64   count 0: free │ incarnation (32) │ count (32)
//!  hint       u32   0 none │ milliseconds until which new readers hold off
//! ```
//!
//! Invariants: see README, "States". Pure: the caller says what time it is and who is alive.

use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Milliseconds for which a writer that found readers keeps new ones away. A writer that retries
/// more often than that gets the lock before new readers; one that died or gave up delays them
/// once.
pub(super) const HOLD_OFF_MS: u32 = 20;

/// The words of one lock.
pub(super) trait Words {
    fn writer(&self) -> &AtomicU64;
    fn hint(&self) -> &AtomicU32;
    fn readers(&self, slot: u32) -> &AtomicU64;
    fn slots(&self) -> u32;
}

/// Who holds: a slot of the owner table, in the incarnation that registered in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) slot: u32,
    pub(super) incarnation: u32,
}

impl Owner {
    fn token(self) -> u64 {
        pack(self.incarnation, self.slot + 1)
    }

    fn from_token(token: u64) -> Option<Self> {
        let slot = low(token).checked_sub(1)?;
        Some(Self { slot, incarnation: high(token) })
    }
}

fn pack(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

fn low(word: u64) -> u32 {
    (word & u64::from(u32::MAX)) as u32
}

/// Read holds of `me` according to its word; those of an earlier incarnation are nobody's.
fn holds(word: u64, me: Owner) -> u32 {
    if high(word) == me.incarnation { low(word) } else { 0 }
}

/// README, "Reader: lock". False when a writer holds, tries or waits.
pub(super) fn try_read(lock: &impl Words, me: Owner, now_ms: impl FnOnce() -> u32) -> bool {
    let readers = lock.readers(me.slot);
    let mut seen = readers.load(Ordering::Relaxed);
    if holds(seen, me) == 0 && held_off(lock, now_ms) {
        return false;
    }
    if lock.writer().load(Ordering::Relaxed) != 0 {
        return false;
    }
    loop {
        let Some(more) = holds(seen, me).checked_add(1) else { return false };
        let next = pack(me.incarnation, more);
        match readers.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    // README, "Fences", F1.
    fence(Ordering::SeqCst);
    if lock.writer().load(Ordering::Acquire) == 0 {
        return true;
    }
    let backed_out = unlock_read(lock, me);
    debug_assert!(backed_out, "our own count cannot go away");
    false
}

/// README, "Reader: unlock". False when `me` has no read hold.
pub(super) fn unlock_read(lock: &impl Words, me: Owner) -> bool {
    let readers = lock.readers(me.slot);
    let mut seen = readers.load(Ordering::Relaxed);
    loop {
        let next = match holds(seen, me) {
            0 => return false,
            1 => 0,
            more => pack(me.incarnation, more - 1),
        };
        match readers.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => seen = now,
        }
    }
}

/// README, "Writer: lock". False when anybody else holds or tries.
pub(super) fn try_write(lock: &impl Words, me: Owner, now_ms: impl FnOnce() -> u32) -> bool {
    let (writer, token) = (lock.writer(), me.token());
    let taken = writer.compare_exchange(0, token, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    if taken {
        // README, "Fences", F2.
        fence(Ordering::SeqCst);
        let is_free = |slot| low(lock.readers(slot).load(Ordering::Acquire)) == 0;
        if (0..lock.slots()).all(is_free) {
            lock.hint().store(0, Ordering::Relaxed);
            return true;
        }
    }
    // Before the word is given back, so that no reader slips in between.
    let until = now_ms().wrapping_add(HOLD_OFF_MS).max(1);
    lock.hint().store(until, Ordering::Relaxed);
    if taken {
        writer.store(0, Ordering::Release);
    }
    false
}

/// README, "Writer: unlock". False when `me` does not hold the lock for writing.
pub(super) fn unlock_write(lock: &impl Words, me: Owner) -> bool {
    let (release, ignored) = (Ordering::AcqRel, Ordering::Relaxed);
    lock.writer().compare_exchange(me.token(), 0, release, ignored).is_ok()
}

/// README, "Recoverer". Returns whether a dead writer and how many dead read holds were released.
pub(super) fn recover(lock: &impl Words, is_alive: impl Fn(Owner) -> bool) -> (bool, u32) {
    let (release, ignored) = (Ordering::AcqRel, Ordering::Relaxed);
    let token = lock.writer().load(Ordering::Acquire);
    let dead = Owner::from_token(token).is_some_and(|owner| !is_alive(owner));
    let writer = dead && lock.writer().compare_exchange(token, 0, release, ignored).is_ok();
    let mut readers = 0;
    for slot in 0..lock.slots() {
        let word = lock.readers(slot).load(Ordering::Acquire);
        if low(word) == 0 || is_alive(Owner { slot, incarnation: high(word) }) {
            continue;
        }
        if lock.readers(slot).compare_exchange(word, 0, release, ignored).is_ok() {
            readers += low(word);
        }
    }
    (writer, readers)
}

/// Whether a writer has asked for new readers to hold off, and its time has not passed.
///
/// Subtracting first makes this right across the wrap of the clock, and lets no hint, however
/// wrong, hold for longer than [`HOLD_OFF_MS`].
fn held_off(lock: &impl Words, now_ms: impl FnOnce() -> u32) -> bool {
    let until = lock.hint().load(Ordering::Relaxed);
    until != 0 && (1..=HOLD_OFF_MS).contains(&until.wrapping_sub(now_ms()))
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
