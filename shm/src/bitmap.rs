//! One bit a chunk, in shared memory: which chunks are present, which are dirty.
//!
//! All operations are atomic, so several processes may use one bitmap at once.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Result;
use crate::units::ChunkCount;
use crate::view::ByteView;

const BITS: u32 = u64::BITS;

/// A bitmap over a view. Bits are numbered from 0 to its count.
#[derive(Debug, Clone)]
pub struct Bitmap {
    words: ByteView,
    bits: u32,
}

impl Bitmap {
    /// Bytes that a bitmap of so many chunks takes.
    #[must_use]
    pub fn bytes_for(chunks: ChunkCount) -> usize {
        chunks.0.div_ceil(BITS) as usize * size_of::<u64>()
    }

    /// A bitmap over the first bytes of `view`, whose contents it keeps.
    ///
    /// # Errors
    /// When the view is too short or not aligned to 8 bytes.
    pub fn new(view: ByteView, chunks: ChunkCount) -> Result<Self> {
        let words = view.sub(0, Self::bytes_for(chunks))?;
        if chunks.0 > 0 {
            words.atomic_u64(0)?;
        }
        Ok(Self { words, bits: chunks.0 })
    }

    fn word(&self, index: u32) -> &AtomicU64 {
        self.words.atomic_u64(index as usize * size_of::<u64>()).expect("checked when it was made")
    }

    /// Sets the bits of a range.
    ///
    /// # Panics
    /// When the range ends past the last bit.
    pub fn set_range(&self, range: Range<u32>) {
        assert!(range.end <= self.bits, "{range:?} of {} bits", self.bits);
        let mut at = range.start;
        while at < range.end {
            let last = range.end.min((at / BITS + 1) * BITS);
            let ones = u64::MAX >> (BITS - (last - at));
            self.word(at / BITS).fetch_or(ones << (at % BITS), Ordering::AcqRel);
            at = last;
        }
    }

    /// Whether a bit is set.
    ///
    /// # Panics
    /// When there is no such bit.
    #[must_use]
    pub fn test(&self, bit: u32) -> bool {
        assert!(bit < self.bits, "bit {bit} of {}", self.bits);
        self.word(bit / BITS).load(Ordering::Acquire) >> (bit % BITS) & 1 == 1
    }

    /// Clears all bits and reports those that were set, in order. A bit set meanwhile is either
    /// reported or stays.
    pub fn drain(&self, mut report: impl FnMut(u32)) {
        for index in 0..self.bits.div_ceil(BITS) {
            let word = self.word(index);
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut taken = word.swap(0, Ordering::AcqRel);
            while taken != 0 {
                report(index * BITS + taken.trailing_zeros());
                taken &= taken - 1;
            }
        }
    }

    /// Number of bits set.
    #[must_use]
    pub fn count(&self) -> u32 {
        let ones = |index| self.word(index).load(Ordering::Acquire).count_ones();
        (0..self.bits.div_ceil(BITS)).map(ones).sum()
    }
}
