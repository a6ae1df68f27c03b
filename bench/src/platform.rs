//! Benchmarks of the platform: scaling over threads, what host functions cost, the store.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::measure::{Row, Samples, rows};
use crate::programs::output;
use crate::suite::Setting;

/// Steps of the work loop that take about 100 µs.
const STEPS: &str = "75000";

/// Empty calls and calls of about 100 µs, from one thread to all, beside OpenMP and rayon.
///
/// # Errors
/// When a program cannot be built or run.
pub(crate) fn scaling(s: &Setting) -> Result<Vec<Row>> {
    let (guest, omp) =
        (s.place.guest("bench/guests/spin.c")?, s.place.peer("bench/peers/omp_spin.c")?);
    let (mut ours, mut openmp, mut rayon) =
        (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..s.rounds {
        for threads in 1..=s.threads {
            for (what, args) in [("noop", ["1000", "0", "40"]), ("100us", ["200", STEPS, "4"])] {
                let metric = format!("{what}-{threads}-threads");
                let run = output(s.place.run(threads).arg(&guest).arg("--").args(args))?;
                ours.add_output(&run, |_| metric.clone());
                if let Some(omp) = &omp {
                    let mut peer = Command::new(omp);
                    peer.args(args).env("OMP_NUM_THREADS", threads.to_string());
                    openmp.add_output(&output(&mut peer)?, |_| metric.clone());
                }
                let mut peer = s.place.binary("rayon-spin");
                peer.args(args).env("RAYON_NUM_THREADS", threads.to_string());
                rayon.add_output(&output(&mut peer)?, |_| metric.clone());
            }
        }
    }
    let mut all = rows("scaling", &ours, omp.as_ref().map(|_| ("openmp", &openmp)));
    all.extend(rows("scaling", &ours, Some(("rayon", &rayon))));
    Ok(all)
}

/// What each host function costs.
///
/// # Errors
/// When the guest cannot be built or run.
pub(crate) fn host_calls(s: &Setting) -> Result<Vec<Row>> {
    let guest = s.place.guest("bench/guests/host_calls.c")?;
    let mut ours = Samples::default();
    for _ in 0..s.rounds {
        ours.add_output(&output(s.place.run(1).arg(&guest).args(["--", "20"]))?, str::to_owned);
    }
    Ok(rows("host-calls", &ours, None))
}

/// Bytes of the value that an invocation finds in the store.
const VALUE_BYTES: usize = 64 << 20;

/// Uploads, first invocations (which compile) and later ones, with and without a large value.
///
/// # Errors
/// When a program cannot be built or run, or a directory cannot be made.
pub(crate) fn store(s: &Setting) -> Result<Vec<Row>> {
    let guest = s.place.guest("bench/guests/stored.c")?;
    let mut ours = Samples::default();
    for _ in 0..s.rounds {
        let dir = s.place.out("store");
        let timed = |ours: &mut Samples, metric: &str, args: &[&Path]| -> Result<()> {
            let mut command = s.place.binary("mobula");
            command.args(args).env("MOBULA_STORE", dir.join("store"));
            command.env("MOBULA_CACHE", dir.join("cache"));
            let start = Instant::now();
            output(&mut command)?;
            ours.add(metric, "ms", start.elapsed().as_secs_f64() * 1e3);
            Ok(())
        };
        let value = prepare(&dir)?;
        let (name, key) = (Path::new("demo/f"), Path::new("demo/data"));
        timed(&mut ours, "upload", &[Path::new("upload"), name, &guest])?;
        timed(&mut ours, "first-invocation", &[Path::new("invoke"), name])?;
        timed(&mut ours, "later-invocation", &[Path::new("invoke"), name])?;
        let put = [Path::new("state"), Path::new("put"), key, Path::new("--file"), &value];
        timed(&mut ours, "put-64-MiB", &put)?;
        timed(&mut ours, "invocation-that-reads-64-MiB", &[Path::new("invoke"), name])?;
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(rows("store", &ours, None))
}

/// An empty directory with one file of ones, whose path is returned.
fn prepare(dir: &Path) -> Result<PathBuf> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let value = dir.join("value.bin");
    let mut bytes = vec![1; VALUE_BYTES];
    bytes[VALUE_BYTES - 1] = 0;
    std::fs::write(&value, bytes).with_context(|| format!("writing {}", value.display()))?;
    Ok(value)
}
