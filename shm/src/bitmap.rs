//! One bit per chunk, in shared memory: present, dirty.
//!
//! ```text
//!  word 0 (u64)                    word 1
//!  │ chunk 0 │ 1 │ 2 │ … │ 63 │    │ 64 │ 65 │ …
//! ```
//!
//! Every change is one atomic operation on one word, so threads and processes may use the same
//! bits: a set that another one drains at that moment is either reported by that drain or still set
//! after it. Setting is `Release` and taking is `Acquire`: who takes a bit sees what was written
//! before it was set.
//!
//! Invariants: bits past the count are never set here, and ignored when something else set them.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Result;
use crate::units::{ChunkCount, ChunkIndex};
use crate::view::ByteView;

const WORD_BITS: u32 = u64::BITS;

/// A set of chunks that several processes use at once.
#[derive(Debug, Clone)]
pub struct Bitmap {
    words: ByteView,
    count: ChunkCount,
}

impl Bitmap {
    /// Bytes that a bitmap for `count` chunks takes.
    #[must_use]
    pub const fn bytes_for(count: ChunkCount) -> usize {
        count.0.div_ceil(WORD_BITS) as usize * size_of::<u64>()
    }

    /// The bitmap for `count` chunks in the first bytes of `view`, with whatever bits are set there
    /// (none in fresh memory).
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) when the view is too short,
    /// [`Error::Misaligned`](crate::Error::Misaligned) when it does not start at a multiple of 8
    /// bytes.
    pub fn new(view: ByteView, count: ChunkCount) -> Result<Self> {
        let words = view.sub(0, Self::bytes_for(count))?;
        if !words.is_empty() {
            words.atomic_u64(0)?;
        }
        Ok(Self { words, count })
    }

    /// Number of chunks.
    #[must_use]
    pub fn chunks(&self) -> ChunkCount {
        self.count
    }

    /// Sets the bit of `chunk`; tells whether it was clear.
    ///
    /// # Panics
    /// When there is no such chunk.
    pub fn set(&self, chunk: ChunkIndex) -> bool {
        let (word, mask) = self.locate(chunk);
        word.fetch_or(mask, Ordering::Release) & mask == 0
    }

    /// Clears the bit of `chunk`; tells whether it was set.
    ///
    /// # Panics
    /// When there is no such chunk.
    pub fn clear(&self, chunk: ChunkIndex) -> bool {
        let (word, mask) = self.locate(chunk);
        word.fetch_and(!mask, Ordering::AcqRel) & mask != 0
    }

    /// Whether the bit of `chunk` is set.
    ///
    /// # Panics
    /// When there is no such chunk.
    #[must_use]
    pub fn test(&self, chunk: ChunkIndex) -> bool {
        let (word, mask) = self.locate(chunk);
        word.load(Ordering::Acquire) & mask != 0
    }

    /// Sets the bits of all `chunks`.
    ///
    /// # Panics
    /// When they are not all chunks of this bitmap.
    pub fn set_range(&self, chunks: Range<u32>) {
        self.check(&chunks);
        for (word, mask) in masks(chunks) {
            self.word(word).fetch_or(mask, Ordering::Release);
        }
    }

    /// Clears the bits of all `chunks`.
    ///
    /// # Panics
    /// When they are not all chunks of this bitmap.
    pub fn clear_range(&self, chunks: Range<u32>) {
        self.check(&chunks);
        for (word, mask) in masks(chunks) {
            self.word(word).fetch_and(!mask, Ordering::AcqRel);
        }
    }

    /// Whether the bits of all `chunks` are set.
    ///
    /// # Panics
    /// When they are not all chunks of this bitmap.
    #[must_use]
    pub fn has_range(&self, chunks: Range<u32>) -> bool {
        self.check(&chunks);
        masks(chunks).all(|(word, mask)| self.word(word).load(Ordering::Acquire) & mask == mask)
    }

    fn check(&self, chunks: &Range<u32>) {
        let inside = chunks.is_empty() || chunks.end <= self.count.0;
        assert!(inside, "chunks {chunks:?} of {}", self.count.0);
    }

    /// Clears all bits and calls `taken` for each that was set, in ascending order.
    pub fn drain(&self, mut taken: impl FnMut(ChunkIndex)) {
        for index in 0..self.word_count() {
            let word = self.word(index);
            // Words without a bit are the most; reading them leaves their cache line shared.
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let bits = word.swap(0, Ordering::AcqRel) & self.valid(index);
            bits_of(index, bits).for_each(&mut taken);
        }
    }

    /// Clears all bits and returns those that were set, in ascending order.
    #[must_use]
    pub fn take_all(&self) -> Vec<ChunkIndex> {
        let mut all = Vec::new();
        self.drain(|chunk| all.push(chunk));
        all
    }

    /// The chunks whose bits are set, in ascending order, each as it was when it was looked at.
    pub fn iter_set(&self) -> impl Iterator<Item = ChunkIndex> + '_ {
        (0..self.word_count()).flat_map(|index| bits_of(index, self.load(index)))
    }

    /// Number of bits that are set.
    #[must_use]
    pub fn count(&self) -> u32 {
        (0..self.word_count()).map(|index| self.load(index).count_ones()).sum()
    }

    fn load(&self, index: u32) -> u64 {
        self.word(index).load(Ordering::Acquire) & self.valid(index)
    }

    /// The bits of a word that stand for chunks.
    fn valid(&self, index: u32) -> u64 {
        let bits = (self.count.0 - index * WORD_BITS).min(WORD_BITS);
        u64::MAX >> (WORD_BITS - bits)
    }

    fn word_count(&self) -> u32 {
        self.count.0.div_ceil(WORD_BITS)
    }

    fn word(&self, index: u32) -> &AtomicU64 {
        self.words
            .atomic_u64(index as usize * size_of::<u64>())
            .expect("`new` checked length and alignment")
    }

    fn locate(&self, chunk: ChunkIndex) -> (&AtomicU64, u64) {
        assert!(chunk.0 < self.count.0, "chunk {} of {}", chunk.0, self.count.0);
        (self.word(chunk.0 / WORD_BITS), 1 << (chunk.0 % WORD_BITS))
    }
}

/// The words that hold the bits of `chunks`, each with a mask of those bits.
fn masks(chunks: Range<u32>) -> impl Iterator<Item = (u32, u64)> {
    let mut at = chunks.start;
    std::iter::from_fn(move || {
        let bits = (WORD_BITS - at % WORD_BITS).min(chunks.end.saturating_sub(at));
        let mask = (bits > 0).then(|| (u64::MAX >> (WORD_BITS - bits)) << (at % WORD_BITS))?;
        let word = at / WORD_BITS;
        at += bits;
        Some((word, mask))
    })
}

fn bits_of(index: u32, mut bits: u64) -> impl Iterator<Item = ChunkIndex> {
    std::iter::from_fn(move || {
        let bit = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits - 1;
        Some(ChunkIndex(index * WORD_BITS + bit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{Alignment, Arena, ArenaOptions};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bitmap(count: u32) -> Bitmap {
        let arena = Arena::create_private(ArenaOptions { capacity: 1 << 20, numa_node: None });
        let block = arena.expect("an arena").alloc(4096, Alignment::Chunk).expect("a page");
        Bitmap::new(block.view(), ChunkCount(count)).expect("it fits")
    }

    #[test]
    fn bytes_are_whole_words() {
        let bytes = |count| Bitmap::bytes_for(ChunkCount(count));
        assert_eq!([bytes(0), bytes(1), bytes(64), bytes(65)], [0, 8, 8, 16]);
        assert_eq!(bytes(u32::MAX), 1 << 29);
    }

    #[test]
    fn too_short_or_unaligned_views_are_refused() {
        let view = bitmap(64).words;
        assert!(Bitmap::new(view.clone(), ChunkCount(65)).is_err());
        assert!(Bitmap::new(view.sub(4, 4).expect("inside"), ChunkCount(1)).is_err());
        assert!(Bitmap::new(view.sub(8, 0).expect("inside"), ChunkCount(0)).is_ok());
    }

    #[test]
    fn bits_past_the_count_are_ignored() {
        let bits = bitmap(65);
        bits.words.put(8, u64::MAX).expect("inside");
        assert_eq!(bits.count(), 1);
        assert_eq!(bits.take_all(), [ChunkIndex(64)]);
    }

    #[test]
    #[should_panic(expected = "chunk 65 of 65")]
    fn a_chunk_past_the_count_is_refused() {
        bitmap(65).set(ChunkIndex(65));
    }

    #[test]
    #[should_panic(expected = "chunks 0..66 of 65")]
    fn a_range_past_the_count_is_refused() {
        bitmap(65).set_range(0..66);
    }

    #[test]
    fn drains_and_sets_at_once_lose_no_bit_and_report_none_twice() {
        // Drains that found something: only those raced with the setter.
        const MEETINGS: u32 = 50_000;
        let bits = bitmap(64);
        let stop = std::sync::atomic::AtomicBool::new(false);
        let mut drained = 0u64;
        let set: u64 = std::thread::scope(|scope| {
            let setter = scope.spawn(|| {
                let rounds = (0..64).cycle().take_while(|_| !stop.load(Ordering::Relaxed));
                rounds.filter(|&i| bits.set(ChunkIndex(i))).count() as u64
            });
            let mut meetings = 0;
            while meetings < MEETINGS {
                let before = drained;
                bits.drain(|_| drained += 1);
                if drained == before {
                    std::thread::yield_now();
                } else {
                    meetings += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
            setter.join().expect("no panic")
        });
        bits.drain(|_| drained += 1);
        assert_eq!(drained, set, "each bit that became set is reported once");
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(steps in prop::collection::vec((0u8..4, 0u32..200, 0u32..200), 1..60)) {
            let (bits, mut set) = (bitmap(200), BTreeSet::new());
            for (kind, a, b) in steps {
                match kind {
                    0 => prop_assert_eq!(bits.set(ChunkIndex(a)), set.insert(a)),
                    1 => prop_assert_eq!(bits.clear(ChunkIndex(a)), set.remove(&a)),
                    2 => {
                        bits.set_range(a..b);
                        set.extend(a..b);
                        prop_assert!(bits.has_range(a..b));
                    }
                    _ => {
                        let all = (a..b).all(|chunk| set.contains(&chunk));
                        prop_assert_eq!(bits.has_range(a..b), all);
                        bits.clear_range(a..b);
                        set.retain(|chunk| !(a..b).contains(chunk));
                    }
                }
                prop_assert_eq!(bits.count() as usize, set.len());
                prop_assert_eq!(bits.test(ChunkIndex(b)), set.contains(&b));
                prop_assert!(bits.iter_set().map(|chunk| chunk.0).eq(set.iter().copied()));
            }
            prop_assert!(bits.take_all().iter().map(|chunk| chunk.0).eq(set));
            prop_assert_eq!(bits.count(), 0);
        }
    }
}
