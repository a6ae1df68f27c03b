//! Which ranges of an arena are free (pure): first fit, coalescing, aligned.
//!
//! Invariants: free ranges are sorted, disjoint, not empty and never touch each other.

use std::ops::Range;

/// The free ranges of an arena, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct FreeList {
    free: Vec<Range<u64>>,
}

impl FreeList {
    /// Everything in `range` is free.
    pub(crate) fn new(range: Range<u64>) -> Self {
        Self { free: vec![range] }
    }

    /// Takes the first range of `len` bytes that starts at a multiple of `align`.
    pub(crate) fn take(&mut self, len: u64, align: u64) -> Option<u64> {
        for index in 0..self.free.len() {
            let hole = self.free[index].clone();
            let Some(start) = hole.start.checked_next_multiple_of(align) else { continue };
            let Some(end) = start.checked_add(len).filter(|&end| end <= hole.end) else { continue };
            let parts = [hole.start..start, end..hole.end];
            self.free.splice(index..=index, parts.into_iter().filter(|part| part.start < part.end));
            return Some(start);
        }
        None
    }

    /// Gives a range back that was taken.
    pub(crate) fn give(&mut self, range: Range<u64>) {
        let index = self.free.partition_point(|hole| hole.start < range.start);
        debug_assert!(
            index == 0 || self.free[index - 1].end <= range.start,
            "{range:?} was free already"
        );
        self.free.insert(index, range);
        if self.free.get(index + 1).is_some_and(|next| next.start == self.free[index].end) {
            self.free[index].end = self.free.remove(index + 1).end;
        }
        if index > 0 && self.free[index - 1].end == self.free[index].start {
            self.free[index - 1].end = self.free.remove(index).end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn taken_ranges_are_aligned_disjoint_and_come_back(
            steps in prop::collection::vec((1u64..300, 0u32..5, any::<prop::sample::Index>()), 1..80),
        ) {
            let mut list = FreeList::new(64..4096);
            let mut taken: Vec<Range<u64>> = Vec::new();
            for (len, align, pick) in steps {
                let align = 1 << align;
                if let Some(start) = list.take(len, align) {
                    let range = start..start + len;
                    prop_assert!(start % align == 0 && start >= 64 && range.end <= 4096);
                    prop_assert!(taken.iter().all(|t| t.end <= range.start || range.end <= t.start));
                    taken.push(range);
                } else if !taken.is_empty() {
                    list.give(taken.swap_remove(pick.index(taken.len())));
                }
            }
            for range in taken {
                list.give(range);
            }
            prop_assert_eq!(list.free, vec![64..4096]);
        }
    }
}
