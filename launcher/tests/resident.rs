//! How much memory a value takes on a host whose ranks all use it.

#![cfg(feature = "mpi")]

mod job;

use std::time::Duration;

use job::{Job, wait_for};
use nix::unistd::Pid;

/// Calls at home on each of three ranks read all of a value of 1 GiB, and stay until all have.
const READERS: &str = r#"#include <faasm/faasm.h>
#include <stdio.h>
enum { RANKS = 3, TOTAL = 1 << 30 };
FAASM_FUNC(reader, 1) {
    const unsigned char* bytes = faasmReadStatePtr("value", TOTAL);
    volatile int* seen = (volatile int*)faasmReadStatePtr("seen", sizeof(int));
    unsigned sum = 0;
    for (long i = 0; i < TOTAL; i += 4096) sum += bytes[i];
    __atomic_fetch_add((int*)seen, sum == 0, __ATOMIC_SEQ_CST);
    while (__atomic_load_n((int*)seen, __ATOMIC_SEQ_CST) >= 0) {}
    return 0;
}
FAASM_MAIN_FUNC() {
    unsigned ids[RANKS];
    int* seen = (int*)faasmReadStatePtr("seen", sizeof(int));
    mobulaStateCreate("value", TOTAL);
    for (long i = 0; i < RANKS; i++) {
        ids[i] = mobulaChainAt("value", (2 * i + 1) * (TOTAL / (2 * RANKS)), 1, 0, 0);
    }
    faasmAwaitCall(ids[0]);
    return *seen;
}"#;

/// A figure of `/proc/PID/smaps_rollup`, bytes.
fn figure(pid: Pid, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) << 10
}

#[test]
fn ranks_of_a_host_have_one_value_of_a_gibibyte_in_memory_once() {
    const GIB: u64 = 1 << 30;
    let Some(job) = Job::start(READERS, &[]) else { return };
    let of_all = |name: &str| job.ranks.iter().map(|&pid| figure(pid, name)).collect::<Vec<_>>();
    wait_for("three ranks that have read it all", Duration::from_secs(60), || {
        of_all("Rss:").iter().all(|&bytes| bytes > GIB)
    });
    let shares = of_all("Pss:");
    let sum: u64 = shares.iter().sum();
    assert!((GIB..GIB + GIB / 4).contains(&sum), "{shares:?} bytes together are {sum}");
}
