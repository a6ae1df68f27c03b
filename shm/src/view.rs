//! Bytes that others may write at any instant, read and written without ever being borrowed.
//!
//! ```text
//!  ByteView ─── base, len ──▶ ├──────────────── mapped bytes ────────────────┤ ◀── other threads,
//!     └─ keep ──▶ owner of the mapping (arena, block, guest memory)            other processes
//! ```
//!
//! * [`ByteView::get`] and [`ByteView::put`] move one value: whole when it is aligned and no larger
//!   than a machine word, else byte by byte.
//! * Bulk copies may see a concurrent write half done: the *bytes* may be torn, nothing else.
//! * [`ByteView::atomic_u32`] and [`ByteView::atomic_u64`] are for words that synchronise.
//!
//! Invariants: every access is checked to lie within the view, with arithmetic that cannot wrap;
//! the view keeps the mapping alive; no `&[u8]` and no `&mut [u8]` into the bytes exists, not even
//! for a moment, since another process may write behind it.
//!
//! JUSTIFICATION for `unsafe`: a Rust reference to bytes that another process writes is undefined
//! behaviour by itself, so raw pointers remain. Bulk copies call the C library's `memmove` and
//! `memset` through pointers that the optimiser cannot see through: it must then treat the racing
//! access as foreign code, as it does a system call, and cannot build assumptions on what was read.
//! Byte-wise atomics would be the letter of the memory model, at a tenth of the speed (no vector
//! instructions).

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::error::{Error, Result};
use crate::sys::SharedFile;
use crate::units::fits;

/// What keeps the bytes of a view mapped.
type Keep = Arc<dyn Any + Send + Sync>;

/// Values that may lie in memory shared by processes.
///
/// # Safety
/// The implementor promises that the type
/// * has a layout that is the same in every process of the host (`repr(C)` or primitive),
/// * is valid for every bit pattern, and has no padding,
/// * holds no pointer, reference, handle or index that means something in one process only,
/// * has no interior mutability and no destructor.
pub unsafe trait ShmSafe: Copy + Send + Sync + 'static {}

macro_rules! shm_safe {
    ($($primitive:ty),*) => {$(
        // SAFETY: a primitive number: fixed layout, every bit pattern valid, no pointer.
        unsafe impl ShmSafe for $primitive {}
    )*};
}
shm_safe!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, f32, f64);

/// A range of mapped bytes that others may write at any instant. See the module head.
///
/// Clones are views of the same bytes.
#[derive(Clone)]
pub struct ByteView {
    base: NonNull<u8>,
    len: usize,
    keep: Keep,
}

// SAFETY: the view gives out copies and atomics only, so threads may use it as processes do; `keep`
// is itself `Send + Sync`.
unsafe impl Send for ByteView {}
// SAFETY: as for `Send`.
unsafe impl Sync for ByteView {}

impl fmt::Debug for ByteView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByteView({:p}, {} bytes)", self.base, self.len)
    }
}

impl ByteView {
    /// A view of `len` bytes at `base` that keeps `keep` alive.
    ///
    /// # Safety
    /// For as long as `keep` lives, the `len` bytes at `base` (not null, `len` at most
    /// `isize::MAX`) are one range of mapped memory that no Rust reference covers. Where a part is
    /// not accessible (or not writable), the caller never uses the view to touch (or write) it.
    #[must_use]
    pub unsafe fn from_raw(base: *mut u8, len: usize, keep: Arc<dyn Any + Send + Sync>) -> Self {
        let base = NonNull::new(base).expect("the caller promised an address that is not null");
        Self { base, len, keep }
    }

    /// A view of a whole shared mapping.
    pub(crate) fn of_file(file: &Arc<SharedFile>) -> Self {
        Self { base: file.base(), len: file.len(), keep: file.clone() }
    }

    /// The same bytes, keeping `other` alive too.
    pub(crate) fn keeping(self, other: Arc<dyn Any + Send + Sync>) -> Self {
        Self { keep: Arc::new((self.keep, other)), ..self }
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Address of the first byte, for handing to the kernel or to MPI. Using it is `unsafe`, and
    /// keeping a clone of the view keeps it valid.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// The `len` bytes at `offset` as a view of their own.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn sub(&self, offset: usize, len: usize) -> Result<Self> {
        Ok(Self { base: self.check(offset, len)?, len, keep: self.keep.clone() })
    }

    /// The value at `offset`, which need not be aligned; see the module head for what a race does.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn get<T: ShmSafe>(&self, offset: usize) -> Result<T> {
        let from = self.check(offset, size_of::<T>())?.cast::<T>();
        if from.is_aligned() {
            // SAFETY: in bounds and mapped (`check`), aligned, and every bit pattern is a `T`.
            return Ok(unsafe { from.read_volatile() });
        }
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: in bounds and mapped (`check`); `value` has room for a `T`.
        unsafe { copy(value.as_mut_ptr().cast(), from.cast().as_ptr(), size_of::<T>()) };
        // SAFETY: all bytes were just written, and every bit pattern is a `T`.
        Ok(unsafe { value.assume_init() })
    }

    /// Stores `value` at `offset`, which need not be aligned.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn put<T: ShmSafe>(&self, offset: usize, value: T) -> Result<()> {
        let to = self.check(offset, size_of::<T>())?.cast::<T>();
        if to.is_aligned() {
            // SAFETY: in bounds and mapped (`check`) and aligned.
            unsafe { to.write_volatile(value) };
        } else {
            // SAFETY: in bounds and mapped (`check`); `value` is a `T` without padding.
            unsafe { copy(to.cast().as_ptr(), (&raw const value).cast(), size_of::<T>()) };
        }
        Ok(())
    }

    /// The word at `offset` for atomic use.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], or [`Error::Misaligned`] when its address is no multiple of 4.
    #[inline]
    pub fn atomic_u32(&self, offset: usize) -> Result<&AtomicU32> {
        let word = self.check_word::<u32>(offset)?;
        // SAFETY: in bounds, aligned and mapped for as long as `self` keeps it; an atomic may be
        // written by others while referenced.
        Ok(unsafe { AtomicU32::from_ptr(word) })
    }

    /// The double word at `offset` for atomic use.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], or [`Error::Misaligned`] when its address is no multiple of 8.
    #[inline]
    pub fn atomic_u64(&self, offset: usize) -> Result<&AtomicU64> {
        let word = self.check_word::<u64>(offset)?;
        // SAFETY: as in `atomic_u32`.
        Ok(unsafe { AtomicU64::from_ptr(word) })
    }

    /// Copies `data` to `offset`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; then nothing is copied.
    pub fn copy_in(&self, offset: usize, data: &[u8]) -> Result<()> {
        let to = self.check(offset, data.len())?;
        // SAFETY: both ranges are as long as `data`, ours by `check`.
        unsafe { copy(to.as_ptr(), data.as_ptr(), data.len()) };
        Ok(())
    }

    /// Fills `out` from the bytes at `offset`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; then nothing is copied.
    pub fn copy_out(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        let from = self.check(offset, out.len())?;
        // SAFETY: both ranges are as long as `out`, ours by `check`.
        unsafe { copy(out.as_mut_ptr(), from.as_ptr(), out.len()) };
        Ok(())
    }

    /// Copies `len` bytes at `offset` to `to_offset` of `to`; the ranges may overlap.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; then nothing is copied.
    pub fn copy_to(&self, offset: usize, to: &Self, to_offset: usize, len: usize) -> Result<()> {
        let from = self.check(offset, len)?;
        let target = to.check(to_offset, len)?;
        // SAFETY: both ranges were checked for `len` bytes.
        unsafe { copy(target.as_ptr(), from.as_ptr(), len) };
        Ok(())
    }

    /// The same, past the caches where the processor can: for many bytes that nobody reads soon, so that they
    /// do not push out what is read. The ranges must not overlap, else the target's bytes are any.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; then nothing is written.
    pub fn copy_aside(&self, offset: usize, to: &Self, to_offset: usize, len: usize) -> Result<()> {
        let from = self.check(offset, len)?;
        let target = to.check(to_offset, len)?;
        let head = target.as_ptr().align_offset(LINE).min(len);
        let lines = (len - head) / LINE * LINE;
        // SAFETY: both ranges were checked for `len` bytes, of which these are three parts; the second begins
        // at a line of the target.
        unsafe {
            copy(target.as_ptr(), from.as_ptr(), head);
            stream(target.as_ptr().add(head), from.as_ptr().add(head), lines);
            let done = head + lines;
            copy(target.as_ptr().add(done), from.as_ptr().add(done), len - done);
        }
        Ok(())
    }

    /// Sets `len` bytes at `offset` to zero.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; then nothing is written.
    pub fn fill_zero(&self, offset: usize, len: usize) -> Result<()> {
        let at = self.check(offset, len)?;
        // SAFETY: the range was checked for `len` bytes.
        unsafe { zero(at.as_ptr(), len) };
        Ok(())
    }

    /// A copy of the `len` bytes at `offset`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; then nothing is allocated.
    pub fn read_vec(&self, offset: usize, len: usize) -> Result<Vec<u8>> {
        self.check(offset, len)?;
        let mut out = vec![0; len];
        self.copy_out(offset, &mut out)?;
        Ok(out)
    }

    /// Address of `len` bytes at `offset`, all of which lie within the view.
    #[inline]
    fn check(&self, offset: usize, len: usize) -> Result<NonNull<u8>> {
        if !fits(offset, len, self.len) {
            return Err(Error::range("view", offset, len, self.len));
        }
        // SAFETY: the offset is at most `self.len`, so the address stays within the mapping.
        Ok(unsafe { self.base.add(offset) })
    }

    #[inline]
    fn check_word<T>(&self, offset: usize) -> Result<*mut T> {
        let word = self.check(offset, size_of::<T>())?.cast::<T>();
        if !word.is_aligned() {
            let (offset, align) = (offset as u64, align_of::<T>() as u64);
            return Err(Error::Misaligned { what: "view", offset, align });
        }
        Ok(word.as_ptr())
    }
}

type Memmove = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> *mut c_void;
type Memset = unsafe extern "C" fn(*mut c_void, c_int, usize) -> *mut c_void;

/// `memmove` that the optimiser does not know; see JUSTIFICATION.
///
/// # Safety
/// `len` bytes at `from` are mapped, and `len` bytes at `to` mapped writable; neither is a
/// reference of somebody else's.
unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    if len == 0 {
        return;
    }
    let memmove: Memmove = black_box(libc::memmove);
    // SAFETY: the caller's promise; `memmove` accepts ranges that overlap.
    unsafe { memmove(to.cast(), from.cast(), len) };
}

/// Bytes that the caches hold together.
const LINE: usize = 64;

/// Copies whole lines past the caches. In assembler, which the optimiser does not look into; see JUSTIFICATION.
///
/// # Safety
/// As for [`copy`], and `to` and `len` are multiples of [`LINE`].
#[cfg(target_arch = "x86_64")]
unsafe fn stream(to: *mut u8, from: *const u8, len: usize) {
    if len == 0 {
        return;
    }
    // SAFETY: the caller's promise: it reads and writes `len` bytes, a line at a time, to aligned addresses; the
    // fence orders these stores before later ones.
    unsafe {
        std::arch::asm!(
            "2:",
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movntps [{to}], {a}",
            "movntps [{to} + 16], {b}",
            "movntps [{to} + 32], {c}",
            "movntps [{to} + 48], {d}",
            "add {from}, 64",
            "add {to}, 64",
            "sub {len}, 64",
            "jnz 2b",
            "sfence",
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            len = inout(reg) len => _,
            options(nostack),
        );
    }
}

/// Elsewhere a plain copy.
///
/// # Safety
/// As for [`copy`].
#[cfg(not(target_arch = "x86_64"))]
unsafe fn stream(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { copy(to, from, len) };
}

/// `memset` to zero that the optimiser does not know; see JUSTIFICATION.
///
/// # Safety
/// `len` bytes at `at` are mapped writable and not a reference of somebody else's.
unsafe fn zero(at: *mut u8, len: usize) {
    // The C library fills a few bytes, or none, by one masked store. With an empty mask at the edge of
    // a page that may not be written yet, processors need an assist of some 160 ns for it.
    if len == 0 {
        return;
    }
    let memset: Memset = black_box(libc::memset);
    // SAFETY: the caller's promise.
    unsafe { memset(at.cast(), 0, len) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A view of heap memory: this module's logic needs no mapping, so it also runs under miri.
    fn view(len: usize) -> ByteView {
        let words: Arc<[AtomicU64]> = (0..len.div_ceil(8)).map(|_| AtomicU64::new(0)).collect();
        let base = words[0].as_ptr().cast();
        // SAFETY: the words are at least `len` bytes of interior-mutable memory, kept by the Arc.
        unsafe { ByteView::from_raw(base, len, Arc::new(words)) }
    }

    #[test]
    fn refuses_what_does_not_fit_and_what_wraps() {
        let v = view(64);
        let mut buf = [0; 8];
        for offset in [57, 64, 65, usize::MAX, usize::MAX - 7, isize::MAX as usize] {
            assert!(v.copy_in(offset, &buf).is_err(), "copy_in at {offset}");
            assert!(v.copy_out(offset, &mut buf).is_err(), "copy_out at {offset}");
            assert!(v.fill_zero(offset, 8).is_err(), "fill_zero at {offset}");
            assert!(v.sub(offset, 8).is_err(), "sub at {offset}");
            assert!(v.read_vec(offset, 8).is_err(), "read_vec at {offset}");
            assert!(v.get::<u64>(offset).is_err(), "get at {offset}");
            assert!(v.put(offset, 1u64).is_err(), "put at {offset}");
            assert!(v.atomic_u64(offset).is_err(), "atomic at {offset}");
            assert!(v.copy_to(offset, &v, 0, 8).is_err(), "copy_to from {offset}");
            assert!(v.copy_to(0, &v, offset, 8).is_err(), "copy_to to {offset}");
        }
        assert!(v.read_vec(8, usize::MAX - 4).is_err());
        assert!(v.fill_zero(1, usize::MAX).is_err());
        assert_eq!(v.read_vec(0, 64).expect("all"), [0; 64], "refused calls change nothing");
        v.copy_in(56, &[1; 8]).expect("the last eight bytes fit");
        v.sub(64, 0).expect("nothing at the end fits");
    }

    #[test]
    fn a_sub_view_cannot_reach_past_itself() {
        let v = view(64);
        let sub = v.sub(16, 16).expect("inside");
        sub.put(8, 7u64).expect("inside");
        assert!(sub.put(9, 7u64).is_err());
        assert_eq!(v.get::<u64>(24).expect("inside"), 7);
        assert!(sub.sub(8, 9).is_err());
    }

    #[test]
    fn unaligned_values_round_trip() {
        let v = view(64);
        for offset in 0..16 {
            v.put(offset, -1.5e300f64).expect("inside");
            assert_eq!(v.get::<f64>(offset), Ok(-1.5e300));
            v.put(offset, 0x0102_0304u32).expect("inside");
            assert_eq!(v.read_vec(offset, 4), Ok(vec![4, 3, 2, 1]));
        }
    }

    #[test]
    fn atomics_need_alignment() {
        use std::sync::atomic::Ordering::Relaxed;
        let v = view(64);
        let refused = v.atomic_u64(4).expect_err("half way");
        assert_eq!(refused, Error::Misaligned { what: "view", offset: 4, align: 8 });
        assert!(v.atomic_u32(2).is_err());
        v.atomic_u32(4).expect("aligned").store(0xaabb_ccdd, Relaxed);
        assert_eq!(v.atomic_u64(0).expect("aligned").load(Relaxed), 0xaabb_ccdd << 32);
    }

    #[test]
    fn a_copy_aside_copies_every_byte_and_no_other() {
        let (from, to) = (view(1000), view(1000));
        let bytes: Vec<u8> = (0..1000).map(|at| (at % 251) as u8 + 1).collect();
        from.copy_in(0, &bytes).unwrap();
        for (offset, at, len) in [(0, 0, 1000), (3, 5, 700), (1, 64, 64), (0, 63, 1), (9, 8, 0)] {
            to.fill_zero(0, 1000).unwrap();
            from.copy_aside(offset, &to, at, len).unwrap();
            let now = to.read_vec(0, 1000).unwrap();
            assert_eq!(now[at..at + len], bytes[offset..offset + len]);
            assert!(now[..at].iter().chain(&now[at + len..]).all(|&byte| byte == 0));
        }
        assert!(
            from.copy_aside(1, &to, 0, 1000).is_err() && from.copy_aside(0, &to, 1, 1000).is_err()
        );
    }

    #[test]
    fn overlapping_copies_move() {
        let v = view(64);
        v.copy_in(0, &[1, 2, 3, 4, 5, 6]).expect("inside");
        v.copy_to(0, &v, 2, 6).expect("inside");
        assert_eq!(v.read_vec(0, 8), Ok(vec![1, 2, 1, 2, 3, 4, 5, 6]));
        v.fill_zero(1, 2).expect("inside");
        assert_eq!(v.read_vec(0, 4), Ok(vec![1, 0, 0, 2]));
    }

    #[test]
    fn a_view_keeps_its_owner() {
        let owner = Arc::new(AtomicU64::new(5));
        let weak = Arc::downgrade(&owner);
        // SAFETY: eight bytes of interior-mutable memory, kept by the Arc.
        let v = unsafe { ByteView::from_raw(owner.as_ptr().cast(), 8, owner) };
        let sub = v.sub(0, 4).expect("inside").keeping(Arc::new(()));
        drop(v);
        assert!(weak.upgrade().is_some());
        assert_eq!(sub.get::<u32>(0), Ok(5));
        drop(sub);
        assert!(weak.upgrade().is_none());
    }
}
