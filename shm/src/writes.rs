//! Which pages of a shared mapping were stored to: noted by the kernel, without a word from who stores.
//!
//! ```text
//!  watch ─▶ protected ──store──▶ the kernel lifts the protection and notes "written"; the store goes on
//!               ▲                                  │
//!               └────────── take_written ◀─────────┘   reports and protects again, in one step
//! ```
//!
//! The first store to a page after each report costs a page fault (about a microsecond); memory that
//! is not watched pays nothing. It needs `userfaultfd` with asynchronous write protection (Linux 6.7).
//!
//! Invariants: a watch keeps its reservation; a store before `take_written` is in its report or in an
//! earlier one.

use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::error::Result;
use crate::pagemap::PagemapScanner;
use crate::reservation::Reservation;
use crate::sys;
use crate::units::PageBytes;

/// Notes stores to mappings of this process.
#[derive(Debug)]
pub struct WriteTracker {
    notes: OwnedFd,
    pages: PagemapScanner,
}

/// A part of a reservation where stores are noted.
///
/// Whoever maps something else there drops the watch first; it would report the other's pages.
#[derive(Debug)]
pub struct WriteWatch {
    tracker: Arc<WriteTracker>,
    reservation: Arc<Reservation>,
    at: PageBytes,
    len: PageBytes,
}

impl WriteTracker {
    /// Opens a tracker; `None` where the kernel (before Linux 6.7) or its settings refuse one.
    #[must_use]
    pub fn open() -> Option<Self> {
        Some(Self { notes: sys::write_notes().ok()?, pages: PagemapScanner::open()? })
    }

    /// Notes stores to the `len` bytes at `at`, where shared memory is mapped.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange), [`Error::Sys`](crate::Error::Sys).
    pub fn watch(
        self: &Arc<Self>,
        reservation: &Arc<Reservation>,
        at: PageBytes,
        len: PageBytes,
    ) -> Result<WriteWatch> {
        reservation.note_writes(self.notes.as_fd(), at, len)?;
        let (tracker, reservation) = (self.clone(), reservation.clone());
        Ok(WriteWatch { tracker, reservation, at, len })
    }
}

impl WriteWatch {
    /// Replaces `out` by the page-aligned ranges, in bytes from the watch's start, that were stored to
    /// since this was last asked.
    ///
    /// # Errors
    /// [`Error::Sys`](crate::Error::Sys) when the kernel refuses.
    pub fn take_written(&self, out: &mut Vec<Range<usize>>) -> Result<()> {
        let base = self.reservation.base() as usize + self.at.get();
        self.tracker.pages.take_written(base, self.len.get(), out)
    }
}
