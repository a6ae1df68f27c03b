//! Python functions beside what people run today. A peer that is not installed is skipped by name; `make
//! bench-peers` installs them all.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use crate::measure::{Row, Samples, rows};
use crate::programs::{Place, on_one_cpu, output, status_kib, watch};
use crate::suite::Setting;

/// A Python that has these modules: `MOBULA_PEERS`, or the one that `make bench-peers` makes.
pub(crate) fn interpreter(place: &Place, modules: &str) -> Option<PathBuf> {
    let named = std::env::var_os("MOBULA_PEERS").map(PathBuf::from);
    let python = named.unwrap_or_else(|| place.out("../peers")).join("bin/python3");
    let mut probe = Command::new(&python);
    probe.args(["-c", &format!("import {modules}")]).stdout(Stdio::null()).stderr(Stdio::null());
    if probe.status().is_ok_and(|status| status.success()) {
        return Some(python);
    }
    eprintln!("  skipped: peer with Python's {modules}; make bench-peers installs it");
    None
}

/// Whether Python functions run here; says so, if they do not.
pub(crate) fn runs(place: &Place, guest: &str) -> Result<bool> {
    let mut compile = place.binary("mobula");
    let done = compile.arg("compile").arg(place.source(guest)).output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    let missing = said.contains("guest-lib/python/fetch");
    ensure!(done.status.success() || missing, "{guest}: {said}");
    if missing {
        eprintln!("  skipped: there is no Python interpreter; make python gets it");
    }
    Ok(!missing)
}

/// Runs a peer of `bench/peers/python`, with one thread of its libraries for each process.
fn peer(s: &Setting, python: &Option<PathBuf>, file: &str, args: &[&str]) -> Result<String> {
    let Some(python) = python else { return Ok(String::new()) };
    let mut command = Command::new(python);
    command.arg(s.place.source(&format!("bench/peers/python/{file}"))).args(args);
    command.env("OPENBLAS_NUM_THREADS", "1").env("OMP_NUM_THREADS", "1");
    output(&mut command)
}

/// Empty calls of Python, each isolated and with numpy; beside empty tasks of Ray.
///
/// # Errors
/// When a program fails.
pub(crate) fn noop(s: &Setting) -> Result<Vec<Row>> {
    const GUEST: &str = "bench/guests/noop.py";
    if !runs(&s.place, GUEST)? {
        return Ok(Vec::new());
    }
    let ray = interpreter(&s.place, "ray, numpy");
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for _ in 0..s.rounds.min(3) {
        for (metric, threads) in [("call-1-thread", 1), ("call-all-threads", s.threads)] {
            let mut command = s.place.run(threads);
            command.arg(s.place.source(GUEST)).args(["--", "1000", "10"]);
            ours.add_output(&output(&mut command)?, |_| metric.to_owned());
            let said = peer(s, &ray, "noop_ray.py", &["1000", "3", &threads.to_string()])?;
            theirs.add_output(&said, |_| metric.to_owned());
        }
        add_suspended(s, &mut ours)?;
    }
    Ok(rows("python-noop", &ours, ray.as_ref().map(|_| ("ray", &theirs))))
}

/// Adds what a suspended call keeps resident.
fn add_suspended(s: &Setting, samples: &mut Samples) -> Result<()> {
    const COUNT: f64 = 200.0;
    let mut before = 0.0;
    let mut command = s.place.run(s.threads);
    command.arg(s.place.source("bench/guests/live.py")).args(["--", &COUNT.to_string()]);
    watch(&mut command, |line, pid| {
        let now = status_kib(pid, "RssAnon");
        if line == "before" {
            before = now;
        } else if line.starts_with("suspended") {
            samples.add("suspended-resident", "KiB", (now - before) / COUNT);
        }
    })
}

/// The sum of a window by numpy; beside numpy alone.
///
/// # Errors
/// When a program fails.
pub(crate) fn window(s: &Setting) -> Result<Vec<Row>> {
    const GUEST: &str = "bench/guests/window.py";
    if !runs(&s.place, GUEST)? {
        return Ok(Vec::new());
    }
    let numpy = interpreter(&s.place, "numpy");
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    on_one_cpu(|| {
        for _ in 0..s.rounds {
            for mib in ["1", "256"] {
                let args = [mib, "30"];
                let label = |metric: &str| format!("{metric}-{mib}-MiB");
                let mut command = s.place.run(1);
                command.arg(s.place.source(GUEST)).arg("--").args(args);
                ours.add_output(&output(&mut command)?, label);
                theirs.add_output(&peer(s, &numpy, "window_numpy.py", &args)?, label);
            }
        }
        Ok(rows("python-window", &ours, numpy.as_ref().map(|_| ("numpy", &theirs))))
    })
}
