//! Stores through windows, found without a word from the guest.
//!
//! ```text
//!  window mapped ─▶ Watched, in the value's list ──push──▶ collect: pages stored to ─▶ dirty chunks
//!                        │                                   ▲
//!                        └── dropped before it is unmapped ──┘
//! ```
//!
//! Where the kernel cannot note stores, every chunk that a window shows counts as stored to: more is
//! sent than need be, and nothing is missed.
//!
//! Invariant: a store through a watched window is in the value's dirty bits when `collect` returns, or
//! when the window is gone.

use std::sync::Weak;

use mobula_shm::{Bitmap, WriteWatch, chunk_range};
use parking_lot::Mutex;

/// One window of a value whose stores are watched.
#[derive(Debug)]
pub(crate) struct Watched {
    /// `None` where the kernel cannot note stores.
    pub(super) watch: Option<WriteWatch>,
    pub(super) chunks: std::ops::Range<u32>,
    pub(super) dirty: Bitmap,
}

impl Watched {
    /// Marks what was stored to as dirty.
    fn collect(&self) {
        let Some(watch) = &self.watch else { return self.dirty.set_range(self.chunks.clone()) };
        let mut found = Vec::new();
        if watch.take_written(&mut found).is_err() {
            return self.dirty.set_range(self.chunks.clone());
        }
        for range in found {
            let chunks = chunk_range(range.start as u64, range.len() as u64);
            let (first, end) = (self.chunks.start + chunks.start, self.chunks.start + chunks.end);
            self.dirty.set_range(first..end.min(self.chunks.end));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.collect();
    }
}

/// All watched windows of one value.
#[derive(Debug, Default)]
pub(crate) struct WatchList(Mutex<Vec<Weak<Watched>>>);

impl WatchList {
    pub(super) fn add(&self, watched: Weak<Watched>) {
        let mut list = self.0.lock();
        list.retain(|watched| watched.strong_count() > 0);
        list.push(watched);
    }

    pub(super) fn collect(&self) {
        let list: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        list.iter().for_each(|watched| watched.collect());
    }
}
