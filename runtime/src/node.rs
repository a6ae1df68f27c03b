//! What this node's kernel grants a rank, tried out rather than read from version numbers.

use mobula_shm::{PagemapScanner, WriteTracker};

/// Whether resets can ask the kernel which pages a call changed (`PAGEMAP_SCAN`).
#[must_use]
pub fn pagemap_scan() -> bool {
    PagemapScanner::open().is_some()
}

/// Whether the kernel can note stores to shared memory by asynchronous write protection.
#[must_use]
pub fn write_protect_async() -> bool {
    WriteTracker::open().is_some()
}

/// Whether guests get all the address space they can reach; else every access is checked.
#[must_use]
pub fn whole_guests_fit() -> bool {
    crate::runtime::whole_guests_fit()
}
