//! Which parts of an arena are free. Pure: knows numbers, not memory.
//!
//! ```text
//!  0 ├─ taken ─┼──── free ────┼─ taken ─┼─ taken ─┼──────── free ────────┤ total
//!              └ 3 … 8                            └ 12 … 20     (start → end, ascending)
//! ```
//!
//! First fit: the lowest free range that holds an aligned extent gives it up. Freed ranges join
//! their neighbours.
//!
//! Invariants: free ranges are not empty, do not overlap and do not touch; free and taken together
//! are everything below `total`.

use std::collections::BTreeMap;

/// Free ranges of an arena.
#[derive(Debug)]
pub(super) struct Extents {
    /// Start of each free range and its end.
    free: BTreeMap<u64, u64>,
}

impl Extents {
    /// Everything from `start` to `end` is free.
    pub(super) fn new(start: u64, end: u64) -> Self {
        let free = if start < end { BTreeMap::from([(start, end)]) } else { BTreeMap::new() };
        Self { free }
    }

    /// Takes `len` (not 0) at a multiple of `align` (a power of two).
    pub(super) fn take(&mut self, len: u64, align: u64) -> Option<u64> {
        debug_assert!(len > 0 && align.is_power_of_two());
        let fit = |(&start, &end): (&u64, &u64)| {
            let at = start.checked_next_multiple_of(align)?;
            (at.checked_add(len)? <= end).then_some((start, end, at))
        };
        let (start, end, at) = self.free.iter().find_map(fit)?;
        self.free.remove(&start);
        if start < at {
            self.free.insert(start, at);
        }
        if at + len < end {
            self.free.insert(at + len, end);
        }
        Some(at)
    }

    /// Gives back what [`take`](Self::take) returned; nothing, if `len` is 0.
    ///
    /// # Panics
    /// When a part of it is free already.
    pub(super) fn give(&mut self, at: u64, len: u64) {
        if len == 0 {
            return;
        }
        let (mut start, mut end) = (at, at + len);
        if let Some((&before, &before_end)) = self.free.range(..=at).next_back() {
            assert!(before_end <= at, "{len} at {at} given back twice");
            if before_end == at {
                self.free.remove(&before);
                start = before;
            }
        }
        if let Some((&after, &after_end)) = self.free.range(at..).next() {
            assert!(end <= after, "{len} at {at} given back twice");
            if after == end {
                self.free.remove(&after);
                end = after_end;
            }
        }
        self.free.insert(start, end);
    }

    /// Length of the longest free range.
    pub(super) fn longest(&self) -> u64 {
        self.free.iter().map(|(start, end)| end - start).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_join_whatever_the_order() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1], [1, 2, 0], [2, 0, 1]] {
            let mut extents = Extents::new(0, 30);
            let taken = [0, 1, 2].map(|_| extents.take(10, 1).expect("room"));
            assert_eq!(extents.longest(), 0);
            assert_eq!(extents.take(1, 1), None);
            order.iter().for_each(|&i| extents.give(taken[i], 10));
            assert_eq!(extents.free, BTreeMap::from([(0, 30)]), "order {order:?}");
        }
    }

    #[test]
    fn alignment_leaves_the_gap_free() {
        let mut extents = Extents::new(3, 64);
        assert_eq!(extents.take(8, 16), Some(16));
        assert_eq!(extents.free, BTreeMap::from([(3, 16), (24, 64)]));
        assert_eq!(extents.take(13, 1), Some(3));
        assert_eq!(extents.take(u64::MAX, 1), None);
        assert_eq!(extents.take(8, 1 << 63), None);
    }

    #[test]
    #[should_panic(expected = "given back twice")]
    fn giving_back_twice_is_noticed() {
        let mut extents = Extents::new(0, 100);
        let at = extents.take(10, 1).expect("room");
        extents.give(at, 10);
        extents.give(at, 10);
    }

    fn assert_invariants(extents: &Extents, taken: &[(u64, u64)], total: u64) {
        let mut all: Vec<_> = taken.iter().map(|&(at, len)| (at, at + len)).collect();
        all.extend(extents.free.iter().map(|(&start, &end)| (start, end)));
        all.sort_unstable();
        assert!(all.iter().all(|(start, end)| start < end), "empty range");
        let covered = all.iter().try_fold(0, |at, &(start, end)| (at == start).then_some(end));
        assert_eq!(covered, Some(total), "gap or overlap");
        let free: Vec<_> = extents.free.iter().collect();
        assert!(free.windows(2).all(|pair| pair[0].1 < pair[1].0), "free ranges touch");
    }

    /// Whether to give back, a length, the exponent of an alignment, and which one to give back.
    fn step() -> impl Strategy<Value = (bool, u64, u32, prop::sample::Index)> {
        (any::<bool>(), 1u64..40, 0u32..5, any::<prop::sample::Index>())
    }

    proptest! {
        #[test]
        fn free_and_taken_are_everything(
            steps in prop::collection::vec(step(), 1..200),
        ) {
            const TOTAL: u64 = 256;
            let mut extents = Extents::new(0, TOTAL);
            let mut taken = Vec::new();
            for (give, len, align, index) in steps {
                if give && !taken.is_empty() {
                    let (at, len) = taken.swap_remove(index.index(taken.len()));
                    extents.give(at, len);
                } else if let Some(at) = extents.take(len, 1 << align) {
                    prop_assert!(at.is_multiple_of(1 << align));
                    taken.push((at, len));
                } else {
                    // Refused: then no free range may have had room for it.
                    let fits = |(&s, &e): (&u64, &u64)| s.next_multiple_of(1 << align) + len <= e;
                    prop_assert!(!extents.free.iter().any(fits));
                }
                assert_invariants(&extents, &taken, TOTAL);
            }
            for (at, len) in taken.drain(..) {
                extents.give(at, len);
            }
            prop_assert_eq!(extents.longest(), TOTAL);
        }
    }
}
