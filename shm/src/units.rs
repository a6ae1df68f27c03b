//! Quantities as types: pages, chunks, and the arithmetic between them.
//!
//! ```text
//!  bytes   0        4096      8192   …   65536                 131072
//!  pages   ├── 0 ───┼── 1 ────┼── …      │                     │
//!  chunks  ├─────────── 0 ───────────────┼────────── 1 ────────┤
//! ```
//!
//! Invariants: a [`PageBytes`] is a multiple of [`PAGE_BYTES`]; nothing here wraps, overflow is
//! `None` or saturates where the text says so. Pure: no input or output.

use std::fmt;
use std::ops::Range;

/// Bytes of a page, the unit of mapping.
pub const PAGE_BYTES: usize = 4096;

/// Bytes of a chunk, the unit of presence, dirtiness and transfer (one WebAssembly page).
pub const CHUNK_BYTES: usize = 65536;

/// Bytes of a huge page, the alignment of large blocks.
pub const HUGE_BYTES: usize = 2 << 20;

/// A number of bytes that is a whole number of pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageBytes(usize);

impl PageBytes {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// `bytes`, if they are whole pages.
    #[must_use]
    pub const fn new(bytes: usize) -> Option<Self> {
        if bytes.is_multiple_of(PAGE_BYTES) { Some(Self(bytes)) } else { None }
    }

    /// The fewest whole pages that hold `bytes`; `None` where that overflows.
    #[must_use]
    pub const fn round_up(bytes: usize) -> Option<Self> {
        match bytes.checked_next_multiple_of(PAGE_BYTES) {
            Some(rounded) => Some(Self(rounded)),
            None => None,
        }
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }

    /// The number of pages.
    #[must_use]
    pub const fn pages(self) -> usize {
        self.0 / PAGE_BYTES
    }

    /// The sum; `None` where it overflows.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }
}

impl fmt::Display for PageBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

/// Number of a chunk within a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkIndex(pub u32);

impl ChunkIndex {
    /// The chunk that holds byte number `byte`; bytes past the last possible chunk count as in it.
    #[must_use]
    pub fn containing(byte: u64) -> Self {
        Self(u32::try_from(byte / CHUNK_BYTES as u64).unwrap_or(u32::MAX))
    }

    /// Offset of the chunk's first byte.
    #[must_use]
    pub const fn first_byte(self) -> u64 {
        // Cannot overflow: 2^32 chunks of 2^16 bytes.
        self.0 as u64 * CHUNK_BYTES as u64
    }
}

/// A number of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkCount(pub u32);

impl ChunkCount {
    /// The fewest chunks that hold `bytes`; `None` when they are more than 2^32 - 1 (256 TiB).
    #[must_use]
    pub fn for_bytes(bytes: u64) -> Option<Self> {
        u32::try_from(bytes.div_ceil(CHUNK_BYTES as u64)).ok().map(Self)
    }

    /// Bytes that so many chunks hold.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0 as u64 * CHUNK_BYTES as u64
    }
}

/// The chunks that `len` bytes at `offset` touch; empty when `len` is 0.
///
/// Saturates at chunk 2^32 - 1, which no [`ChunkCount`] reaches, so that a wrong range is refused
/// by whatever it is used with.
#[must_use]
pub fn chunk_range(offset: u64, len: u64) -> Range<u32> {
    let first = ChunkIndex::containing(offset).0;
    if len == 0 {
        return first..first;
    }
    let last = ChunkIndex::containing(offset.saturating_add(len - 1)).0;
    first..last.saturating_add(1)
}

/// Whether `len` units at `at` lie within `size`, whatever the numbers.
pub(crate) fn fits(at: usize, len: usize, size: usize) -> bool {
    at.checked_add(len).is_some_and(|end| end <= size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn page_bytes_are_whole_pages() {
        assert_eq!(PageBytes::new(4096).map(PageBytes::get), Some(4096));
        assert_eq!(PageBytes::new(4097), None);
        assert_eq!(PageBytes::new(0), Some(PageBytes::ZERO));
        assert_eq!(PageBytes::round_up(1).map(PageBytes::pages), Some(1));
        assert_eq!(PageBytes::round_up(usize::MAX), None);
        let top = PageBytes::new(usize::MAX - 4095).expect("whole pages");
        assert_eq!(top.checked_add(PageBytes::new(4096).expect("a page")), None);
    }

    #[test]
    fn chunk_ranges_at_the_edges() {
        assert_eq!(chunk_range(0, 0), 0..0);
        assert_eq!(chunk_range(0, 1), 0..1);
        assert_eq!(chunk_range(65535, 1), 0..1);
        assert_eq!(chunk_range(65535, 2), 0..2);
        assert_eq!(chunk_range(65536, 65536), 1..2);
        assert_eq!(chunk_range(u64::MAX, u64::MAX), u32::MAX..u32::MAX);
        assert_eq!(ChunkCount::for_bytes(0), Some(ChunkCount(0)));
        assert_eq!(ChunkCount::for_bytes(65537), Some(ChunkCount(2)));
        assert_eq!(ChunkCount::for_bytes(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn chunk_range_holds_first_and_last_byte_and_no_chunk_more(
            offset in 0u64..1 << 40,
            len in 1u64..1 << 40,
        ) {
            let range = chunk_range(offset, len);
            prop_assert!(ChunkIndex(range.start).first_byte() <= offset);
            prop_assert!(offset < ChunkIndex(range.start + 1).first_byte());
            prop_assert!(ChunkIndex(range.end - 1).first_byte() < offset + len);
            prop_assert!(offset + len <= ChunkIndex(range.end).first_byte());
        }

        #[test]
        fn fits_agrees_with_wide_arithmetic(at: usize, len: usize, size: usize) {
            prop_assert_eq!(fits(at, len, size), at as u128 + len as u128 <= size as u128);
        }

        #[test]
        fn rounding_up_is_the_least_whole_page(bytes in 0usize..usize::MAX - PAGE_BYTES) {
            let up = PageBytes::round_up(bytes).expect("far from overflow").get();
            prop_assert!(up >= bytes && up - bytes < PAGE_BYTES && up.is_multiple_of(PAGE_BYTES));
        }
    }
}
