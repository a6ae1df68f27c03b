//! What becomes of a job when a rank, or who started it, dies or falls silent. One host; several are
//! in `slurm/test`.

#![cfg(feature = "mpi")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const BUSY: &str = r#"#include <faasm/faasm.h>
FAASM_FUNC(work, 1) {
    volatile unsigned x = 0;
    for (unsigned i = 0; i < 3000000; i++) x += i;
    return 0;
}
FAASM_MAIN_FUNC() {
    unsigned ids[3000];
    for (int i = 0; i < 3000; i++) ids[i] = faasmChainThis(1);
    for (int i = 0; i < 3000; i++) faasmAwaitCall(ids[i]);
    return 0;
}"#;

/// A job of three ranks in the middle of a fan-out; `None` where there is no mpirun.
struct Job {
    dir: tempfile::TempDir,
    mpirun: Child,
    ranks: Vec<Pid>,
}

/// Processes below `parent` whose program is mobula, by their ranks.
fn ranks_of(program: &Path) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let exe = std::fs::read_link(entry.path().join("exe")).unwrap_or_default();
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let rank = environment.split('\0').find_map(|v| v.strip_prefix("OMPI_COMM_WORLD_RANK="));
        if exe == program
            && let Some(rank) = rank.and_then(|rank| rank.parse::<usize>().ok())
        {
            found.push((rank, Pid::from_raw(pid)));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, pid)| pid).collect()
}

fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Job {
    fn start(options: &[&str]) -> Option<Self> {
        let there = Command::new("mpirun").arg("--version").stdout(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no mpirun on the PATH");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        // A program of its own, so that its processes are known by it.
        let program = dir.path().join("mobula");
        std::fs::copy(env!("CARGO_BIN_EXE_mobula"), &program).unwrap();
        std::fs::write(dir.path().join("busy.c"), BUSY).unwrap();
        let mut cc = Command::new(&program);
        cc.args(["cc", "-o", "busy.wasm", "busy.c"]).current_dir(dir.path());
        assert!(cc.status().unwrap().success());
        let file = |name| std::fs::File::create(dir.path().join(name)).unwrap();
        let mut command = Command::new("mpirun");
        if nix::unistd::geteuid().is_root() {
            command.arg("--allow-run-as-root");
        }
        command.args(["--oversubscribe", "--bind-to", "none", "-n", "3"]).arg(&program);
        command.args(["run", "busy.wasm", "--threads", "1"]).args(options);
        let mpirun = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        let mut job = Self { dir, mpirun, ranks: Vec::new() };
        wait_for("three ranks", Duration::from_secs(20), || {
            job.ranks = ranks_of(&program);
            job.ranks.len() == 3
        });
        // Into the middle of the fan-out.
        std::thread::sleep(Duration::from_secs(1));
        Some(job)
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("mobula")
    }

    /// Waits for the end of all; how mpirun ended, and what was said.
    fn end(mut self, limit: Duration) -> (Option<i32>, String) {
        let mut status = None;
        wait_for("the end of mpirun", limit, || {
            status = self.mpirun.try_wait().unwrap();
            status.is_some()
        });
        let program = self.program();
        wait_for("the end of all ranks", limit, || ranks_of(&program).is_empty());
        let said = std::fs::read_to_string(self.dir.path().join("err")).unwrap();
        (status.and_then(|status| status.code()), said)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Only after a failed test is anything left to kill.
        let _ = self.mpirun.kill();
        for pid in ranks_of(&self.program()) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = self.mpirun.wait();
    }
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
        let Some(job) = Job::start(&[]) else { return };
        let pids = job.ranks.clone();
        kill(pids[victim], Signal::SIGKILL).unwrap();
        let (code, said) = job.end(Duration::from_secs(5));
        assert_ne!(code, Some(0), "{said}");
        assert!(said.contains(&format!("rank {victim} (host ")), "{said}");
        assert!(said.contains("is gone") || said.contains("is told to end"), "{said}");
        assert!(said.contains("awaited here: "), "{said}");
        if victim == 1 {
            assert!(said.contains("calls of demo/busy by rank 1 (host "), "{said}");
        }
        let clean = || leftovers(&pids).is_empty();
        wait_for("nothing left", Duration::from_secs(2), clean);
    }
}

#[test]
fn no_rank_outlives_a_killed_mpirun() {
    let Some(mut job) = Job::start(&[]) else { return };
    let (pids, program) = (job.ranks.clone(), job.program());
    job.mpirun.kill().unwrap();
    job.mpirun.wait().unwrap();
    wait_for("the end of all ranks", Duration::from_secs(5), || ranks_of(&program).is_empty());
    assert!(leftovers(&pids).is_empty());
}

#[test]
fn a_rank_that_is_stopped_for_a_while_is_not_dead() {
    let Some(job) = Job::start(&["--peer-timeout", "20"]) else { return };
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
    let Some(job) = Job::start(&["--peer-timeout", "2"]) else { return };
    let stopped = job.ranks[2];
    kill(stopped, Signal::SIGSTOP).unwrap();
    let (code, said) = job.end(Duration::from_secs(20));
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("rank 2 (host ") && said.contains("(--peer-timeout)"), "{said}");
}
