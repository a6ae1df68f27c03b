//! Snapshots: what every call of a function starts from, and the set of pages to put back.
//!
//! ```text
//!  after constructors and proto-function        a faaslet later              after its call
//!  memory ──▶ sealed image ──map private──▶ shared pages + own copies ──restore own copies──▶ clean
//!  globals ─▶ list          ──set─────────▶ …                         ──set────────────────▶ clean
//! ```
//!
//! A page of the image that a guest writes becomes a private copy in its faaslet and stays one: from
//! then on it is *known* and is restored by copying after every call, with no fault and no system
//! call. Only a page that is not yet known can escape, and it cannot become private without a page
//! fault; `faaslet` turns that into a proof that nothing did.
//!
//! Invariants: known ranges are page aligned, sorted, disjoint and never inside a window.

use std::ops::Range;
use std::sync::Arc;

use mobula_shm::{ByteView, Image, PAGE_BYTES, PageBytes, PagemapScanner};
use wasmtime::Val;

use crate::limits;
use crate::memory::window::Windows;
use crate::memory::{GuestMemory, image_view};
use crate::state::Value;

/// What every call of a function starts from.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The memory; `None` when the module has none.
    pub(crate) image: Option<(Arc<Image>, ByteView)>,
    /// Values of the exported mutable globals, in the order of `ModuleInfo::globals`.
    pub(crate) globals: Vec<Val>,
    /// Windows that the proto-function opened; every faaslet has them at the same addresses.
    pub(crate) windows: Windows,
    /// The values of those windows, which stay open: they cannot be resized.
    pub(crate) opened: Vec<Arc<Value>>,
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.opened.iter().for_each(|value| value.closed());
    }
}

impl Snapshot {
    /// Copies a memory into a sealed image.
    pub(crate) fn image_of(
        memory: &GuestMemory,
    ) -> Result<(Arc<Image>, ByteView), mobula_shm::Error> {
        let len = PageBytes::round_up(memory.size()).unwrap_or(PageBytes::ZERO);
        let bytes = memory.bytes().sub(0, memory.size())?;
        let image = Arc::new(Image::create("mobula-snapshot", len, &bytes)?);
        let view = image_view(&image);
        Ok((image, view))
    }

    /// Bytes of memory that belong to the image.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.image.as_ref().map_or(0, |(image, _)| image.len().get())
    }
}

/// The private pages of one faaslet's memory that are put back after every call.
#[derive(Debug, Default)]
pub(crate) struct KnownPages {
    ranges: Vec<Range<usize>>,
    bytes: usize,
    resets: u32,
}

/// How a reset was done, for the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restored {
    /// This many pages were copied or zeroed.
    Copied(usize),
    /// The pages were given back to the kernel.
    Discarded,
}

impl KnownPages {
    /// Number of known pages.
    pub(crate) fn pages(&self) -> usize {
        self.bytes / PAGE_BYTES
    }

    /// Learns all private pages of the memory by one scan; tells whether any is new.
    ///
    /// Without a scanner (old kernels) everything is discarded instead, and nothing is known.
    pub(crate) fn learn(
        &mut self,
        memory: &GuestMemory,
        windows: &Windows,
        scanner: Option<&PagemapScanner>,
    ) -> Result<bool, mobula_shm::Error> {
        let Some(scanner) = scanner else {
            self.ranges = subtract(0..memory.accessible(), windows);
            self.discard(memory)?;
            return Ok(false);
        };
        let before = self.bytes;
        let all = 0..memory.accessible();
        // Large windows are not looked at: their page tables cost more than a scan of each gap.
        let large = windows.bytes() > limits::LIGHT_WINDOW_BYTES;
        let parts = if large { subtract(all, windows) } else { vec![all] };
        let (mut ranges, mut found) = (Vec::new(), Vec::new());
        for part in parts {
            scanner.private_pages(memory.base() + part.start, part.len(), &mut found)?;
            let shifted = |range: Range<usize>| range.start + part.start..range.end + part.start;
            let found = found.drain(..).map(shifted);
            ranges.extend(found.flat_map(|range| subtract(range, windows)));
        }
        self.ranges = ranges;
        self.bytes = self.ranges.iter().map(ExactSizeIterator::len).sum();
        Ok(self.bytes != before)
    }

    /// Puts every known page back to what the snapshot says.
    pub(crate) fn restore(
        &mut self,
        memory: &GuestMemory,
        image: &ByteView,
    ) -> Result<Restored, mobula_shm::Error> {
        self.resets += 1;
        let relearn = self.resets.is_multiple_of(limits::RELEARN_RESETS);
        if self.bytes > limits::COPY_BYTES || (relearn && self.pages() > limits::LIGHT_PAGES) {
            self.discard(memory)?;
            return Ok(Restored::Discarded);
        }
        for range in &self.ranges {
            memory.restore(range.clone(), image);
        }
        Ok(Restored::Copied(self.pages()))
    }

    /// A window is about to be mapped over `range`: what lies there is no longer ours to restore.
    pub(crate) fn forget(&mut self, range: &Range<usize>) {
        let overlaps = |known: &Range<usize>| known.start < range.end && range.start < known.end;
        if self.ranges.iter().any(overlaps) {
            let ranges = std::mem::take(&mut self.ranges);
            self.ranges = ranges.into_iter().flat_map(|known| cut(known, range)).collect();
            self.bytes = self.ranges.iter().map(ExactSizeIterator::len).sum();
        }
    }

    /// Gives the known pages back; the next touch brings the image's page, or a zero page beyond it.
    fn discard(&mut self, memory: &GuestMemory) -> Result<(), mobula_shm::Error> {
        for range in std::mem::take(&mut self.ranges) {
            let at = PageBytes::new(range.start).expect("known ranges are page aligned");
            let len = PageBytes::new(range.len()).expect("known ranges are page aligned");
            memory.reservation().discard(at, len)?;
        }
        self.bytes = 0;
        Ok(())
    }
}

fn subtract(range: Range<usize>, windows: &Windows) -> Vec<Range<usize>> {
    windows.ranges().fold(vec![range], |parts, window| {
        parts.into_iter().flat_map(|part| cut(part, &window)).collect()
    })
}

/// `range` without `hole`.
fn cut(range: Range<usize>, hole: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
    let left = range.start..range.end.min(hole.start);
    let right = range.start.max(hole.end)..range.end;
    [left, right].into_iter().filter(|part| part.start < part.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "the ranges themselves are compared")]
    fn cutting_a_hole_leaves_what_lies_outside() {
        let parts = |range, hole: Range<usize>| cut(range, &hole).collect::<Vec<_>>();
        assert_eq!(parts(0..10, 3..5), [0..3, 5..10]);
        assert_eq!(parts(0..10, 0..10), []);
        assert_eq!(parts(4..6, 0..10), []);
        assert_eq!(parts(0..4, 2..9), [0..2]);
        assert_eq!(parts(5..9, 2..6), [6..9]);
        assert_eq!(parts(0..4, 4..9), [0..4]);
        assert_eq!(parts(5..9, 2..5), [5..9]);
    }
}
