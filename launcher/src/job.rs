//! The ranks of a job: found from the environment, then from MPI itself.
//!
//! ```text
//!  nothing in the environment, or --alone ──▶ one rank; MPI is not touched
//!  mpirun, srun --mpi=pmix ──▶ MPI_Init ──▶ rank i of n, hosts, masks ──▶ rank 0 runs, others serve
//!  anything that cannot work ──▶ refused, with the remedy
//! ```
//!
//! Invariant: what the launcher of the job says and what MPI says agree, or nothing is run: every rank
//! being 0 of 1 would run the program n times.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::{Result, bail};
use mobula_runtime::Runtime;
use mobula_runtime::fabric::Fabric;
use mobula_runtime::node::runs;

use crate::cli::run::CallArgs;
use crate::placement::Ranks;
use crate::{exit, tell};

/// This process's place in its job.
#[derive(Debug)]
pub struct Job {
    pub ranks: Ranks,
    /// `None` for a job of one rank.
    pub fabric: Option<Arc<dyn Fabric>>,
    /// Processes of the other ranks of this host.
    near: Vec<(u32, u32)>,
}

/// What the environment says about the job.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    by: &'static str,
    rank: usize,
    count: usize,
}

/// Reads one variable of the environment.
type Var<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Job {
    /// Finds out which ranks there are, and connects them.
    pub fn start(args: &CallArgs) -> Result<Self> {
        let alone = Self { ranks: Ranks::ALONE, fabric: None, near: Vec::new() };
        if args.alone {
            return Ok(alone);
        }
        match said(&|name| std::env::var(name).ok())? {
            Some(said) if said.count > 1 => connect(&said),
            _ => Ok(alone),
        }
    }

    /// Whether this rank runs main.
    pub fn is_first(&self) -> bool {
        self.ranks.job.index == 0
    }

    /// Runs `work` of this rank. If it fails, the whole job ends.
    pub fn run(&self, work: impl FnOnce() -> Result<u8>) -> Result<u8> {
        let Some(fabric) = &self.fabric else { return work() };
        watch_signals(fabric.clone(), self.near.clone());
        let done = work();
        if let Err(err) = &done {
            tell(&format!("error: {}{err:#}", self.title()));
            fabric.abort(exit::SETUP);
        }
        done
    }

    /// Works for rank 0 until the job is over.
    pub fn serve(&self, runtime: &Runtime) -> u8 {
        // Rank 0 says why a rank is refused.
        if runtime.serve().is_ok() { 0 } else { exit::SETUP }
    }

    /// Which rank speaks, in front of a message of one that is not the first.
    fn title(&self) -> String {
        match &self.fabric {
            Some(fabric) if !self.is_first() => {
                format!("{}: ", fabric.job().title(fabric.job().rank))
            }
            _ => String::new(),
        }
    }
}

/// What the environment says; an error for a start that cannot work.
fn said(var: Var) -> Result<Option<Said>> {
    let number = |name: &str| var(name).and_then(|value| value.parse::<usize>().ok());
    let pair =
        |by, rank: &str, count: &str| Some(Said { by, rank: number(rank)?, count: number(count)? });
    let step = number("SLURM_STEP_NUM_TASKS").or_else(|| number("SLURM_NTASKS"));
    let found = pair("mpirun of Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")
        .or_else(|| pair("the launcher (PMI)", "PMI_RANK", "PMI_SIZE"))
        .or_else(|| Some(Said { by: "srun (PMIx)", rank: number("PMIX_RANK")?, count: step? }));
    let by_srun = var("SLURM_STEP_ID").is_some() && var("SLURM_PROCID").is_some();
    if found.is_none() && by_srun && number("SLURM_STEP_NUM_TASKS").is_some_and(|n| n > 1) {
        let tasks = number("SLURM_STEP_NUM_TASKS").unwrap_or(0);
        bail!(
            "srun started {tasks} tasks without MPI, so that they do not know of each other; use \
             `srun --mpi=pmix` for one job of {tasks} ranks, or `mobula run --alone` for \
             {tasks} runs"
        );
    }
    Ok(found)
}

#[cfg(feature = "mpi")]
fn connect(said: &Said) -> Result<Job> {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use mobula_runtime::fabric::{Mpi, Near};

    use crate::placement::Among;

    let Said { by, rank, count } = said;
    let fabric = Mpi::start()?;
    let job = fabric.job().clone();
    if job.is_alone() {
        bail!(
            "{by} says that this is rank {rank} of {count}, but MPI says rank 0 of 1: {by} and the MPI \
             library of this program are of different kinds; load the module of the MPI that \
             mobula was built with (`ldd $(command -v mobula) | grep mpi`), or use its mpirun"
        );
    }
    if (job.rank as usize, job.size() as usize) != (*rank, *count) {
        bail!(
            "{by} says that this is rank {rank} of {count}, but MPI says rank {} of {}; start mobula by \
             one launcher only",
            job.rank,
            job.size()
        );
    }
    let near = job.ranks_on(job.host());
    let place = |ranks: &[u32]| Among {
        index: ranks.iter().position(|&rank| rank == job.rank).unwrap_or(0),
        count: ranks.len(),
    };
    let mut hasher = DefaultHasher::new();
    mobula_runtime::config::allowed_cpus().hash(&mut hasher);
    // Both in one number, since every rank waits for every other one here.
    let pid = std::process::id();
    let all = fabric.gather(u64::from(hasher.finish() as u32) << 32 | u64::from(pid))?;
    let same = |&rank: &u32| all[rank as usize] >> 32 == all[job.rank as usize] >> 32;
    let process = |&rank: &u32| (rank, all[rank as usize] as u32);
    // Processes in other containers have numbers that mean nothing here.
    let others = |&(rank, pid): &(u32, u32)| rank != job.rank && runs(pid);
    let processes = near.iter().map(process).filter(others).collect();
    let alike: Vec<u32> = near.iter().copied().filter(same).collect();
    let all = Among { index: job.rank as usize, count: job.size() as usize };
    let ranks = Ranks { job: all, host: place(&near), mask: place(&alike) };
    let fabric = Near::join(fabric.clone(), |number| fabric.gather(number))?;
    Ok(Job { ranks, fabric: Some(fabric), near: processes })
}

#[cfg(not(feature = "mpi"))]
fn connect(said: &Said) -> Result<Job> {
    let Said { by, rank, count } = said;
    bail!(
        "{by} says that this is rank {rank} of {count}, but this program was built without MPI \
         (cargo feature `mpi`); use one that has it, or `--alone` for {count} runs"
    )
}

/// Ends this process when it is told to or when who started it is gone, and says what was awaited, and
/// which ranks of this host are gone: a launcher that sees one die ends the others before they see it.
fn watch_signals(fabric: Arc<dyn Fabric>, near: Vec<(u32, u32)>) {
    use nix::sys::signal::Signal;
    // Without it, only a launcher that ends well takes its ranks along.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGTERM);
    // Nobody reads what would be said then.
    crate::srun::watch(|| {
        remove_segments();
        std::process::exit(exit::KILLED.into());
    });
    let Ok(mut signals) = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM])
    else {
        return;
    };
    let wait = move || {
        if signals.forever().next().is_some() {
            let job = fabric.job();
            let awaited = mobula_runtime::awaited();
            let gone: Vec<_> = near.iter().filter(|(_, pid)| !runs(*pid)).collect();
            // Before the job has begun, rank 0 says why it does not.
            let speaks = !awaited.is_empty() || gone.iter().any(|(rank, _)| *rank == 0);
            if speaks && mobula_runtime::has_begun() {
                let mut line = format!("{} is told to end (SIGTERM)", job.title(job.rank));
                for (rank, pid) in gone {
                    let _ =
                        write!(line, "; {} is gone: its process {pid} has ended", job.title(*rank));
                }
                let awaited = if awaited.is_empty() { "nothing" } else { &awaited };
                tell(&format!("{line}; awaited here: {awaited}"));
            }
            remove_segments();
            std::process::exit(exit::KILLED.into());
        }
    };
    let _ = std::thread::Builder::new().name("mobula-signals".into()).spawn(wait);
}

/// Removes the names of shared memory that MPI made for this process: a launcher that was killed does
/// not do it any more.
fn remove_segments() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.split_once("/dev/shm/"));
    // A mapping whose file is gone already says "(deleted)".
    let mut names: Vec<_> =
        paths.map(|(_, name)| name).filter(|name| !name.contains(' ')).collect();
    names.dedup();
    for name in names {
        let _ = std::fs::remove_file(format!("/dev/shm/{name}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<Option<Said>> {
        said(&|name| {
            vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn launchers_are_told_apart() {
        assert_eq!(of(&[]).unwrap(), None);
        let open = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "4")];
        let said = of(&open).unwrap().unwrap();
        assert_eq!((said.rank, said.count), (1, 4));
        let slurm = [("PMIX_RANK", "2"), ("SLURM_STEP_NUM_TASKS", "3"), ("SLURM_STEP_ID", "0")];
        assert_eq!(of(&slurm).unwrap(), Some(Said { by: "srun (PMIx)", rank: 2, count: 3 }));
        let mpich = [("PMI_RANK", "0"), ("PMI_SIZE", "2")];
        assert_eq!(of(&mpich).unwrap().unwrap().by, "the launcher (PMI)");
        // A shell inside an allocation is no rank.
        assert_eq!(of(&[("SLURM_NTASKS", "8"), ("SLURM_JOB_ID", "5")]).unwrap(), None);
    }

    #[test]
    fn srun_without_mpi_is_refused_with_the_remedy() {
        let vars = [("SLURM_STEP_ID", "0"), ("SLURM_PROCID", "1"), ("SLURM_STEP_NUM_TASKS", "2")];
        let refused = of(&vars).expect_err("two tasks").to_string();
        assert!(refused.contains("srun --mpi=pmix") && refused.contains("--alone"), "{refused}");
        let one = [("SLURM_STEP_ID", "0"), ("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "1")];
        assert_eq!(of(&one).unwrap(), None);
    }
}
