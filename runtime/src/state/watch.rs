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
//! Invariants: a store through a watched window is in the value's dirty bits when `collect` returns, or
//! when the window is gone; whoever reports stores holds the list, so that nobody who collects misses what
//! another one has taken and not marked yet.

use std::sync::Arc;

use mobula_shm::{Bitmap, WriteWatch, chunk_range};
use parking_lot::Mutex;

/// One window of a value whose stores are watched; watched until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    window: Arc<Window>,
    list: Arc<WatchList>,
}

#[derive(Debug)]
pub(super) struct Window {
    /// `None` where the kernel cannot note stores.
    pub(super) watch: Option<WriteWatch>,
    pub(super) chunks: std::ops::Range<u32>,
    pub(super) dirty: Bitmap,
}

impl Window {
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
        let mut list = self.list.0.lock();
        self.window.collect();
        list.retain(|window| !Arc::ptr_eq(window, &self.window));
    }
}

/// All watched windows of one value.
#[derive(Debug, Default)]
pub(crate) struct WatchList(Mutex<Vec<Arc<Window>>>);

impl WatchList {
    pub(super) fn add(self: &Arc<Self>, window: Window) -> Watched {
        let window = Arc::new(window);
        self.0.lock().push(window.clone());
        Watched { window, list: self.clone() }
    }

    pub(super) fn collect(&self) {
        self.0.lock().iter().for_each(|window| window.collect());
    }
}
