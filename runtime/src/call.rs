//! Calls: where a child's result waits for its parent.
//!
//! ```text
//!  parent: acquire slot ─▶ (scheduler) ─▶ await: DONE? take result : register waker, suspend
//!  child:                    run ─▶ complete: store result, set DONE, wake the parent if it waits
//!  slot:   free ──acquire──▶ live ──DONE and RELEASED, in any order──▶ free
//! ```
//!
//! Invariants: exactly one `complete` and one `release` per acquired slot; whichever comes second
//! frees it; result fields are written before DONE is set and read only after it was seen.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::fabric::RankId;
use crate::function::Entry;
use crate::limits;

/// Result code of a call that trapped, was refused or ran out of time; the reason is on stderr.
pub use mobula_guest::abi::{RC_REFUSED, RC_TIMEOUT, RC_TRAP};

const DONE: u32 = 1;
const RELEASED: u32 = 2;
const WAITING: u32 = 4;
const INPUT: u32 = 8;
const OUTPUT: u32 = 16;
const RANGE: u32 = 32;
/// It came from another rank, which waits for the result.
const SENT: u32 = 64;
/// It runs on another rank.
const AWAY: u32 = 128;
/// It runs where its parent wanted it and is not passed on.
const BOUND: u32 = 256;

const SEGMENT: usize = 4096;

/// Index of a live call in the table.
pub(crate) type Slot = u32;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The entry returned this value.
    Returned(i32),
    /// The guest called `exit` with this value.
    Exited(i32),
    /// The guest trapped, or a host function refused it.
    Trapped(String),
    /// The call ran longer than `--timeout` allows.
    TimedOut(String),
    /// The call never started.
    Refused(String),
}

impl Outcome {
    /// The value that awaiting the call gives.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Returned(code) | Self::Exited(code) => *code,
            Self::Trapped(_) => RC_TRAP,
            Self::TimedOut(_) => RC_TIMEOUT,
            Self::Refused(_) => RC_REFUSED,
        }
    }

    /// Why the call failed; `None` when the guest ended it itself.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Returned(_) | Self::Exited(_) => None,
            Self::Trapped(why) | Self::TimedOut(why) | Self::Refused(why) => Some(why),
        }
    }
}

#[derive(Debug, Default)]
struct CallSlot {
    state: AtomicU32,
    code: AtomicI32,
    /// For the search for deadlocks. Low half: slot + 1 of the call that this call awaits, [`SEVERAL`] or
    /// [`ANY`]; high half: number of the wait, which no other wait of any call in this slot has.
    awaits: AtomicU64,
    range: [AtomicI64; 2],
    /// Of a call that came from another rank, that rank and its slot there.
    sender: AtomicU64,
    waiter: AtomicWaker,
    payload: Mutex<Vec<u8>>,
}

/// The call awaits several others, which are in `CallTable::several`.
const SEVERAL: u32 = u32::MAX;
/// The same, but goes on when one of them has ended.
const ANY: u32 = u32::MAX - 1;

/// What of a call matters in a job of several ranks only. It is apart, so that slots stay small.
#[derive(Debug, Default)]
struct FarSlot {
    /// The rank that the call was sent to.
    taker: AtomicU32,
    /// Number of the call for locks that other ranks serve; 0 until it asks for one.
    lock_id: AtomicU64,
    /// Low half: 1 + the rank of which the call awaits a lock, or 0; high half: number of the wait.
    abroad: AtomicU64,
    /// [`Title`] of a call that waits.
    title: AtomicU64,
}

/// What a call runs, for messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Title(u64);

impl Title {
    const BY_POINTER: u64 = 1 << 63;

    pub(crate) fn new(function: u32, entry: Entry) -> Self {
        let (pointer, entry) = match entry {
            Entry::Index(index) => (0, index.cast_unsigned()),
            Entry::Pointer(address) => (Self::BY_POINTER, address),
        };
        Self(pointer | u64::from(function) << 32 | u64::from(entry))
    }

    /// Number of the function, and what of it runs.
    pub(crate) fn parts(self) -> (u32, Entry) {
        let (function, entry) = (((self.0 & !Self::BY_POINTER) >> 32) as u32, self.0 as u32);
        if self.0 & Self::BY_POINTER == 0 {
            (function, Entry::Index(entry.cast_signed()))
        } else {
            (function, Entry::Pointer(entry))
        }
    }
}

/// How many of the calls that it awaits a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them.
    All,
    /// One.
    Any,
}

/// All calls of one rank.
#[derive(Debug)]
pub(crate) struct CallTable {
    segments: Box<[OnceLock<Box<[CallSlot]>>]>,
    far: Box<[OnceLock<Box<[FarSlot]>>]>,
    fresh: AtomicU32,
    free: Mutex<Vec<Vec<Slot>>>,
    /// Which calls are awaited by those that await more than one.
    several: Mutex<HashMap<Slot, Arc<[Slot]>>>,
    /// Calls that are not done and that nobody will await.
    orphans: AtomicUsize,
}

/// Free slots of one worker, so that acquiring one touches no shared line.
#[derive(Debug, Default)]
pub(crate) struct FreeSlots(Vec<Slot>);

impl CallTable {
    pub(crate) fn new() -> Self {
        let segments = limits::CALLS / SEGMENT;
        Self {
            segments: (0..segments).map(|_| OnceLock::new()).collect(),
            far: (0..segments).map(|_| OnceLock::new()).collect(),
            fresh: AtomicU32::new(0),
            free: Mutex::default(),
            several: Mutex::default(),
            orphans: AtomicUsize::new(0),
        }
    }

    fn slot(&self, slot: Slot) -> &CallSlot {
        let (segment, at) = (slot as usize / SEGMENT, slot as usize % SEGMENT);
        &self.segments[segment].get().expect("slots are handed out after their segment")[at]
    }

    fn far(&self, slot: Slot) -> &FarSlot {
        let (segment, at) = (slot as usize / SEGMENT, slot as usize % SEGMENT);
        let new = || (0..SEGMENT).map(|_| FarSlot::default()).collect();
        &self.far[segment].get_or_init(new)[at]
    }

    /// Takes a free slot for a call with this input; `None` when [`limits::CALLS`] exist.
    pub(crate) fn acquire(&self, free: &mut FreeSlots, input: Vec<u8>) -> Option<Slot> {
        let slot = match free.0.pop() {
            Some(slot) => slot,
            None => self.refill(free)?,
        };
        if !input.is_empty() {
            let entry = self.slot(slot);
            *entry.payload.lock() = input;
            entry.state.store(INPUT, Ordering::Relaxed);
        }
        Some(slot)
    }

    /// Gives a call that was not started yet its part of a parallel loop: indices from `lo` to below
    /// `hi`.
    pub(crate) fn set_range(&self, slot: Slot, (lo, hi): (i64, i64)) {
        let entry = self.slot(slot);
        entry.range[0].store(lo, Ordering::Relaxed);
        entry.range[1].store(hi, Ordering::Relaxed);
        entry.state.fetch_or(RANGE, Ordering::Relaxed);
    }

    /// The running call's part of a parallel loop, if it has one.
    pub(crate) fn range(&self, slot: Slot) -> Option<(i64, i64)> {
        let entry = self.slot(slot);
        let [lo, hi] = &entry.range;
        let range = || (lo.load(Ordering::Relaxed), hi.load(Ordering::Relaxed));
        (entry.state.load(Ordering::Relaxed) & RANGE != 0).then(range)
    }

    fn refill(&self, free: &mut FreeSlots) -> Option<Slot> {
        if let Some(batch) = self.free.lock().pop() {
            free.0 = batch;
            return free.0.pop();
        }
        let step = 64;
        let first = self.fresh.fetch_add(step, Ordering::Relaxed);
        if first as usize + step as usize > limits::CALLS {
            self.fresh.fetch_sub(step, Ordering::Relaxed);
            return None;
        }
        let segment = &self.segments[first as usize / SEGMENT];
        segment.get_or_init(|| (0..SEGMENT).map(|_| CallSlot::default()).collect());
        free.0.extend((first..first + step).rev());
        free.0.pop()
    }

    /// Frees the slot of a call that nobody here awaits any more.
    pub(crate) fn recycle(&self, free: &mut FreeSlots, slot: Slot) {
        let entry = self.slot(slot);
        if entry.awaits.load(Ordering::Relaxed) as u32 != 0 {
            self.end_awaits(slot);
        }
        if entry.state.swap(0, Ordering::Relaxed) & (INPUT | OUTPUT) != 0 {
            *entry.payload.lock() = Vec::new();
        }
        free.0.push(slot);
        if free.0.len() >= SEGMENT {
            let half = free.0.split_off(SEGMENT / 2);
            self.free.lock().push(half);
        }
    }

    /// The call's input, taken by the faaslet that runs it.
    pub(crate) fn take_input(&self, slot: Slot) -> Vec<u8> {
        let entry = self.slot(slot);
        if entry.state.load(Ordering::Relaxed) & INPUT == 0 {
            return Vec::new();
        }
        std::mem::take(&mut entry.payload.lock())
    }

    /// Stores the result and wakes the parent if it waits; the slot is the parent's from here on.
    pub(crate) fn complete(&self, free: &mut FreeSlots, slot: Slot, code: i32, output: Vec<u8>) {
        let entry = self.slot(slot);
        entry.code.store(code, Ordering::Relaxed);
        let mut bits = DONE;
        if !output.is_empty() {
            *entry.payload.lock() = output;
            bits |= OUTPUT;
        }
        let before = entry.state.fetch_or(bits, Ordering::AcqRel);
        if before & RELEASED != 0 {
            self.orphans.fetch_sub(1, Ordering::AcqRel);
            self.recycle(free, slot);
        } else if before & WAITING != 0 {
            entry.waiter.wake();
        }
    }

    /// Notes that a call that was not started yet came from slot `theirs` of `rank`.
    pub(crate) fn set_sender(&self, slot: Slot, rank: RankId, theirs: Slot) {
        let entry = self.slot(slot);
        entry.sender.store(u64::from(rank) << 32 | u64::from(theirs), Ordering::Relaxed);
        entry.state.fetch_or(SENT, Ordering::Release);
    }

    /// The rank and its slot from which the call came, if it came from another one.
    pub(crate) fn sender(&self, slot: Slot) -> Option<(RankId, Slot)> {
        let entry = self.slot(slot);
        let sender = || {
            let sender = entry.sender.load(Ordering::Relaxed);
            ((sender >> 32) as RankId, sender as Slot)
        };
        (entry.state.load(Ordering::Acquire) & SENT != 0).then(sender)
    }

    /// Notes that a call is on its way to another rank.
    pub(crate) fn set_away(&self, slot: Slot, to: RankId) {
        self.far(slot).taker.store(to, Ordering::Relaxed);
        self.slot(slot).state.fetch_or(AWAY, Ordering::Release);
    }

    /// The rank that a call was sent to, as long as there is no result.
    pub(crate) fn taker(&self, slot: Slot) -> Option<RankId> {
        self.is_away(slot).then(|| self.far(slot).taker.load(Ordering::Relaxed))
    }

    /// Notes that a call that was not started yet stays on this rank.
    pub(crate) fn set_bound(&self, slot: Slot) {
        self.slot(slot).state.fetch_or(BOUND, Ordering::Relaxed);
    }

    /// Whether the call stays on this rank.
    pub(crate) fn is_bound(&self, slot: Slot) -> bool {
        self.slot(slot).state.load(Ordering::Relaxed) & BOUND != 0
    }

    /// Whether another rank may still send a result for this slot.
    pub(crate) fn is_away(&self, slot: Slot) -> bool {
        let fresh = self.fresh.load(Ordering::Relaxed);
        slot < fresh && {
            let state = self.slot(slot).state.load(Ordering::Acquire);
            state & AWAY != 0 && state & DONE == 0
        }
    }

    /// Whether the call has ended.
    pub(crate) fn is_done(&self, slot: Slot) -> bool {
        self.slot(slot).state.load(Ordering::Acquire) & DONE != 0
    }

    /// Registers the parent's waker; tells whether the call has ended meanwhile.
    pub(crate) fn poll_done(&self, slot: Slot, waker: &Waker) -> bool {
        if self.is_done(slot) {
            return true;
        }
        let entry = self.slot(slot);
        entry.waiter.register(waker);
        entry.state.fetch_or(WAITING, Ordering::AcqRel) & DONE != 0
    }

    /// The ended call's result code.
    pub(crate) fn code(&self, slot: Slot) -> i32 {
        debug_assert!(self.is_done(slot), "the result is read after it was stored");
        self.slot(slot).code.load(Ordering::Relaxed)
    }

    /// The ended call's output, leaving it empty.
    pub(crate) fn take_output(&self, slot: Slot) -> Vec<u8> {
        let entry = self.slot(slot);
        if entry.state.load(Ordering::Relaxed) & OUTPUT == 0 {
            return Vec::new();
        }
        std::mem::take(&mut entry.payload.lock())
    }

    /// Bytes of the ended call's output.
    pub(crate) fn output_len(&self, slot: Slot) -> usize {
        let entry = self.slot(slot);
        if entry.state.load(Ordering::Relaxed) & OUTPUT == 0 {
            0
        } else {
            entry.payload.lock().len()
        }
    }

    /// Gives the slot up: the parent has the result, or ended without wanting it.
    pub(crate) fn release(&self, free: &mut FreeSlots, slot: Slot) {
        // Counted before the child can see RELEASED, so that the count never goes below zero.
        self.orphans.fetch_add(1, Ordering::AcqRel);
        let before = self.slot(slot).state.fetch_or(RELEASED, Ordering::AcqRel);
        if before & DONE != 0 {
            self.orphans.fetch_sub(1, Ordering::AcqRel);
            self.recycle(free, slot);
        }
    }

    /// Gives up the slot of a call that is known to have ended.
    pub(crate) fn release_done(&self, free: &mut FreeSlots, slot: Slot) {
        debug_assert!(self.is_done(slot), "only ended calls are freed at once");
        self.recycle(free, slot);
    }

    /// Calls that still run although nobody will await them.
    pub(crate) fn orphans(&self) -> usize {
        self.orphans.load(Ordering::Acquire)
    }

    /// Notes which calls `slot` awaits.
    pub(crate) fn set_awaits(&self, slot: Slot, children: &[Slot], wanted: Wanted) {
        let what = match (children, wanted) {
            ([child], _) => child + 1,
            (_, Wanted::All) => SEVERAL,
            (_, Wanted::Any) => ANY,
        };
        if what >= ANY {
            self.several.lock().insert(slot, children.into());
        }
        // Only the call itself changes it.
        let awaits = &self.slot(slot).awaits;
        let number = (awaits.load(Ordering::Relaxed) >> 32) + 1;
        awaits.store(number << 32 | u64::from(what), Ordering::SeqCst);
    }

    /// Notes that `slot` awaits nobody any more.
    pub(crate) fn end_awaits(&self, slot: Slot) {
        let awaits = &self.slot(slot).awaits;
        let old = awaits.load(Ordering::Relaxed);
        awaits.store(old >> 32 << 32, Ordering::SeqCst);
        if old as u32 >= ANY {
            self.several.lock().remove(&slot);
        }
    }

    /// Which calls `slot` awaits.
    pub(crate) fn awaits(&self, slot: Slot) -> Vec<Slot> {
        self.awaited(slot, self.slot(slot).awaits.load(Ordering::SeqCst) as u32)
    }

    fn awaited(&self, slot: Slot, what: u32) -> Vec<Slot> {
        match what {
            0 => Vec::new(),
            ANY | SEVERAL => {
                self.several.lock().get(&slot).map_or_else(Vec::new, |all| all.to_vec())
            }
            child => vec![child - 1],
        }
    }

    /// The calls all of which `slot` awaits, and the number of this wait.
    pub(crate) fn awaits_all(&self, slot: Slot) -> Option<(u32, Vec<Slot>)> {
        let awaits = &self.slot(slot).awaits;
        let word = awaits.load(Ordering::SeqCst);
        let what = word as u32;
        let all = if what == 0 || what == ANY { return None } else { self.awaited(slot, what) };
        // Several calls are those of this wait if it is still the same one.
        (awaits.load(Ordering::SeqCst) == word).then_some(((word >> 32) as u32, all))
    }

    /// Notes what a call that is about to wait runs.
    pub(crate) fn set_title(&self, slot: Slot, title: Title) {
        self.far(slot).title.store(title.0, Ordering::Relaxed);
    }

    /// What a call that waits runs.
    pub(crate) fn title(&self, slot: Slot) -> Title {
        Title(self.far(slot).title.load(Ordering::Relaxed))
    }

    /// Notes the number of a call for locks that other ranks serve; 0 when it gives them up.
    pub(crate) fn set_lock_id(&self, slot: Slot, id: u64) {
        let far = self.far(slot);
        far.lock_id.store(id, Ordering::Relaxed);
        if id == 0 {
            self.set_abroad(slot, None);
        }
    }

    /// Notes of which rank the call awaits a lock, if any.
    pub(crate) fn set_abroad(&self, slot: Slot, server: Option<RankId>) {
        let abroad = &self.far(slot).abroad;
        // Only the call itself changes it.
        let number = (abroad.load(Ordering::Relaxed) >> 32) + u64::from(server.is_some());
        let server = server.map_or(0, |server| u64::from(server) + 1);
        abroad.store(number << 32 | server, Ordering::Release);
    }

    /// The rank of which the call awaits a lock, the number of this wait, and the call's number for locks.
    pub(crate) fn abroad(&self, slot: Slot) -> Option<(RankId, u32, u64)> {
        let far = self.far(slot);
        let word = far.abroad.load(Ordering::Acquire);
        let server = (word as u32).checked_sub(1)?;
        Some((server, (word >> 32) as u32, far.lock_id.load(Ordering::Relaxed)))
    }

    /// Finds the calls that came from these slots of other ranks, and those with these numbers for locks.
    /// Looks at every slot: calls pay nothing for being found.
    pub(crate) fn find(&self, sent: &mut Found<(RankId, Slot)>, holders: &mut Found<u64>) {
        let fresh = self.fresh.load(Ordering::Relaxed) as usize;
        let lock_id = |far: &FarSlot| far.lock_id.load(Ordering::Relaxed);
        for (segment, slots) in self.segments.iter().take(fresh.div_ceil(SEGMENT)).enumerate() {
            for at in 0..slots.get().map_or(0, |slots| slots.len()) {
                let slot = (segment * SEGMENT + at) as Slot;
                if let Some(place) = self.sender(slot).and_then(|from| sent.get_mut(&from)) {
                    *place = Some(slot);
                }
                let id = self.far[segment].get().map_or(0, |far| lock_id(&far[at]));
                // Nobody has number 0.
                if let Some(place) = holders.get_mut(&id).filter(|_| id != 0) {
                    *place = Some(slot);
                }
            }
        }
    }
}

/// Calls that are looked for, and their slots.
pub(crate) type Found<K> = HashMap<K, Option<Slot>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_second_frees_the_slot() {
        let (table, mut free) = (CallTable::new(), FreeSlots::default());
        for parent_first in [true, false] {
            let slot = table.acquire(&mut free, b"in".to_vec()).unwrap();
            assert_eq!(table.take_input(slot), b"in");
            if parent_first {
                table.release(&mut free, slot);
                assert_eq!(table.orphans(), 1);
            }
            table.complete(&mut free, slot, 7, b"out".to_vec());
            if !parent_first {
                assert_eq!((table.code(slot), table.take_output(slot)), (7, b"out".to_vec()));
                table.release_done(&mut free, slot);
            }
            assert_eq!(table.orphans(), 0);
            let again = table.acquire(&mut free, Vec::new());
            assert_eq!(again, Some(slot), "the slot is free again");
            assert!(!table.is_done(slot) && table.take_output(slot).is_empty());
            table.complete(&mut free, slot, 0, Vec::new());
            table.release_done(&mut free, slot);
        }
    }

    #[test]
    fn titles_keep_what_they_name() {
        for entry in [Entry::Index(3), Entry::Index(-1), Entry::Pointer(0xFFFF_FFFF)] {
            assert_eq!(Title::new(70_000, entry).parts(), (70_000, entry));
        }
    }

    #[test]
    fn every_wait_has_a_number_of_its_own_also_in_the_next_life_of_a_slot() {
        let (table, mut free) = (CallTable::new(), FreeSlots::default());
        let mut numbers = std::collections::HashSet::new();
        for _ in 0..3 {
            let slot = table.acquire(&mut free, Vec::new()).unwrap();
            assert_eq!(table.awaits_all(slot), None);
            for children in [&[7][..], &[7, 8], &[7]] {
                table.set_awaits(slot, children, Wanted::All);
                let (number, awaited) = table.awaits_all(slot).unwrap();
                assert!(
                    numbers.insert(number) && awaited == children && table.awaits(slot) == awaited
                );
                table.end_awaits(slot);
            }
            // Any of one is all of it; any of two needs neither.
            table.set_awaits(slot, &[7], Wanted::Any);
            assert!(table.awaits_all(slot).is_some());
            table.end_awaits(slot);
            table.set_awaits(slot, &[7, 8], Wanted::Any);
            assert_eq!((table.awaits_all(slot), table.awaits(slot)), (None, vec![7, 8]));
            // It ends while it waits.
            table.complete(&mut free, slot, 0, Vec::new());
            table.release_done(&mut free, slot);
        }
    }

    #[test]
    fn calls_are_found_by_where_they_came_from_and_by_their_number_for_locks() {
        let (table, mut free) = (CallTable::new(), FreeSlots::default());
        let [one, two] = [(); 2].map(|()| table.acquire(&mut free, Vec::new()).unwrap());
        table.set_sender(one, 3, 17);
        table.set_lock_id(two, 5);
        let find = || {
            let mut sent = Found::from([((3, 17), None), ((2, 17), None)]);
            let mut holders = Found::from([(5, None), (6, None)]);
            table.find(&mut sent, &mut holders);
            (sent[&(3, 17)], sent[&(2, 17)], holders[&5], holders[&6])
        };
        assert_eq!(find(), (Some(one), None, Some(two), None));
        table.set_abroad(two, Some(0));
        assert!(matches!(table.abroad(two), Some((0, _, 5))));
        table.set_lock_id(two, 0);
        assert_eq!(table.abroad(two), None);
        table.recycle(&mut free, one);
        assert_eq!(find(), (None, None, None, None), "ended calls are not found");
    }
}
