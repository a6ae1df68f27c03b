//! Guest linear memory on our own reservation, so that shared windows and resets are ours to make.
//!
//! ```text
//!  base                                                                     base + 4 GiB   + guard
//!  ├── image (private) ──┬── grown heap (zero) ──┬── window ──┬── heap ──┬┄┄ no access ┄┄┄┄┄┄┄┤
//!  0                 image_len                   memory.grow maps in order               size
//!                                                                                         ≤ accessible
//! ```
//!
//! * `size` is what `memory.size` says; wasmtime reads it through [`LinearMemory::byte_size`].
//! * `accessible ≥ size`: pages stay readable and writable when a reset shrinks the memory, so that
//!   the next call does not pay for them again; they are zero whenever a call starts.
//! * A window is arena memory mapped `MAP_SHARED` over pages that were grown for it.
//!
//! Invariants: the base never moves; the reservation ends in a guard that is never accessible;
//! pages that a guest sees for the first time are zero; a restore never writes into a window
//! (`snapshot::KnownPages` cuts them out).
//!
//! JUSTIFICATION for `unsafe`: wasmtime's `LinearMemory` and `MemoryCreator` are unsafe traits, and a
//! view of guest bytes cannot be a Rust slice because windows are written by others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mobula_shm::{ByteView, Image, PageBytes, Reservation};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

pub(crate) mod stacks;
pub(crate) mod window;

/// One guest's memory. See the module head.
#[derive(Debug)]
pub(crate) struct GuestMemory {
    reservation: Arc<Reservation>,
    bytes: ByteView,
    size: AtomicUsize,
    accessible: AtomicUsize,
}

/// A pointer and length that do not lie inside the guest's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pointer {ptr:#x} with length {len} lies outside the memory of {size} bytes")]
pub(crate) struct OutOfBounds {
    /// The guest's pointer.
    pub(crate) ptr: u32,
    /// The length in bytes.
    pub(crate) len: usize,
    /// The size of the memory in bytes.
    pub(crate) size: usize,
}

impl GuestMemory {
    fn new(capacity: usize, guard: usize) -> Result<Self, mobula_shm::Error> {
        let len = PageBytes::round_up(capacity + guard).unwrap_or(PageBytes::ZERO);
        let reservation = Arc::new(Reservation::new(len)?);
        #[allow(unsafe_code, reason = "see JUSTIFICATION")]
        // SAFETY: the reservation is that long, stays mapped as long as the Arc that the view keeps,
        // and `check` admits only ranges below `size`, which are accessible.
        let bytes =
            unsafe { ByteView::from_raw(reservation.base(), capacity, reservation.clone()) };
        Ok(Self { reservation, bytes, size: AtomicUsize::new(0), accessible: AtomicUsize::new(0) })
    }

    /// Bytes that the guest may address.
    pub(crate) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// Bytes that are mapped readable and writable, at least [`size`](Self::size).
    pub(crate) fn accessible(&self) -> usize {
        self.accessible.load(Ordering::Relaxed)
    }

    /// Most bytes that the guest may ever address.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Address of byte 0, for the page-map scan.
    pub(crate) fn base(&self) -> usize {
        self.reservation.base() as usize
    }

    /// The bytes of the guest from its first to its last accessible one.
    pub(crate) fn bytes(&self) -> &ByteView {
        &self.bytes
    }

    /// The mappings themselves, for windows and images.
    pub(crate) fn reservation(&self) -> &Arc<Reservation> {
        &self.reservation
    }

    /// Checks that `len` bytes at `ptr` lie in the memory and returns the offset.
    pub(crate) fn check(&self, ptr: u32, len: usize) -> Result<usize, OutOfBounds> {
        let (at, size) = (ptr as usize, self.size());
        match at.checked_add(len) {
            Some(end) if end <= size => Ok(at),
            _ => Err(OutOfBounds { ptr, len, size }),
        }
    }

    /// Copies `len` bytes of the guest out.
    pub(crate) fn read(&self, ptr: u32, len: usize) -> Result<Vec<u8>, OutOfBounds> {
        let at = self.check(ptr, len)?;
        let mut out = vec![0; len];
        self.bytes.copy_out(at, &mut out).map_err(|_| OutOfBounds { ptr, len, size: at })?;
        Ok(out)
    }

    /// Copies `data` into the guest.
    pub(crate) fn write(&self, ptr: u32, data: &[u8]) -> Result<(), OutOfBounds> {
        let at = self.check(ptr, data.len())?;
        let err = OutOfBounds { ptr, len: data.len(), size: at };
        self.bytes.copy_in(at, data).map_err(|_| err)
    }

    /// Reads up to the first NUL, at most `max` bytes plus the NUL; `None` when there is no NUL.
    pub(crate) fn read_c_string(
        &self,
        ptr: u32,
        max: usize,
    ) -> Result<Option<Vec<u8>>, OutOfBounds> {
        let size = self.size();
        let room = size.saturating_sub(ptr as usize);
        if room == 0 {
            return Err(OutOfBounds { ptr, len: 1, size });
        }
        let mut buf = [0u8; 256];
        let n = room.min(max + 1).min(buf.len());
        self.bytes.copy_out(ptr as usize, &mut buf[..n]).map_err(|_| OutOfBounds {
            ptr,
            len: n,
            size,
        })?;
        Ok(buf[..n].iter().position(|&b| b == 0).map(|end| buf[..end].to_vec()))
    }

    /// Grows or shrinks what the guest may address. Pages above `accessible` become accessible and
    /// are zero; shrinking keeps pages, which the caller has zeroed.
    pub(crate) fn set_size(&self, bytes: usize) -> Result<(), mobula_shm::Error> {
        let accessible = self.accessible();
        if bytes > accessible {
            let (at, end) = (pages(accessible), pages(bytes));
            let grown = PageBytes::new(end.get() - at.get()).unwrap_or(PageBytes::ZERO);
            self.reservation.make_accessible(at, grown)?;
            self.accessible.store(end.get(), Ordering::Relaxed);
        }
        self.size.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Maps the image copy-on-write over the start of the memory.
    pub(crate) fn map_image(&self, image: &Image) -> Result<(), mobula_shm::Error> {
        self.reservation.map_private(PageBytes::ZERO, image.len(), image.fd(), 0)
    }

    /// Makes the bytes of `range` what they were in the snapshot: `image` (a view of it) where it
    /// reaches, zero beyond.
    pub(crate) fn restore(&self, range: std::ops::Range<usize>, image: &ByteView) {
        let cut = image.len().clamp(range.start, range.end);
        let copied = image.copy_to(range.start, &self.bytes, range.start, cut - range.start);
        let zeroed = self.bytes.fill_zero(cut, range.end - cut);
        debug_assert!(copied.is_ok() && zeroed.is_ok(), "restore outside the memory: {range:?}");
    }
}

/// Rounds up to pages; sizes of guest memories are whole 64 KiB pages, so this only changes type.
fn pages(bytes: usize) -> PageBytes {
    PageBytes::round_up(bytes).unwrap_or(PageBytes::ZERO)
}

/// A view of an image for restoring from it.
pub(crate) fn image_view(image: &Arc<Image>) -> ByteView {
    #[allow(unsafe_code, reason = "see JUSTIFICATION")]
    // SAFETY: the image keeps its read-only mapping of that length as long as it lives, and the view
    // keeps the image; restoring only reads from it.
    unsafe {
        ByteView::from_raw(image.as_ptr().cast_mut(), image.len().get(), image.clone())
    }
}

/// Hands our memories to wasmtime and remembers them until the faaslet picks its own up.
#[derive(Debug, Default)]
pub(crate) struct Creator {
    fresh: Mutex<HashMap<usize, Arc<GuestMemory>>>,
}

impl Creator {
    /// The memory whose byte 0 lies at `base`, handed out once.
    pub(crate) fn take(&self, base: *const u8) -> Option<Arc<GuestMemory>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).remove(&(base as usize))
    }
}

struct Handle(Arc<GuestMemory>);

#[allow(unsafe_code, reason = "see JUSTIFICATION")]
// SAFETY: the base is fixed for the life of the reservation; `byte_size` never exceeds what is
// accessible; everything above is inaccessible up to the end of the guard.
unsafe impl LinearMemory for Handle {
    fn byte_size(&self) -> usize {
        self.0.size()
    }
    fn byte_capacity(&self) -> usize {
        self.0.capacity()
    }
    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.0.capacity() {
            wasmtime::bail!("{new_size} bytes do not fit in {}", self.0.capacity());
        }
        Ok(self.0.set_size(new_size)?)
    }
    fn as_ptr(&self) -> *mut u8 {
        self.0.reservation.base()
    }
}

#[allow(unsafe_code, reason = "see JUSTIFICATION")]
// SAFETY: `new_memory` returns a reservation of the size and guard that wasmtime asks for, zero
// filled, with exactly the minimum accessible.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let capacity = reserved.unwrap_or(crate::limits::GUEST_BYTES);
        if minimum > capacity {
            return Err(format!("the module asks for {minimum} bytes of memory, {capacity} fit"));
        }
        let memory = GuestMemory::new(capacity, guard).map_err(|err| err.to_string())?;
        memory.set_size(minimum).map_err(|err| err.to_string())?;
        let memory = Arc::new(memory);
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        // Memories whose instantiation failed are nobody else's.
        fresh.retain(|_, memory| Arc::strong_count(memory) > 1);
        fresh.insert(memory.base(), memory.clone());
        Ok(Box::new(Handle(memory)))
    }
}
