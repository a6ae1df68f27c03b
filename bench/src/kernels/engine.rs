//! Engines: building what a definition names, and starting it with as many threads and ranks as asked.
//!
//! Every program is given `N REPETITIONS WORKERS` and prints a line `sample iteration UNIT VALUE` for each
//! iteration that is measured, and one line `check NUMBER`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::definition::{Definition, Engine, Size};
use crate::launch::Launch;
use crate::programs::{Place, limited, output};
use crate::python;

/// Where a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    /// Worker threads of a rank.
    pub threads: usize,
    /// Ranks.
    pub ranks: usize,
    /// Hosts, between which the ranks are spread.
    pub hosts: usize,
}

impl Placement {
    /// Threads of all ranks.
    #[must_use]
    pub fn workers(self) -> usize {
        self.threads * self.ranks
    }
}

impl std::fmt::Display for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let few = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        write!(f, "{}", few(self.threads, "thread"))?;
        if self.ranks > 1 {
            write!(f, " x {}", few(self.ranks, "rank"))?;
        }
        if self.hosts > 1 { write!(f, " on {}", few(self.hosts, "host")) } else { Ok(()) }
    }
}

/// A program that is ready to run.
#[derive(Debug)]
pub(super) struct Program {
    /// What it is called in a record; `mobula` for ours.
    pub name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A module or a Python file, run by this `mobula`.
    Guest { mobula: PathBuf, guest: PathBuf },
    /// One process of several threads.
    Threads(PathBuf),
    /// One process a worker, started by the launcher: program and arguments.
    Ranks(Vec<PathBuf>),
    /// A Python file that starts its workers itself.
    Python { python: PathBuf, script: PathBuf },
}

/// What all engines of a definition are given.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    pub definition: &'a Definition,
    pub place: &'a Place,
    /// The data set's directory.
    pub data: Option<PathBuf>,
    /// CPUs of the machine.
    pub cpus: usize,
    /// Where ours leaves its statistics.
    pub stats: Option<&'a Path>,
}

impl Program {
    /// Ours: the guest, run by `mobula` of `place`; `None`, which is said, where it cannot run.
    ///
    /// # Errors
    /// When the guest cannot be compiled.
    pub fn ours(definition: &Definition, place: &Place, name: &str) -> Result<Option<Self>> {
        let python = Path::new(&definition.guest).extension() == Some(OsStr::new("py"));
        if python && !python::runs(place, &definition.guest)? {
            return Ok(None);
        }
        let guest = if python {
            place.source(&definition.guest)
        } else {
            place.guest(&definition.guest)?
        };
        let mobula = place.binary("mobula").get_program().into();
        Ok(Some(Self { name: name.to_owned(), kind: Kind::Guest { mobula, guest } }))
    }

    /// A peer; `None`, which is said, where what it needs is not installed.
    ///
    /// # Errors
    /// When its compiler refuses it.
    pub fn peer(engine: &Engine, place: &Place) -> Result<Option<Self>> {
        let kind = match Path::new(&engine.source).extension().and_then(OsStr::to_str) {
            Some("py") => {
                let script = place.source(&engine.source);
                let needs = engine.needs.as_deref().unwrap_or("sys");
                python::interpreter(place, needs).map(|python| {
                    if engine.name == "mpi4py" {
                        Kind::Ranks(vec![python, script])
                    } else {
                        Kind::Python { python, script }
                    }
                })
            }
            Some("rs") => rayon(place, &engine.source)?.map(Kind::Threads),
            _ if engine.name == "mpi" => place
                .mpi_peer(&engine.source, &engine.flags)?
                .map(|program| Kind::Ranks(vec![program])),
            _ => place.peer_with(&engine.source, &engine.flags)?.map(Kind::Threads),
        };
        Ok(kind.map(|kind| Self { name: engine.name.clone(), kind }))
    }

    /// Whether it can run there at all.
    pub fn runs_at(&self, at: Placement) -> bool {
        match &self.kind {
            Kind::Guest { .. } | Kind::Ranks(_) => true,
            Kind::Threads(_) | Kind::Python { .. } => at.hosts == 1,
        }
    }

    /// The command that runs it.
    pub fn command(&self, inputs: &Inputs, launch: &Launch, at: Placement, size: Size) -> Command {
        let workers = at.workers().to_string();
        let mut command = match &self.kind {
            Kind::Guest { mobula, guest } => {
                let mut command = mobula_at(launch, mobula, at, inputs.cpus, guest);
                add_inputs(&mut command, inputs, guest);
                if let Some(stats) = inputs.stats {
                    command.arg("--stats").arg(stats);
                }
                command.arg("--");
                command
            }
            Kind::Threads(program) => {
                let mut command = started(program);
                command.env("OMP_NUM_THREADS", &workers).env("RAYON_NUM_THREADS", &workers);
                // As ours are pinned; a single thread may run anywhere on both sides.
                if at.workers() > 1 && at.workers() <= inputs.cpus {
                    command.env("OMP_PROC_BIND", "true");
                }
                command
            }
            Kind::Ranks(program) => {
                let mut command = launch.ranks(at.workers(), 1, inputs.cpus);
                command.args(program).env("OMP_NUM_THREADS", "1");
                command
            }
            Kind::Python { python, script } => {
                let mut command = started(python);
                command.arg(script);
                command
            }
        };
        if !matches!(self.kind, Kind::Guest { .. }) {
            command.env("OPENBLAS_NUM_THREADS", "1");
            if let Some(data) = &inputs.data {
                command.env("BENCH_DATA", data);
            }
        }
        command.args([size.n.to_string(), size.repetitions.to_string(), workers]);
        command
    }
}

/// `mobula run GUEST`, by the launcher where there are ranks.
pub(super) fn mobula_at(
    launch: &Launch,
    mobula: &Path,
    at: Placement,
    cpus: usize,
    guest: &Path,
) -> Command {
    if at.ranks > 1 {
        return launch.mobula(mobula, at.ranks, at.threads, cpus, guest);
    }
    let mut command = started(mobula);
    command.args(["run", "--threads", &at.threads.to_string()]).arg(guest);
    command
}

fn started(program: &Path) -> Command {
    let mut command = limited();
    command.arg(program);
    command
}

fn add_inputs(command: &mut Command, inputs: &Inputs, guest: &Path) {
    command.args(["--user", "bench"]);
    if guest.extension() == Some(OsStr::new("py")) {
        command.arg("--py-path").arg(inputs.place.source("bench/peers/python"));
    }
    let Some(data) = &inputs.data else { return };
    for (key, file) in &inputs.definition.state {
        command.arg("--state").arg(format!("bench/{key}={}", data.join(file).display()));
    }
    if inputs.definition.dir {
        command.arg("--dir").arg(format!("{}:/data:ro", data.display()));
    }
}

/// Builds the package of peers in Rust and returns one of its programs.
fn rayon(place: &Place, source: &str) -> Result<Option<PathBuf>> {
    if Command::new("cargo").arg("--version").output().is_err() {
        eprintln!("  skipped: peer {source}, there is no cargo");
        return Ok(None);
    }
    let out = place.out("rayon");
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--release", "--manifest-path"]);
    build.arg(place.source("bench/peers/rayon/Cargo.toml")).arg("--target-dir").arg(&out);
    output(build.env("RUSTFLAGS", "-Ctarget-cpu=native")).context("building bench/peers/rayon")?;
    let name = Path::new(source).file_stem().context("a source has a name")?;
    Ok(Some(out.join("release").join(name)))
}
