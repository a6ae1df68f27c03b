//! The benchmarks: what each runs, and beside what.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};

use crate::launch::Launch;
use crate::measure::{Row, Samples, rows};
use crate::platform;
use crate::programs::{Place, data_set, on_one_cpu, output, shared_once_kib, status_kib, watch};
use crate::ranks;

/// A benchmark by name.
#[derive(Debug, Clone, Copy)]
pub struct Bench {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it measures, beside what.
    pub about: &'static str,
    /// Whether it runs programs of several ranks.
    pub ranks: bool,
    run: fn(&Setting) -> Result<Vec<Row>>,
}

/// How to run them.
#[derive(Debug)]
pub struct Setting {
    /// Where programs are.
    pub place: Place,
    /// Repetitions of each pair of processes.
    pub rounds: usize,
    /// Worker threads of "all threads".
    pub threads: usize,
    /// How programs of several ranks are started.
    pub launch: Rc<Launch>,
}

/// All benchmarks.
pub const ALL: &[Bench] = &[
    Bench {
        name: "chain-noop",
        about: "fan-out of 1000 empty isolated calls, ns each (peer: queued OpenMP task)",
        ranks: false,
        run: chain_noop,
    },
    Bench {
        name: "chain-one",
        about: "chain and await of one call, ns",
        ranks: false,
        run: chain_one,
    },
    Bench {
        name: "reset",
        about: "a call that writes to n pages, reset included, ns",
        ranks: false,
        run: reset,
    },
    Bench {
        name: "window-read",
        about: "sum over a window, GB/s (peer: native on the same bytes)",
        ranks: false,
        run: |s| on_one_cpu(|| window(s, "window-read", "read")),
    },
    Bench {
        name: "window-triad",
        about: "triad over a window, GB/s (peer: native on the same bytes)",
        ranks: false,
        run: |s| on_one_cpu(|| window(s, "window-triad", "triad")),
    },
    Bench {
        name: "window-map",
        about: "opening 1 MiB windows, ns and system calls",
        ranks: false,
        run: map,
    },
    Bench {
        name: "proto",
        about: "proto-function: first and later calls",
        ranks: false,
        run: proto,
    },
    Bench {
        name: "live-faaslets",
        about: "10,000 suspended at once: memory of each, KiB",
        ranks: false,
        run: live_faaslets,
    },
    Bench {
        name: "sgd",
        about: "HOGWILD SGD on the flights, s an epoch (peer: C++ with OpenMP)",
        ranks: false,
        run: sgd,
    },
    Bench {
        name: "scaling",
        about: "empty calls and calls of 100 us over threads, us each (peers: OpenMP, rayon)",
        ranks: false,
        run: platform::scaling,
    },
    Bench {
        name: "host-calls",
        about: "what each host function costs, ns",
        ranks: false,
        run: platform::host_calls,
    },
    Bench {
        name: "store",
        about: "from upload to the end of a first and a later invocation, ms",
        ranks: false,
        run: platform::store,
    },
    Bench {
        name: "sandbox",
        about: "every kernel on one thread, ms (peer: the same source, native)",
        ranks: false,
        run: crate::sandbox::sandbox,
    },
    Bench {
        name: "rust-noop",
        about: "fan-out of 1000 empty isolated calls of Rust, ns each (peer: the same in C)",
        ranks: false,
        run: rust_noop,
    },
    Bench {
        name: "python-noop",
        about: "empty isolated calls of Python with numpy, us each (peer: tasks of Ray)",
        ranks: false,
        run: crate::python::noop,
    },
    Bench {
        name: "python-window",
        about: "numpy's sum over a window, GB/s (peer: numpy on its own array)",
        ranks: false,
        run: crate::python::window,
    },
    Bench {
        name: "rank-rtt",
        about: "a call to another rank and back, ns (peer: MPI ping-pong)",
        ranks: true,
        run: ranks::round_trip,
    },
    Bench {
        name: "pull-bandwidth",
        about: "pulling what another rank changed, GB/s (peer: MPI_Send)",
        ranks: true,
        run: |s| ranks::bandwidth(s, "pull-bandwidth", "pull"),
    },
    Bench {
        name: "push-bandwidth",
        about: "pushing to another rank, GB/s (peer: MPI_Send)",
        ranks: true,
        run: |s| ranks::bandwidth(s, "push-bandwidth", "push"),
    },
    Bench {
        name: "fanout-ranks",
        about: "fan-outs over 1, 2, 4 ranks, calls a second (peer: MPI messages)",
        ranks: true,
        run: ranks::fan_out,
    },
    Bench {
        name: "metg",
        about: "smallest task at half the peak rate, us (peer: the same grid in C with MPI)",
        ranks: true,
        run: ranks::metg,
    },
    Bench {
        name: "startup",
        about: "launcher to first instruction, ms; files opened (peer: MPI ready)",
        ranks: true,
        run: ranks::startup,
    },
];

impl Bench {
    /// Runs each round with the `mobula` of the setting and with another one, in turns; a sample is
    /// the median of a round.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_against(&self, setting: &Setting, other: &Path) -> Result<Vec<Row>> {
        let (mut ours, mut theirs) = (Samples::default(), Samples::default());
        let launch = &setting.launch;
        let round = |place| Setting {
            place,
            rounds: 1,
            threads: setting.threads,
            launch: Rc::clone(launch),
        };
        let (this, that) = (round(setting.place.clone()), round(setting.place.with_mobula(other)?));
        for _ in 0..setting.rounds {
            for (setting, samples) in [(&this, &mut ours), (&that, &mut theirs)] {
                for row in self.run(setting)? {
                    samples.add(&row.metric, &row.unit, row.median);
                }
            }
        }
        let name = other.file_name().unwrap_or_default().to_string_lossy();
        Ok(rows(self.name, &ours, Some((&name, &theirs))))
    }

    /// Builds what it needs and measures.
    ///
    /// # Errors
    /// When a program cannot be built or run, or gives a wrong answer.
    pub fn run(&self, setting: &Setting) -> Result<Vec<Row>> {
        (self.run)(setting).with_context(|| format!("benchmark {}", self.name))
    }
}

fn same(metric: &str) -> String {
    metric.to_owned()
}

fn chain_noop(s: &Setting) -> Result<Vec<Row>> {
    let (guest, peer) =
        (s.place.guest("bench/guests/calls.c")?, s.place.peer("bench/peers/omp_task.c")?);
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    let teams = [("call-1-thread", 1), ("call-all-threads", s.threads)];
    // A team of one runs tasks inline and makes none: two threads are the least.
    let team = s.threads.max(2);
    let tasks = |peer: &PathBuf, args: [&str; 2], threads: usize| {
        output(Command::new(peer).args(args).env("OMP_NUM_THREADS", threads.to_string()))
    };
    for _ in 0..s.rounds {
        for (metric, threads) in teams {
            let run = output(s.place.run(threads).arg(&guest).args(["--", "1000", "100"]))?;
            ours.add_output(&run, |_| metric.to_owned());
            if let Some(peer) = &peer {
                // libgomp queues 64 tasks a thread and runs the rest inline: these are all queued.
                let run = tasks(peer, ["100", "1000"], team)?;
                // One peer for both: a task costs what it costs a team that makes tasks.
                for (metric, _) in teams {
                    theirs.add_output(&run, |_| metric.to_owned());
                }
            }
        }
        if let Some(peer) = &peer {
            let run = tasks(peer, ["1000", "100"], 1)?;
            ours.add_output(&run, |_| "openmp-inline-1-thread".to_owned());
            let run = tasks(peer, ["1000", "100"], team)?;
            ours.add_output(&run, |_| "openmp-fan-out-of-1000".to_owned());
        }
    }
    Ok(rows("chain-noop", &ours, peer.as_ref().map(|_| ("openmp-queued-task", &theirs))))
}

fn rust_noop(s: &Setting) -> Result<Vec<Row>> {
    let rust = s.place.guest("bench/guests/rust_noop.rs")?;
    let c = s.place.guest("bench/guests/calls.c")?;
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for _ in 0..s.rounds {
        for (metric, threads) in [("call-1-thread", 1), ("call-all-threads", s.threads)] {
            for (guest, samples) in [(&rust, &mut ours), (&c, &mut theirs)] {
                let run = output(s.place.run(threads).arg(guest).args(["--", "1000", "100"]))?;
                samples.add_output(&run, |_| metric.to_owned());
            }
        }
    }
    Ok(rows("rust-noop", &ours, Some(("c", &theirs))))
}

fn chain_one(s: &Setting) -> Result<Vec<Row>> {
    let guest = s.place.guest("bench/guests/calls.c")?;
    let mut ours = Samples::default();
    for _ in 0..s.rounds {
        for (metric, threads) in [("call-1-thread", 1), ("call-all-threads", s.threads)] {
            let run = output(s.place.run(threads).arg(&guest).args(["--", "1", "100"]))?;
            ours.add_output(&run, |_| metric.to_owned());
        }
    }
    Ok(rows("chain-one", &ours, None))
}

fn reset(s: &Setting) -> Result<Vec<Row>> {
    let guest = s.place.guest("bench/guests/reset.c")?;
    let mut ours = Samples::default();
    for _ in 0..s.rounds {
        ours.add_output(&output(s.place.run(1).arg(&guest).args(["--", "50"]))?, same);
    }
    Ok(rows("reset", &ours, None))
}

/// Bytes that both sides read: three arrays of 128 MiB.
const STREAM_BYTES: usize = 384 << 20;

fn window(s: &Setting, bench: &str, metric: &str) -> Result<Vec<Row>> {
    let guest = s.place.guest("bench/guests/window.c")?;
    let peer = s.place.peer("bench/peers/window_native.c")?;
    let file = doubles(&s.place)?;
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for _ in 0..s.rounds {
        let state = format!("demo/bytes={}", file.display());
        let run = output(s.place.run(1).arg(&guest).args(["--state", &state, "--", "6"]))?;
        ours.add_output(&run, same);
        if let Some(peer) = &peer {
            let native = output(Command::new(peer).arg(&file).arg("6"))?;
            theirs.add_output(&native, same);
            let check =
                |text: &str| text.lines().find(|l| l.starts_with("check")).map(str::to_owned);
            ensure!(check(&run) == check(&native), "guest and peer add up to different sums");
        }
    }
    std::fs::remove_file(&file)?;
    ours.0.retain(|name, _| name.starts_with(metric));
    Ok(rows(bench, &ours, peer.as_ref().map(|_| ("native", &theirs))))
}

fn doubles(place: &Place) -> Result<PathBuf> {
    let file = place.out("doubles.bin");
    let values = (0..STREAM_BYTES / 8).map(|i| (i % 1000) as f64 * 0.5);
    let bytes: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
    std::fs::write(&file, bytes).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

fn map(s: &Setting) -> Result<Vec<Row>> {
    let guest = s.place.guest("bench/guests/map.c")?;
    let mut ours = Samples::default();
    for _ in 0..s.rounds {
        ours.add_output(&output(s.place.run(1).arg(&guest).args(["--", "50"]))?, same);
    }
    if Command::new("strace").arg("-V").output().is_ok() {
        let few = system_calls(s, &guest, 20)?;
        let many = system_calls(s, &guest, 220)?;
        // 200 calls more, each opening 100 windows; also what chaining itself costs is in it.
        ours.add("warm-syscalls-per-window", "calls", (many - few).max(0.0) / (200.0 * 100.0));
    } else {
        eprintln!("  skipped: warm-syscalls-per-window, there is no strace");
    }
    Ok(rows("window-map", &ours, None))
}

/// Mapping calls that a run with warm windows only makes, in all threads.
fn system_calls(s: &Setting, guest: &Path, repetitions: u32) -> Result<f64> {
    let log = s.place.out("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-e", "trace=%memory", "-o"]).arg(&log);
    command.arg(s.place.binary("mobula").get_program()).args(["run", "--threads", "1"]);
    output(command.arg(guest).args(["--", &repetitions.to_string(), "2"]))?;
    Ok(std::fs::read_to_string(&log)?.lines().filter(|line| line.contains('(')).count() as f64)
}

fn proto(s: &Setting) -> Result<Vec<Row>> {
    let guest = s.place.guest("bench/guests/proto.c")?;
    let mut ours = Samples::default();
    for _ in 0..s.rounds {
        let start = std::time::Instant::now();
        output(s.place.run(1).arg(&guest).args(["--", "0"]))?;
        ours.add("first-call-whole-process", "ns", start.elapsed().as_secs_f64() * 1e9);
        ours.add_output(&output(s.place.run(1).arg(&guest))?, same);
    }
    Ok(rows("proto", &ours, None))
}

fn live_faaslets(s: &Setting) -> Result<Vec<Row>> {
    const COUNT: f64 = 10_000.0;
    let guest = s.place.guest("bench/guests/live.c")?;
    let mut ours = Samples::default();
    for _ in 0..s.rounds.min(3) {
        let mut before = (0.0, 0.0);
        watch(s.place.run(s.threads).arg(&guest), |line, pid| {
            let now = (status_kib(pid, "RssAnon"), status_kib(pid, "VmPTE"));
            if line == "before" {
                before = now;
            } else if line.starts_with("suspended") {
                ours.add("resident", "KiB", (now.0 - before.0) / COUNT);
                ours.add("page-tables", "KiB", (now.1 - before.1) / COUNT);
            }
        })?;
    }
    ensure!(!ours.0.is_empty(), "the guest never said that all calls were suspended");
    Ok(rows("live-faaslets", &ours, None))
}

fn sgd(s: &Setting) -> Result<Vec<Row>> {
    let guest = s.place.guest("guest-lib/examples/sgd/sgd.cpp")?;
    let peer = s.place.peer("bench/peers/sgd_openmp.cpp")?;
    let data = data_set(&s.place, "flights")?;
    let state = |name: &str| format!("demo/{name}={}", data.join(format!("{name}.bin")).display());
    let result = s.place.out("sgd-result.json");
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    let guest_run = |threads: usize, workers: usize| {
        let mut command = s.place.run(threads);
        command.arg(&guest).args(["--state", &state("train"), "--state", &state("test")]);
        command.arg("--output").arg(&result);
        command.args(["--", "--epochs", "12", "--quiet", "--workers"]);
        command.arg(workers.to_string());
        command
    };
    for _ in 0..s.rounds {
        for (metric, threads) in [("epoch-1-thread", 1), ("epoch-all-threads", s.threads)] {
            output(&mut guest_run(threads, threads))?;
            check(&s.place, &data, &result)?;
            add_epochs(&mut ours, metric, &result)?;
            if let Some(peer) = &peer {
                let mut command = Command::new(peer);
                command.arg("--train").arg(data.join("train.bin"));
                command.arg("--test").arg(data.join("test.bin")).args(["--epochs", "12"]);
                output(command.args(["--workers", &threads.to_string(), "--result"]).arg(&result))?;
                check(&s.place, &data, &result)?;
                add_epochs(&mut theirs, metric, &result)?;
            }
        }
    }
    for workers in [1, 8] {
        let mut most = 0.0f64;
        let mut command = guest_run(s.threads, workers);
        let mut child = command.stdout(std::process::Stdio::null()).spawn()?;
        while child.try_wait()?.is_none() {
            most = most.max(shared_once_kib(child.id()));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        ours.add(&format!("peak-memory-{workers}-workers"), "KiB", most);
    }
    Ok(rows("sgd", &ours, peer.as_ref().map(|_| ("openmp", &theirs))))
}

/// Fails unless the result is near the reference: speed by less work does not count.
fn check(place: &Place, data: &Path, result: &Path) -> Result<()> {
    let mut command = place.binary("mobula-flights");
    output(command.args(["check", "--data"]).arg(data).arg("--result").arg(result)).map(drop)
}

/// Training time of each epoch but the first, which pays for first touches.
fn add_epochs(samples: &mut Samples, metric: &str, result: &Path) -> Result<()> {
    let result: serde_json::Value = serde_json::from_slice(&std::fs::read(result)?)?;
    let epochs = result["epochs"].as_array().context("the result has epochs")?;
    for epoch in epochs.iter().skip(1) {
        samples.add(metric, "s", epoch["seconds"].as_f64().context("an epoch has seconds")?);
    }
    Ok(())
}
