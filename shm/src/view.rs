//! Bounds-checked access to bytes that others may write at any instant.
//!
//! ```text
//!  owner (mapping, reservation) ◀─keeps─ ByteView { base, len } ── sub ──▶ ByteView { base+off, n }
//!                                           │ atomic_*  one word, ordered
//!                                           └ copy_*    many bytes, may tear, never out of bounds
//! ```
//!
//! No reference to the bytes ever leaves this module, except to whole atomic words: another process
//! may write while we look, and a `&[u8]` would promise the compiler that nobody does.
//!
//! Invariants: `base..base+len` is mapped as long as the view lives; every access is checked.
//!
//! JUSTIFICATION for `unsafe`: there is no safe way to read memory that others write. Bulk copies go
//! through libc's `memmove`, which the optimiser cannot look into and which runs at memory bandwidth;
//! racing bytes may come out old, new or mixed, and nothing else can happen.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::error::{Error, Result};
use crate::sys::Mapping;

/// A range of shared bytes. Cheap to clone; keeps its mapping alive.
#[derive(Clone)]
pub struct ByteView {
    base: *mut u8,
    len: usize,
    /// Keeps the bytes mapped; never looked into.
    keep: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the bytes are shared by design; every access is by atomics or by copies that tolerate races.
unsafe impl Send for ByteView {}
// SAFETY: as above.
unsafe impl Sync for ByteView {}

impl std::fmt::Debug for ByteView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ByteView({} bytes at {:p})", self.len, self.base)
    }
}

impl ByteView {
    /// All of a mapping.
    pub(crate) fn of_mapping(map: Arc<Mapping>) -> Self {
        Self { base: map.base(), len: map.len(), keep: map }
    }

    /// The same bytes, keeping `owner` alive, which in turn keeps the mapping.
    pub(crate) fn keeping(self, owner: Arc<dyn Any + Send + Sync>) -> Self {
        Self { keep: Arc::new((owner, self.keep)), ..self }
    }

    /// A view of memory that somebody else mapped.
    ///
    /// # Safety
    /// `base..base+len` must be mapped as long as `keep` lives, and no Rust reference may exist into
    /// it. Bytes that are not accessible must not be accessed through the view; bytes that are not
    /// writable must not be written.
    #[must_use]
    pub unsafe fn from_raw(base: *mut u8, len: usize, keep: Arc<dyn Any + Send + Sync>) -> Self {
        Self { base, len, keep }
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn at(&self, at: usize, len: usize) -> Result<*mut u8> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(Error::OutOfRange { at, len, size: self.len });
        }
        // SAFETY: `at` is at most `len`, inside (or one past) the mapped range.
        Ok(unsafe { self.base.add(at) })
    }

    /// Part of the view.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn sub(&self, at: usize, len: usize) -> Result<Self> {
        Ok(Self { base: self.at(at, len)?, len, keep: self.keep.clone() })
    }

    /// The 32-bit word at `at`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Misaligned`].
    pub fn atomic_u32(&self, at: usize) -> Result<&AtomicU32> {
        let word = self.aligned::<AtomicU32>(at)?;
        // SAFETY: in bounds, aligned, mapped as long as the view; only used atomically.
        Ok(unsafe { &*word })
    }

    /// The 64-bit word at `at`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Misaligned`].
    pub fn atomic_u64(&self, at: usize) -> Result<&AtomicU64> {
        let word = self.aligned::<AtomicU64>(at)?;
        // SAFETY: in bounds, aligned, mapped as long as the view; only used atomically.
        Ok(unsafe { &*word })
    }

    fn aligned<T>(&self, at: usize) -> Result<*const T> {
        let ptr = self.at(at, size_of::<T>())?.cast_const().cast::<T>();
        if ptr.is_aligned() { Ok(ptr) } else { Err(Error::Misaligned { at, align: align_of::<T>() }) }
    }

    /// Copies `from` to offset `at`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; nothing is copied then.
    pub fn copy_in(&self, at: usize, from: &[u8]) -> Result<()> {
        let to = self.at(at, from.len())?;
        // SAFETY: both ranges are valid for that length; see JUSTIFICATION for races.
        unsafe { libc::memmove(to.cast(), from.as_ptr().cast(), from.len()) };
        Ok(())
    }

    /// Copies bytes from offset `at` to fill `to`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; nothing is copied then.
    pub fn copy_out(&self, at: usize, to: &mut [u8]) -> Result<()> {
        let from = self.at(at, to.len())?;
        // SAFETY: both ranges are valid for that length; see JUSTIFICATION for races.
        unsafe { libc::memmove(to.as_mut_ptr().cast(), from.cast(), to.len()) };
        Ok(())
    }

    /// Copies `len` bytes from offset `at` to offset `to_at` of another view; they may overlap.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; nothing is copied then.
    pub fn copy_to(&self, at: usize, to: &Self, to_at: usize, len: usize) -> Result<()> {
        let (from, to) = (self.at(at, len)?, to.at(to_at, len)?);
        // SAFETY: both ranges are valid for that length; see JUSTIFICATION for races.
        unsafe { libc::memmove(to.cast(), from.cast(), len) };
        Ok(())
    }

    /// Zeroes `len` bytes at `at`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; nothing is changed then.
    pub fn fill_zero(&self, at: usize, len: usize) -> Result<()> {
        let to = self.at(at, len)?;
        // SAFETY: the range is valid for that length; see JUSTIFICATION for races.
        unsafe { libc::memset(to.cast(), 0, len) };
        Ok(())
    }

    /// A copy of `len` bytes at `at`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn read_vec(&self, at: usize, len: usize) -> Result<Vec<u8>> {
        self.at(at, len)?;
        let mut out = vec![0; len];
        self.copy_out(at, &mut out)?;
        Ok(out)
    }
}
