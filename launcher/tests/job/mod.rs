//! A job of three ranks whose processes a test can look at and hurt.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A job of three ranks with one thread each.
pub struct Job {
    dir: tempfile::TempDir,
    pub mpirun: Child,
    pub ranks: Vec<Pid>,
    /// How long it took to have three ranks: more on a busy machine.
    start_up: Duration,
}

/// The processes of ranks that run in `dir`, by their ranks.
pub fn ranks_of(dir: &Path) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let runs_in = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let rank = environment.split('\0').find_map(|v| v.strip_prefix("OMPI_COMM_WORLD_RANK="));
        if runs_in == dir
            && let Some(rank) = rank.and_then(|rank| rank.parse::<usize>().ok())
        {
            found.push((rank, Pid::from_raw(pid)));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, pid)| pid).collect()
}

pub fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Job {
    /// Starts it with this guest and waits until its ranks are there; `None` where there is no mpirun.
    pub fn start(guest: &str, options: &[&str]) -> Option<Self> {
        let there = Command::new("mpirun").arg("--version").stdout(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no mpirun on the PATH");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_mobula");
        std::fs::write(dir.path().join("guest.c"), guest).unwrap();
        let mut cc = Command::new(program);
        cc.args(["cc", "-o", "guest.wasm", "guest.c"]).current_dir(dir.path());
        assert!(cc.status().unwrap().success());
        let file = |name| std::fs::File::create(dir.path().join(name)).unwrap();
        let mut command = Command::new("mpirun");
        if nix::unistd::geteuid().is_root() {
            command.arg("--allow-run-as-root");
        }
        command.args(["--oversubscribe", "--bind-to", "none", "-n", "3"]).arg(program);
        command.args(["run", "guest.wasm", "--threads", "1"]).args(options);
        let start = Instant::now();
        let mpirun = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        let mut job = Self { dir, mpirun, ranks: Vec::new(), start_up: Duration::ZERO };
        wait_for("three ranks", Duration::from_secs(60), || {
            job.ranks = ranks_of(job.dir());
            job.ranks.len() == 3
        });
        job.start_up = start.elapsed();
        Some(job)
    }

    /// Where it runs; no other job does.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A promised time as it is on a machine that is as busy as this one was at the start.
    pub fn fair(&self, promised: Duration) -> Duration {
        promised + 5 * self.start_up
    }

    /// What its guests have printed so far.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(self.dir().join("out")).unwrap()
    }

    /// Waits for the end of all within a promised time: how mpirun ended, and what was said.
    pub fn end(mut self, promised: Duration) -> (Option<i32>, String) {
        let limit = self.fair(promised);
        let mut status = None;
        wait_for("the end of mpirun", limit, || {
            status = self.mpirun.try_wait().unwrap();
            status.is_some()
        });
        wait_for("the end of all ranks", limit, || ranks_of(self.dir()).is_empty());
        let said = std::fs::read_to_string(self.dir.path().join("err")).unwrap();
        (status.and_then(|status| status.code()), said)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Only after a failed test is anything left to kill.
        let _ = self.mpirun.kill();
        for pid in ranks_of(self.dir()) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = self.mpirun.wait();
    }
}
