//! What becomes of a job when a rank, or who started it, dies or falls silent. One host; several are
//! in `slurm/test`.

#![cfg(feature = "mpi")]

mod job;

use std::time::Duration;

use job::{Job, ranks_of, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A fan-out over three ranks; each call says that it has begun.
const BUSY: &str = r#"#include <faasm/faasm.h>
#include <stdio.h>
FAASM_FUNC(work, 1) {
    puts("working");
    fflush(stdout);
    volatile unsigned x = 0;
    for (unsigned i = 0; i < ROUNDS; i++) x += i;
    return 0;
}
FAASM_MAIN_FUNC() {
    unsigned ids[3000];
    for (int i = 0; i < 3000; i++) ids[i] = faasmChainThis(1);
    for (int i = 0; i < 3000; i++) faasmAwaitCall(ids[i]);
    return 0;
}"#;

/// Calls of some milliseconds: the job goes on for ten seconds, and ends within minutes on a busy machine.
const SHORT: &str = "12000000";
/// Calls of seconds: whoever looks finds every rank in the middle of one.
const LONG: &str = "4000000000";

/// Three ranks in the middle of a fan-out.
fn start(rounds: &str, options: &[&str]) -> Option<Job> {
    let job = Job::start(&BUSY.replace("ROUNDS", rounds), options)?;
    // One thread a rank: with long calls, each is in the middle of one then.
    let working = || job.printed().matches("working").count() >= 3;
    wait_for("three calls", Duration::from_secs(60), working);
    Some(job)
}

/// What our ranks could leave behind.
fn leftovers(pids: &[Pid]) -> Vec<String> {
    let ours = |name: &str| pids.iter().any(|pid| name.contains(&format!("mobula-{pid}-")));
    let mut found = Vec::new();
    for dir in ["/dev/shm", "/tmp"] {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if ours(&name) {
                found.push(format!("{dir}/{name}"));
            }
        }
    }
    found
}

/// What removes a rank's files may outlive it for a moment.
fn wait_until_clean(pids: &[Pid]) {
    wait_for("nothing left", Duration::from_secs(20), || leftovers(pids).is_empty());
}

#[test]
fn a_killed_rank_takes_the_job_along_with_a_reason() {
    for victim in [0, 1] {
        let Some(job) = start(LONG, &[]) else { return };
        let pids = job.ranks.clone();
        kill(pids[victim], Signal::SIGKILL).unwrap();
        let (code, said) = job.end(Duration::from_secs(5));
        assert_ne!(code, Some(0), "{said}");
        assert!(said.contains(&format!("rank {victim} (host ")), "{said}");
        assert!(said.contains("is gone") || said.contains("is told to end"), "{said}");
        assert!(said.contains("awaited here: "), "{said}");
        if victim == 1 {
            assert!(said.contains("calls of demo/guest by rank 1 (host "), "{said}");
        }
        wait_until_clean(&pids);
    }
}

#[test]
fn no_rank_outlives_a_killed_mpirun() {
    let Some(mut job) = start(LONG, &[]) else { return };
    let (pids, dir) = (job.ranks.clone(), job.dir().to_owned());
    job.mpirun.kill().unwrap();
    job.mpirun.wait().unwrap();
    let limit = job.fair(Duration::from_secs(5));
    wait_for("the end of all ranks", limit, || ranks_of(&dir).is_empty());
    wait_until_clean(&pids);
}

#[test]
fn a_rank_that_is_stopped_for_a_while_is_not_dead() {
    let Some(job) = start(SHORT, &["--peer-timeout", "20"]) else { return };
    for rank in [1, 0] {
        kill(job.ranks[rank], Signal::SIGSTOP).unwrap();
        std::thread::sleep(Duration::from_secs(3));
        kill(job.ranks[rank], Signal::SIGCONT).unwrap();
    }
    let (code, said) = job.end(Duration::from_secs(300));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_rank_that_is_silent_for_too_long_ends_the_job() {
    let Some(job) = start(LONG, &["--peer-timeout", "5"]) else { return };
    let stopped = job.ranks[2];
    kill(stopped, Signal::SIGSTOP).unwrap();
    let (code, said) = job.end(Duration::from_secs(20));
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("rank 2 (host ") && said.contains("(--peer-timeout)"), "{said}");
}
