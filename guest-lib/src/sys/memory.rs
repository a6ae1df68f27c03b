//! Shared bytes as elements of a type: single ones by relaxed atomic operations, parts as slices.
//!
//! ```text
//!  start ─▶ │ T 0 │ T 1 │ … │ T len-1 │   mapped as long as the call runs, aligned for T
//! ```
//!
//! Unsafe because other calls write here at any time. Invariants: `start` is valid for `len`
//! elements of a type for which any bits are a value; every index is checked here; who makes slices
//! keeps the rules of [`crate::window`], whose `View`s note them.

use core::marker::PhantomData;
use core::ops::Range;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use bytemuck::Pod;

use super::atomic::Word;

/// Elements in shared memory.
#[derive(Debug)]
pub(crate) struct Elements<T> {
    start: *mut u8,
    len: usize,
    of: PhantomData<T>,
}

impl<T> Elements<T> {
    /// Where they begin.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The index, if there is such an element.
    pub(crate) fn checked(&self, at: usize) -> usize {
        assert!(at < self.len, "a window of {} elements has none at {at}", self.len);
        at
    }

    /// The part, if there is such.
    pub(crate) fn checked_part(&self, part: Range<usize>) -> Range<usize> {
        let inside = part.start <= part.end && part.end <= self.len;
        assert!(inside, "a window of {} elements has no part {part:?}", self.len);
        part
    }

    fn address(&self, at: usize) -> *mut u8 {
        // In bounds: both callers have checked the index or the end of the part.
        self.start.wrapping_add(at * size_of::<T>())
    }
}

impl<T: Pod> Elements<T> {
    /// Elements at an address that the host gave for a window of so many bytes.
    pub(crate) fn new(start: *mut u8, len: usize) -> Self {
        let aligned = (start.addr()).is_multiple_of(align_of::<T>());
        assert!(aligned, "the host maps offsets with their alignment");
        Self { start, len, of: PhantomData }
    }

    /// An element; of 1, 2, 4 or 8 bytes in one piece.
    pub(crate) fn get(&self, at: usize) -> T {
        let from = self.address(self.checked(at));
        let mut value = T::zeroed();
        let to = bytemuck::bytes_of_mut(&mut value);
        match to.len() {
            2 if whole::<T>() => to.copy_from_slice(&word16(from).load(RELAXED).to_ne_bytes()),
            4 if whole::<T>() => to.copy_from_slice(&word32(from).load(RELAXED).to_ne_bytes()),
            8 if whole::<T>() => to.copy_from_slice(&word64(from).load(RELAXED).to_ne_bytes()),
            _ => {
                for (i, byte) in to.iter_mut().enumerate() {
                    *byte = word8(from.wrapping_add(i)).load(RELAXED);
                }
            }
        }
        value
    }

    /// Replaces an element; of 1, 2, 4 or 8 bytes in one piece.
    pub(crate) fn set(&self, at: usize, value: T) {
        let to = self.address(self.checked(at));
        match bytemuck::bytes_of(&value) {
            &[a, b] if whole::<T>() => word16(to).store(u16::from_ne_bytes([a, b]), RELAXED),
            &[a, b, c, d] if whole::<T>() => {
                word32(to).store(u32::from_ne_bytes([a, b, c, d]), RELAXED);
            }
            &[a, b, c, d, e, f, g, h] if whole::<T>() => {
                word64(to).store(u64::from_ne_bytes([a, b, c, d, e, f, g, h]), RELAXED);
            }
            bytes => {
                for (i, &byte) in bytes.iter().enumerate() {
                    word8(to.wrapping_add(i)).store(byte, RELAXED);
                }
            }
        }
    }

    /// A part that nobody writes: [`crate::window`], rule 2.
    pub(crate) fn slice(&self, part: Range<usize>) -> &[T] {
        let part = self.checked_part(part);
        let start = self.address(part.start).cast::<T>();
        // SAFETY: the part is inside of the elements, aligned, and any bits are a `T`. This call
        // writes nothing here (the window's count of readers), others by rule 2.
        unsafe { core::slice::from_raw_parts(start, part.len()) }
    }

    /// A part that nobody else touches: [`crate::window`], rule 2.
    #[allow(clippy::mut_from_ref, reason = "the window is borrowed mutably by the caller")]
    pub(crate) fn slice_mut(&self, part: Range<usize>) -> &mut [T] {
        let part = self.checked_part(part);
        let start = self.address(part.start).cast::<T>();
        // SAFETY: as above; this call's only window here is borrowed mutably as long as the slice
        // lives, others keep away by rule 2.
        unsafe { core::slice::from_raw_parts_mut(start, part.len()) }
    }

    /// An element of 4 or 8 bytes for atomic operations.
    pub(crate) fn atomic(&self, at: usize) -> Word<'_> {
        let at = self.address(self.checked(at));
        const { assert!(whole::<T>() && size_of::<T>() >= 4, "an atomic has 4 or 8 bytes") };
        if size_of::<T>() == 4 { Word::Bits32(word32(at)) } else { Word::Bits64(word64(at)) }
    }
}

const RELAXED: Ordering = Ordering::Relaxed;

/// Whether an element is aligned to its size, as an atomic operation wants it.
const fn whole<T>() -> bool {
    align_of::<T>() == size_of::<T>()
}

macro_rules! words {
    ($($name:ident: $atomic:ident;)*) => {$(
        fn $name<'a>(at: *mut u8) -> &'a $atomic {
            // SAFETY: the callers give addresses inside of the elements, aligned by `whole`; the
            // mapping lives as long as the call, and is used atomically meanwhile.
            unsafe { $atomic::from_ptr(at.cast()) }
        }
    )*};
}

words! { word8: AtomicU8; word16: AtomicU16; word32: AtomicU32; word64: AtomicU64; }
