//! The suite of the fabric over MPI: this program again, as ranks that mpirun starts.

#![cfg(feature = "mpi")]

mod fabric;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mobula_runtime::fabric::{Fabric, Mpi, Near};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Set for the processes that are ranks: what they test.
const AS_A_RANK: &str = "MOBULA_TEST_FABRIC";
const MPI_ALONE: &str = "mpi";
const SHORTCUTS: &str = "shortcuts";

#[test]
fn as_a_rank() {
    let Some(what) = std::env::var_os(AS_A_RANK) else { return };
    let mpi = Mpi::start().unwrap();
    let rank: Arc<dyn Fabric> = if what == SHORTCUTS {
        Near::join(mpi.clone(), |number| mpi.gather(number)).unwrap()
    } else {
        mpi
    };
    assert_eq!(rank.job().size(), 3);
    assert!(rank.job().is_near(0), "all on this host");
    fabric::suite(&rank);
    println!("suite passed");
}

/// Ends mpirun and its ranks: it takes them along when it is told to end, but not when it is killed.
fn end(mpirun: &mut Child) {
    let pid = Pid::from_raw(i32::try_from(mpirun.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    for _ in 0..500 {
        if mpirun.try_wait().unwrap().is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    mpirun.kill().unwrap();
    mpirun.wait().unwrap();
}

#[test]
fn the_suite_passes() {
    run(MPI_ALONE);
}

#[test]
fn the_suite_passes_with_shortcuts() {
    run(SHORTCUTS);
}

fn run(what: &str) {
    let there = Command::new("mpirun").arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: no mpirun on the PATH");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = |name| std::fs::File::create(dir.path().join(name)).unwrap();
    let mut mpirun = Command::new("mpirun");
    if nix::unistd::geteuid().is_root() {
        mpirun.arg("--allow-run-as-root");
    }
    mpirun.args(["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]);
    mpirun.args(["-n", "3"]).arg(std::env::current_exe().unwrap());
    mpirun.args(["as_a_rank", "--exact", "--nocapture", "--test-threads", "1"]);
    let mut child = mpirun
        .env(AS_A_RANK, what)
        .stdin(Stdio::null())
        .stdout(file("out"))
        .stderr(file("err"))
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(100) {
            end(&mut child);
            panic!("no end after 100 s");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let read = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(status.success(), "{}{}", read("out"), read("err"));
    assert_eq!(read("out").matches("suite passed").count(), 3, "{}{}", read("out"), read("err"));
}
