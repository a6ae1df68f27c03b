//! Windows: chunk-aligned ranges of values mapped into one guest memory.
//!
//! ```text
//!  value      │ chunk 0 │ chunk 1 │ chunk 2 │ chunk 3 │            (a block in the arena)
//!                       ╲         ╲─────────┐
//!  guest   … heap │ hole │ window: chunks 1..2 │ heap grown later …
//! ```
//!
//! Windows stay mapped for later calls of the same faaslet, which serves one function of one user:
//! a window asked for again costs a search of this list and no system call. This module knows values
//! by number only; keys and lengths are checked before it is asked.
//!
//! Invariants: windows do not overlap; `end` is at least the end of every window; a hole was a window
//! and is mapped to private zero pages.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use mobula_shm::{Block, CHUNK_BYTES, HUGE_BYTES, PageBytes};

use super::GuestMemory;

/// What whoever watches a window holds on to as long as it is mapped.
pub(crate) type Guard = Arc<dyn Any + Send + Sync>;

/// One mapped range.
struct Window {
    value: u64,
    chunks: Range<u32>,
    at: usize,
    len: usize,
    /// Bytes of the arena that are mapped; the rest up to `len` is the guest's own.
    mapped: usize,
    used_in: u64,
    /// Opened by the proto-function: every call relies on its address, so it is never given up.
    pinned: bool,
    /// Dropped before something else is mapped here: it looks at these pages once more.
    guard: Option<Guard>,
    /// Keeps the arena's pages from being given to another value while they are mapped.
    block: Block,
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "value {} chunks {:?} at {:#x}", self.value, self.chunks, self.at)
    }
}

/// Why a window cannot be given back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnmapError {
    /// The call has opened none there.
    #[error("this call has no window at {ptr:#x}")]
    None {
        /// The guest's pointer.
        ptr: usize,
    },
    /// Every call relies on its address.
    #[error("the window at {ptr:#x} was opened by the proto-function and stays")]
    Pinned {
        /// The guest's pointer.
        ptr: usize,
    },
    /// The system refused.
    #[error(transparent)]
    Shm(#[from] mobula_shm::Error),
}

/// Which addresses a window may have: large ones fall on huge pages as their bytes in the file do, so that
/// the kernel can map them so. Small ones may be anywhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase(Option<usize>);

impl Phase {
    /// For `len` bytes from `offset` of the file on, in a memory at `base`.
    pub(crate) fn new(base: usize, offset: u64, len: usize) -> Self {
        let within = (offset % HUGE_BYTES as u64) as usize;
        let phase = (within + HUGE_BYTES - base % HUGE_BYTES) % HUGE_BYTES;
        // Windows lie at whole guest pages, so the memory has to.
        Self((len >= HUGE_BYTES && phase.is_multiple_of(CHUNK_BYTES)).then_some(phase))
    }

    /// Bytes from `at` to the next address of this phase.
    pub(crate) fn skip(self, at: usize) -> usize {
        let phase = self.0.unwrap_or(at % HUGE_BYTES);
        (phase + HUGE_BYTES - at % HUGE_BYTES) % HUGE_BYTES
    }
}

/// The windows of one guest memory.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    open: Vec<Window>,
    holes: Vec<Range<usize>>,
    /// Bytes about to be grown for a window.
    growing: usize,
}

impl Windows {
    /// Guest address of the first of `chunks` of `value`, if a window holds all of them.
    ///
    /// `call` marks the window as used by that call.
    pub(crate) fn find(&mut self, value: u64, chunks: &Range<u32>, call: u64) -> Option<usize> {
        let holds = |w: &&mut Window| {
            w.value == value && w.chunks.start <= chunks.start && chunks.end <= w.chunks.end
        };
        let window = self.open.iter_mut().find(holds)?;
        window.used_in = call;
        Some(window.at + (chunks.start - window.chunks.start) as usize * CHUNK_BYTES)
    }

    /// How many windows are mapped.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Bytes of address space that windows and holes take.
    pub(crate) fn bytes(&self) -> usize {
        let windows: usize = self.open.iter().map(|w| w.len).sum();
        windows + self.holes.iter().map(ExactSizeIterator::len).sum::<usize>()
    }

    /// As [`bytes`](Self::bytes), with what is about to be grown for a window.
    pub(crate) fn reserved(&self) -> usize {
        self.bytes() + self.growing
    }

    /// Announces that the memory grows by `len` bytes for a window (0: it has grown).
    pub(crate) fn grow_for(&mut self, len: usize) {
        self.growing = len;
    }

    /// End of the last window, or 0.
    pub(crate) fn end(&self) -> usize {
        self.open.iter().map(|w| w.at + w.len).max().unwrap_or(0)
    }

    /// Bytes between `start` and the last window's end that are neither window nor hole.
    pub(crate) fn gap_from(&self, start: usize) -> usize {
        let above = |at: usize, len: usize| (at + len).saturating_sub(at.max(start));
        let windows: usize = self.open.iter().map(|w| above(w.at, w.len)).sum();
        let holes: usize = self.holes.iter().map(|hole| above(hole.start, hole.len())).sum();
        self.end().saturating_sub(start).saturating_sub(windows + holes)
    }

    /// Takes `len` bytes of the first hole that holds them at an address of this phase.
    pub(crate) fn take_hole(&mut self, len: usize, phase: Phase) -> Option<usize> {
        let fits = |hole: &Range<usize>| hole.len() >= phase.skip(hole.start) + len;
        let index = self.holes.iter().position(fits)?;
        let hole = self.holes.swap_remove(index);
        let at = hole.start + phase.skip(hole.start);
        let rests = [hole.start..at, at + len..hole.end];
        self.holes.extend(rests.into_iter().filter(|rest| !rest.is_empty()));
        Some(at)
    }

    /// Makes a hole of address space that the memory has just grown by.
    pub(crate) fn add_hole(&mut self, hole: Range<usize>) {
        if !hole.is_empty() {
            self.holes.push(hole);
            self.join_holes();
        }
    }

    /// Maps `chunks` of `value`, which lie in `block`, at `at`, where `len` bytes of the guest's
    /// memory are free for it.
    pub(crate) fn map(
        &mut self,
        memory: &GuestMemory,
        target: Range<usize>,
        value: u64,
        chunks: Range<u32>,
        block: &Block,
        call: u64,
    ) -> Result<(), mobula_shm::Error> {
        let skip = chunks.start as usize * CHUNK_BYTES;
        // The block ends at a 4 KiB page; the rest of its last chunk is not this value's to map.
        let mapped = PageBytes::round_up((block.view().len() - skip).min(target.len()));
        let (Some(at), Some(mapped)) = (PageBytes::new(target.start), mapped) else {
            unreachable!("windows lie at whole guest pages");
        };
        let offset = block.file_offset() + skip as u64;
        memory.reservation().map_shared(at, mapped, block.fd(), offset)?;
        self.open.push(Window {
            value,
            chunks,
            at: target.start,
            len: target.len(),
            mapped: mapped.get(),
            used_in: call,
            pinned: false,
            guard: None,
            block: block.clone(),
        });
        Ok(())
    }

    /// Unmaps the windows that `call` has not used and makes them holes.
    pub(crate) fn evict_unused(
        &mut self,
        memory: &GuestMemory,
        call: u64,
    ) -> Result<(), mobula_shm::Error> {
        let mut kept = Vec::with_capacity(self.open.len());
        for mut window in std::mem::take(&mut self.open) {
            if window.used_in == call || window.pinned {
                kept.push(window);
                continue;
            }
            window.guard = None;
            clear(memory, window.at, window.len)?;
            self.holes.push(window.at..window.at + window.len);
        }
        self.open = kept;
        self.join_holes();
        Ok(())
    }

    fn join_holes(&mut self) {
        self.holes.sort_by_key(|hole| hole.start);
        self.holes.dedup_by(|next, hole| {
            let joined = hole.end == next.start;
            if joined {
                hole.end = next.end;
            }
            joined
        });
    }

    /// Unmaps the window of `call` that holds the address `ptr` and returns its value.
    ///
    /// # Errors
    /// [`UnmapError`] when there is none, or the proto-function opened it.
    pub(crate) fn unmap(
        &mut self,
        memory: &GuestMemory,
        ptr: usize,
        call: u64,
    ) -> Result<u64, UnmapError> {
        let holds = |w: &Window| (w.at..w.at + w.len).contains(&ptr);
        let window = self.open.iter().position(|w| holds(w) && w.used_in == call);
        let Some(index) = window else { return Err(UnmapError::None { ptr }) };
        if self.open[index].pinned {
            return Err(UnmapError::Pinned { ptr });
        }
        let Window { value, at, len, .. } = self.open[index];
        self.open[index].guard = None;
        clear(memory, at, len)?;
        self.open.swap_remove(index);
        self.holes.push(at..at + len);
        self.join_holes();
        Ok(value)
    }

    /// Gives windows that have none a guard, made from the value's number, where the window is mapped
    /// and the chunks it shows.
    pub(crate) fn guard(
        &mut self,
        mut make: impl FnMut(u64, Range<usize>, Range<u32>) -> Option<Guard>,
    ) {
        for w in self.open.iter_mut().filter(|w| w.guard.is_none()) {
            w.guard = make(w.value, w.at..w.at + w.mapped, w.chunks.clone());
        }
    }

    /// Takes all guards away: other windows are about to be mapped at the same places.
    pub(crate) fn unguard(&mut self) {
        self.open.iter_mut().for_each(|w| w.guard = None);
    }

    /// Whether `call` has a window on `value`.
    pub(crate) fn uses(&self, value: u64, call: u64) -> bool {
        self.open.iter().any(|w| w.value == value && w.used_in == call)
    }

    /// Unmaps all windows but pinned ones; their address space is private zero pages again.
    pub(crate) fn clear(&mut self, memory: &GuestMemory) -> Result<(), mobula_shm::Error> {
        // Calls are numbered from 1, so that no window was used in call 0.
        self.evict_unused(memory, 0)
    }

    /// Forgets holes above the last window: the memory ends there, and what grows next is heap.
    pub(crate) fn clip_holes(&mut self) {
        let end = self.end();
        self.holes.retain(|hole| hole.start < end);
    }

    /// The ranges where shared bytes are mapped, which a restore must not touch.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.open.iter().map(|w| w.at..w.at + w.mapped)
    }

    /// Maps the same windows at the same addresses in a memory that starts from their snapshot, pinned.
    pub(crate) fn copy_into(&self, memory: &GuestMemory) -> Result<Self, mobula_shm::Error> {
        let mut copy = Self { holes: self.holes.clone(), ..Self::default() };
        for w in &self.open {
            copy.map(memory, w.at..w.at + w.len, w.value, w.chunks.clone(), &w.block, w.used_in)?;
        }
        copy.open.iter_mut().for_each(|window| window.pinned = true);
        Ok(copy)
    }
}

/// Makes a range private zero pages.
fn clear(memory: &GuestMemory, at: usize, len: usize) -> Result<(), mobula_shm::Error> {
    let (Some(at), Some(len)) = (PageBytes::new(at), PageBytes::new(len)) else {
        unreachable!("windows lie at whole guest pages");
    };
    memory.reservation().make_zero(at, len)
}
