//! What this node's kernel grants a rank, tried out rather than read from version numbers, and who runs on it.

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

/// Whether a process of this host runs; a zombie does not.
#[must_use]
pub fn runs(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => {
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            !matches!(state, Some('Z' | 'X'))
        }
        Err(err) => err.kind() != std::io::ErrorKind::NotFound,
    }
}
