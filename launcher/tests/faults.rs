//! What becomes of a job when a rank, or who started it, dies or falls silent. One host; several are
//! in `slurm/test`.

#![cfg(feature = "mpi")]

mod job;

use std::time::Duration;

use job::{Job, ranks_of, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A fan-out over three ranks that says when it is chained.
const BUSY: &str = r#"#include <faasm/faasm.h>
#include <stdio.h>
FAASM_FUNC(work, 1) {
    volatile unsigned x = 0;
    for (unsigned i = 0; i < ROUNDS; i++) x += i;
    return 0;
}
FAASM_MAIN_FUNC() {
    unsigned ids[3000];
    for (int i = 0; i < 3000; i++) ids[i] = faasmChainThis(1);
    puts("chained");
    fflush(stdout);
    for (int i = 0; i < 3000; i++) faasmAwaitCall(ids[i]);
    return 0;
}"#;

/// Calls of a millisecond or so: the job ends within a minute.
const SHORT: &str = "3000000";
/// Calls of seconds: whoever looks finds every rank in the middle of one.
const LONG: &str = "4000000000";

/// Three ranks in the middle of a fan-out.
fn start(rounds: &str, options: &[&str]) -> Option<Job> {
    let job = Job::start(&BUSY.replace("ROUNDS", rounds), options)?;
    let chained = || job.printed().contains("chained");
    wait_for("the fan-out", Duration::from_secs(20), chained);
    // Time for the idle ranks to take their share.
    std::thread::sleep(Duration::from_secs(1));
    Some(job)
}

/// What our ranks could leave behind.
fn leftovers(pids: &[Pid]) -> Vec<String> {
    let ours = |name: &str| pids.iter().any(|pid| name.contains(&format!("mobula-{pid}")));
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
        let clean = || leftovers(&pids).is_empty();
        wait_for("nothing left", Duration::from_secs(2), clean);
    }
}

#[test]
fn no_rank_outlives_a_killed_mpirun() {
    let Some(mut job) = start(LONG, &[]) else { return };
    let (pids, dir) = (job.ranks.clone(), job.dir().to_owned());
    job.mpirun.kill().unwrap();
    job.mpirun.wait().unwrap();
    wait_for("the end of all ranks", Duration::from_secs(5), || ranks_of(&dir).is_empty());
    assert!(leftovers(&pids).is_empty());
}

#[test]
fn a_rank_that_is_stopped_for_a_while_is_not_dead() {
    let Some(job) = start(SHORT, &["--peer-timeout", "20"]) else { return };
    for rank in [1, 0] {
        kill(job.ranks[rank], Signal::SIGSTOP).unwrap();
        std::thread::sleep(Duration::from_secs(3));
        kill(job.ranks[rank], Signal::SIGCONT).unwrap();
    }
    let (code, said) = job.end(Duration::from_secs(100));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_rank_that_is_silent_for_too_long_ends_the_job() {
    let Some(job) = start(LONG, &["--peer-timeout", "2"]) else { return };
    let stopped = job.ranks[2];
    kill(stopped, Signal::SIGSTOP).unwrap();
    let (code, said) = job.end(Duration::from_secs(20));
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("rank 2 (host ") && said.contains("(--peer-timeout)"), "{said}");
}
