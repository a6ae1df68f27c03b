//! Which pages of a mapping have become private: the kernel's page map, asked by `PAGEMAP_SCAN`.
//!
//! ```text
//!  what happened to a page             categories of the kernel        reported
//!  ─────────────────────────────────────────────────────────────────────────────
//!  never touched                       none                            no
//!  file page, only read                PRESENT FILE                    no
//!  window (mapped shared)              PRESENT FILE                    no
//!  file page, written: private copy    PRESENT                         yes
//!  anonymous, written                  PRESENT                         yes
//!  private page, swapped out           SWAPPED                         yes
//!  anonymous, only read: zero page     PRESENT PFNZERO                 no
//! ```
//!
//! The shared zero page is left out because it *is* zeros; a swapped page is reported because its
//! content differs just as that of a present one.
//!
//! Invariants: reported ranges are page aligned, ascending, disjoint and not adjacent.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::sys::{self, PageFilter, PageRegion};
use crate::units::PAGE_BYTES;

const PAGE_IS_WRITTEN: u64 = 1 << 1;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

const PRIVATE: PageFilter = PageFilter {
    none_of: PAGE_IS_FILE | PAGE_IS_PFNZERO,
    any_of: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
    protect: false,
};

/// Pages stored to since they were last protected, which this scan does again.
const WRITTEN: PageFilter = PageFilter { none_of: 0, any_of: PAGE_IS_WRITTEN, protect: true };

/// Regions taken from the kernel at a time; more need further calls.
const BATCH: usize = 64;

/// Finds private pages of this process.
///
/// The scanner belongs to the process that opened it: after a `fork`, the child opens its own.
#[derive(Debug)]
pub struct PagemapScanner {
    pagemap: File,
}

impl PagemapScanner {
    /// Opens the page map; `None` where the kernel (before Linux 6.7) or its settings refuse a
    /// scan.
    #[must_use]
    pub fn open() -> Option<Self> {
        let scanner = Self { pagemap: File::open("/proc/self/pagemap").ok()? };
        let probe = std::ptr::from_ref(&scanner).addr() & !(PAGE_BYTES - 1);
        let mut found = Vec::new();
        scanner.private_pages(probe, PAGE_BYTES, &mut found).ok()?;
        // Our own stack or heap has just been written: a scan that misses it cannot be trusted.
        (found.len() == 1).then_some(scanner)
    }

    /// Replaces `out` by the ranges, in bytes from `base`, whose pages are private.
    ///
    /// `base` is page aligned; `len` counts bytes. Addresses that are not mapped are skipped.
    ///
    /// # Errors
    /// [`Error::Sys`] when the kernel refuses, as it does for an unaligned `base`;
    /// [`Error::OutOfRange`] when the range leaves the address space.
    pub fn private_pages(
        &self,
        base: usize,
        len: usize,
        out: &mut Vec<Range<usize>>,
    ) -> Result<()> {
        self.find(base, len, PRIVATE, out)
    }

    /// Replaces `out` by the ranges, in bytes from `base`, that were stored to since this was last
    /// asked or since stores began to be noted; in one step, so that no store is missed.
    pub(crate) fn take_written(
        &self,
        base: usize,
        len: usize,
        out: &mut Vec<Range<usize>>,
    ) -> Result<()> {
        self.find(base, len, WRITTEN, out)
    }

    fn find(
        &self,
        base: usize,
        len: usize,
        filter: PageFilter,
        out: &mut Vec<Range<usize>>,
    ) -> Result<()> {
        out.clear();
        let end =
            base.checked_add(len).ok_or(Error::range("address space", base, len, usize::MAX))?;
        let mut at = base;
        let mut regions = [PageRegion::default(); BATCH];
        while at < end {
            let (found, stopped) = self.scan(at, end, filter, &mut regions)?;
            for region in &regions[..found] {
                push(out, region.start as usize - base..region.end as usize - base);
            }
            if stopped <= at {
                // To end here would leave private pages unreported, which isolation relies on.
                let what = format!("a scan that stopped at {stopped:#x} and found {found} ranges");
                return Err(Error::Sys { op: "ioctl(PAGEMAP_SCAN)", errno: Errno::EIO, what });
            }
            at = stopped;
        }
        Ok(())
    }

    fn scan(
        &self,
        at: usize,
        end: usize,
        filter: PageFilter,
        regions: &mut [PageRegion],
    ) -> Result<(usize, usize)> {
        loop {
            match sys::pagemap_scan(self.pagemap.as_fd(), (at, end), filter, regions) {
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    let what = format!("{} bytes at {at:#x}", end - at);
                    return Err(Error::Sys { op: "ioctl(PAGEMAP_SCAN)", errno, what });
                }
                Ok(scanned) => return Ok(scanned),
            }
        }
    }
}

/// Appends a range, joining it to the last one where they meet.
fn push(out: &mut Vec<Range<usize>>, range: Range<usize>) {
    match out.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => out.push(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A private page in memory beside one in swap is two regions for the kernel, one range for us.
    #[test]
    fn ranges_that_meet_are_joined() {
        let mut out = Vec::new();
        [0..1, 1..3, 4..5, 5..6, 8..9].into_iter().for_each(|range| push(&mut out, range));
        assert_eq!(out, [0..3, 4..6, 8..9]);
    }
}
