//! What happened, counted where it costs nothing: one cache line a worker for what every call does,
//! shared counters for what is rare.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use serde::{Deserialize, Serialize};

/// Counters of one worker; only its own thread writes them.
#[derive(Debug, Default)]
pub(crate) struct WorkerStats {
    pub(crate) calls: AtomicU64,
    pub(crate) restored_pages: AtomicU64,
    pub(crate) resets: AtomicU64,
    pub(crate) scans: AtomicU64,
    pub(crate) discards: AtomicU64,
    pub(crate) warm_windows: AtomicU64,
}

/// Adds to a counter that no other thread writes.
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

/// All counters of a rank.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    workers: Vec<CachePadded<WorkerStats>>,
    pub(crate) failed_calls: AtomicU64,
    pub(crate) faaslets_created: AtomicU64,
    pub(crate) faaslets_live_most: AtomicU64,
    pub(crate) reinstantiated_calls: AtomicU64,
    pub(crate) cold_windows: AtomicU64,
    pub(crate) pushes: AtomicU64,
    pub(crate) pushed_chunks: AtomicU64,
    pub(crate) pulls: AtomicU64,
    pub(crate) pushed_bytes: AtomicU64,
    pub(crate) pulled_bytes: AtomicU64,
}

impl Stats {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| CachePadded::default()).collect(), ..Self::default() }
    }

    pub(crate) fn worker(&self, index: usize) -> &WorkerStats {
        &self.workers[index]
    }

    /// A number that moves whenever a call ends.
    pub(crate) fn progress(&self) -> u64 {
        self.sum(|w| &w.calls)
    }

    fn sum(&self, counter: impl Fn(&WorkerStats) -> &AtomicU64) -> u64 {
        self.workers.iter().map(|w| counter(w).load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn report(&self) -> Report {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Report {
            calls: self.sum(|w| &w.calls),
            calls_by_rank: vec![self.sum(|w| &w.calls)],
            failed_calls: read(&self.failed_calls),
            faaslets_created: read(&self.faaslets_created),
            faaslets_live_most: read(&self.faaslets_live_most),
            reinstantiated_calls: read(&self.reinstantiated_calls),
            resets: self.sum(|w| &w.resets),
            restored_pages: self.sum(|w| &w.restored_pages),
            scans: self.sum(|w| &w.scans),
            discards: self.sum(|w| &w.discards),
            windows_mapped: read(&self.cold_windows),
            windows_warm: self.sum(|w| &w.warm_windows),
            pushes: read(&self.pushes),
            pushed_chunks: read(&self.pushed_chunks),
            pulls: read(&self.pulls),
            pushed_bytes: read(&self.pushed_bytes),
            pulled_bytes: read(&self.pulled_bytes),
            ..Report::default()
        }
    }
}

/// Most resident memory of this process so far, in KiB; 0 where the kernel does not say.
pub(crate) fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

impl Report {
    /// Adds what another rank has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.calls, other.calls),
            (&mut self.failed_calls, other.failed_calls),
            (&mut self.faaslets_created, other.faaslets_created),
            (&mut self.faaslets_live_most, other.faaslets_live_most),
            (&mut self.reinstantiated_calls, other.reinstantiated_calls),
            (&mut self.resets, other.resets),
            (&mut self.restored_pages, other.restored_pages),
            (&mut self.scans, other.scans),
            (&mut self.discards, other.discards),
            (&mut self.windows_mapped, other.windows_mapped),
            (&mut self.windows_warm, other.windows_warm),
            (&mut self.pushes, other.pushes),
            (&mut self.pushed_chunks, other.pushed_chunks),
            (&mut self.pushed_bytes, other.pushed_bytes),
            (&mut self.pulls, other.pulls),
            (&mut self.pulled_bytes, other.pulled_bytes),
            (&mut self.sent_bytes, other.sent_bytes),
            (&mut self.state_bytes, other.state_bytes),
            (&mut self.state_bytes_most, other.state_bytes_most),
        ];
        for (ours, theirs) in sums {
            *ours += theirs;
        }
        self.calls_by_rank.extend(&other.calls_by_rank);
        self.peak_memory_kib = self.peak_memory_kib.max(other.peak_memory_kib);
        self.threads += other.threads;
        self.ranks += other.ranks;
    }
}

/// The statistics of a run (`--stats`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Calls that ended, the first included.
    pub calls: u64,
    /// The same for each rank.
    pub calls_by_rank: Vec<u64>,
    /// Calls that trapped, timed out or were refused.
    pub failed_calls: u64,
    /// Faaslets that were instantiated.
    pub faaslets_created: u64,
    /// Most faaslets alive at once.
    pub faaslets_live_most: u64,
    /// Calls that needed an instance of their own because their module cannot be reset.
    pub reinstantiated_calls: u64,
    /// Functions whose module cannot be reset, with the reason.
    pub unresettable: Vec<String>,
    /// Faaslets put back to their snapshot.
    pub resets: u64,
    /// Pages copied or zeroed by resets.
    pub restored_pages: u64,
    /// Looks at the page map, each one system call.
    pub scans: u64,
    /// Resets that gave pages back to the kernel instead of copying.
    pub discards: u64,
    /// Windows that had to be mapped.
    pub windows_mapped: u64,
    /// Windows that were mapped already.
    pub windows_warm: u64,
    /// Pushes.
    pub pushes: u64,
    /// Dirty chunks that pushes covered.
    pub pushed_chunks: u64,
    /// Pulls.
    pub pulls: u64,
    /// Bytes that pushes sent to other hosts.
    pub pushed_bytes: u64,
    /// Bytes that came from other hosts.
    pub pulled_bytes: u64,
    /// Bytes of all messages to other ranks: state, inputs, outputs, questions, code.
    pub sent_bytes: u64,
    /// Bytes of state at the end.
    pub state_bytes: u64,
    /// Most bytes of state at once.
    pub state_bytes_most: u64,
    /// Most memory that the process had resident at once, shared memory included, in KiB.
    pub peak_memory_kib: u64,
    /// Whether the main module came from the cache.
    pub module_cached: bool,
    /// What guests' `mobulaBlas` functions are carried out by.
    pub blas: String,
    /// Worker threads.
    pub threads: usize,
    /// Ranks that are counted here.
    pub ranks: u32,
    /// Wall time from the start of the main call to the end of the last one, in seconds.
    pub seconds: f64,
}
