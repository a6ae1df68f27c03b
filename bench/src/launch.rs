//! Starting programs of several ranks: on this machine, or on hosts that share no memory with each other.
//!
//! ```text
//!  one host    mpirun -n N PROGRAM                          srun --mpi=pmix -n N PROGRAM
//!  more        slurm/dev-cluster mpirun -n N PROGRAM        slurm/dev-cluster srun … PROGRAM
//! ```
//!
//! Everything that Open MPI is told is in the environment, so that another MPI's `mpirun` works too. A
//! cluster that was brought up here is taken down with its [`Launch`].

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::programs::{Place, limited, output};

/// Exit code of `slurm/dev-cluster` where a machine can have none.
const CANNOT: i32 = 77;

/// What starts ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Launcher {
    /// `mpirun`.
    Mpirun,
    /// `srun --mpi=pmix`.
    Srun,
}

/// A way to start programs of several ranks.
#[derive(Debug)]
pub struct Launch {
    launcher: Launcher,
    hosts: usize,
    /// `slurm/dev-cluster --dir DIR`, where there is more than one host.
    cluster: Option<(PathBuf, PathBuf)>,
    /// Why it starts nothing.
    missing: Option<String>,
}

impl Launch {
    /// Finds the launcher, and brings the hosts up where there is to be more than one. Where that cannot
    /// be, the benchmarks that need it say so and are skipped.
    ///
    /// # Errors
    /// When a cluster that could be does not come up.
    pub fn open(launcher: Launcher, hosts: usize, place: &Place) -> Result<Self> {
        let mut launch = Self { launcher, hosts, cluster: None, missing: None };
        let program = launch.program();
        if Command::new(program).arg("--version").output().is_err() {
            launch.missing = Some(format!("there is no {program}"));
        } else if hosts > 1 {
            // Sockets lie below it, so the name must be short.
            let dir = std::env::temp_dir().join(format!("mobula-bench-{}", std::process::id()));
            let script = place.source("slurm/dev-cluster");
            eprintln!("{hosts} hosts: {} --dir {} up", script.display(), dir.display());
            let mut up = Command::new(&script);
            let up = up.arg("--dir").arg(&dir).args(["up", &hosts.to_string()]).output();
            let up = up.with_context(|| format!("starting {}", script.display()))?;
            let said = String::from_utf8_lossy(&up.stderr).trim().to_owned();
            match up.status.code() {
                Some(0) => launch.cluster = Some((script, dir)),
                Some(CANNOT) => launch.missing = Some(said),
                _ => bail!("{hosts} hosts did not come up: {said}"),
            }
        }
        Ok(launch)
    }

    /// What starts ranks: `mpirun` or `srun`.
    #[must_use]
    pub fn program(&self) -> &'static str {
        match self.launcher {
            Launcher::Mpirun => "mpirun",
            Launcher::Srun => "srun",
        }
    }

    /// Why nothing can be started, if so.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// Number of hosts.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    /// A metric's name with what is unusual about the way it was started.
    #[must_use]
    pub fn label(&self, metric: &str) -> String {
        let hosts = if self.hosts > 1 { format!("-{}-hosts", self.hosts) } else { String::new() };
        let srun = if self.launcher == Launcher::Srun { "-srun" } else { "" };
        format!("{metric}{hosts}{srun}")
    }

    /// Starts `ranks` times what is added to the command, each with `threads` of the machine's `cpus`.
    #[must_use]
    pub fn ranks(&self, ranks: usize, threads: usize, cpus: usize) -> Command {
        let mut command = limited();
        if let Some((script, dir)) = &self.cluster {
            command.arg(script).arg("--dir").arg(dir);
        }
        command.arg(self.program());
        if self.launcher == Launcher::Srun {
            let hosts = self.hosts.min(ranks).to_string();
            command.args(["--mpi=pmix", "--overcommit", "--nodes", &hosts]);
            // Hosts that are one machine would all bind their tasks to its first CPUs.
            if self.cluster.is_some() {
                command.arg("--cpu-bind=none");
            }
        }
        command.args(["-n", &ranks.to_string()]);
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
        // By itself mpirun gives each of one or two ranks one core, however many there are.
        if self.launcher == Launcher::Mpirun
            && self.cluster.is_none()
            && threads > 1
            && ranks * threads <= cpus
        {
            command.args(["--map-by", &format!("slot:PE={threads}")]);
        }
        // Hosts that are one machine share its CPUs: a rank that waits must let others run.
        if self.cluster.is_some() {
            command.env("OMPI_MCA_mpi_yield_when_idle", "1");
        }
        command
    }

    /// As [`ranks`](Self::ranks), and each rank is `mobula run GUEST` with as many threads.
    #[must_use]
    pub fn mobula(
        &self,
        mobula: &Path,
        ranks: usize,
        threads: usize,
        cpus: usize,
        guest: &Path,
    ) -> Command {
        let mut command = self.ranks(ranks, threads, cpus);
        command.arg(mobula).args(["run", "--threads", &threads.to_string()]);
        // Hosts that are one machine have the same CPUs, and would bind the same ones.
        if self.hosts > 1 {
            command.args(["--bind", "none"]);
        }
        command.arg(guest);
        command
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        if let Some((script, dir)) = &self.cluster {
            let down = output(Command::new(script).arg("--dir").arg(dir).arg("down"));
            if let Err(err) = down {
                eprintln!("mobula-bench: {} is left behind: {err:#}", dir.display());
            }
        }
    }
}
