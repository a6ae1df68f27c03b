//! Placement of a rank on its node: look at the machine, plan, bind, say what was done.
//!
//! The only place where the launcher has policy, and that is in `plan`, which is pure: whoever
//! starts many ranks calls it for each of them. Here are the steps around it, for one rank a
//! process.
//!
//! Invariant: called before the process has threads and before memory is filled, since mask and
//! memory policy of a thread are inherited by those that it starts, and no page moves later.

mod plan;
#[cfg(test)]
mod plan_tests;
mod scheduler;

use std::fmt::Write;

use mobula_runtime::Config;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::cli::run::{Bind, CallArgs};
use crate::tell;
use crate::topology::{Look, Machine, Node, Topology, format};
pub use plan::{Among, Warning};
use plan::{Memory, NumaPlan};
use scheduler::Agreement;

/// A rank's place among the others.
#[derive(Debug, Clone, Copy)]
pub struct Ranks {
    /// In the job.
    pub job: Among,
    /// On this host.
    pub host: Among,
    /// On this host, those with the very same mask.
    pub mask: Among,
}

impl Ranks {
    /// The only rank.
    pub const ALONE: Self = Self { job: Among::ALONE, host: Among::ALONE, mask: Among::ALONE };
}

/// Where this rank runs.
#[derive(Debug)]
pub struct Placement {
    rank: usize,
    plan: NumaPlan,
    binding: Binding,
}

/// What became of the plan.
#[derive(Debug, PartialEq, Eq)]
enum Binding {
    /// Carried out; the memory policy with the reason why it was refused.
    Done(Result<Memory, String>),
    /// Not wanted.
    Unwanted,
    /// Made for another machine than this one.
    Imagined,
}

/// Places this process as `mobula run` and `mobula invoke` are told to, and says on standard error
/// what must be known.
pub fn place(args: &CallArgs, ranks: Ranks) -> Placement {
    let look = if args.report_bindings { Look::Close } else { Look::Quick };
    let machine = Machine::look(look);
    let plan = plan::plan(&machine.topology, args.threads.map(usize::from), ranks.mask);
    let binding = match args.bind {
        Bind::None => Binding::Unwanted,
        Bind::Numa if machine.is_real() => bind(&machine, &plan),
        Bind::Numa => Binding::Imagined,
    };
    let placement = Placement { rank: ranks.job.index, plan, binding };
    let agreement = scheduler::compare(&machine.topology.mask, ranks);
    let all = args.report_bindings || !agreement.schedulers.is_empty();
    // All ranks of one mask have the same ones: the first speaks for them.
    let first = ranks.mask.index == 0;
    for warning in placement.plan.warnings.iter().filter(|w| first && (all || w.is_own_doing())) {
        tell(&format!("warning: {warning}: {}", warning.remedy()));
    }
    if args.report_bindings {
        tell(&placement.report(&machine.topology, &agreement));
    }
    placement
}

impl Placement {
    /// Puts into `config` what the runtime is to do about it.
    pub fn configure(&self, config: &mut Config) {
        match &self.binding {
            Binding::Done(memory) => {
                config.threads = self.plan.threads;
                config.cpus = self.plan.pins();
                // What the kernel refused it refuses again; without hwloc it was not asked.
                let refused = cfg!(feature = "hwloc") && memory.is_err();
                config.numa_node = match self.plan.memory {
                    Memory::Prefer(node) if !refused => Some(node),
                    _ => None,
                };
            }
            Binding::Unwanted => {
                config.threads = self.plan.threads;
                config.cpus.clear();
            }
            // As many threads as this machine has room for, wherever the plan would put them.
            Binding::Imagined => config.cpus.clear(),
        }
    }

    /// One line: host, rank, NUMA node, CPUs, memory policy, what the scheduler says.
    fn report(&self, topology: &Topology, agreement: &Agreement) -> String {
        let plan = &self.plan;
        let pins = match self.binding {
            Binding::Unwanted => Vec::new(),
            Binding::Done(_) | Binding::Imagined => plan.pins(),
        };
        let cpus = if pins.is_empty() { &plan.cpus } else { &pins };
        let of = |node: &&Node| node.cores.concat().iter().any(|c| cpus.contains(c));
        let nodes = topology.nodes.iter().filter(of).filter_map(|node| node.index);
        let nodes: Vec<_> = nodes.filter_map(|index| usize::try_from(index).ok()).collect();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let mut line = format!("host {}, rank {}", host.trim(), self.rank);
        let _ = match &*nodes {
            [] => write!(line, ", NUMA node unknown"),
            [node] => write!(line, ", NUMA node {node}"),
            several => write!(line, ", NUMA nodes {}", format(several)),
        };
        let _ = write!(line, ", cores {}, threads {}", format(cpus), plan.threads);
        line += if pins.is_empty() { " (not pinned)" } else { " (pinned)" };
        let _ = match &self.binding {
            Binding::Done(Ok(memory)) => write!(line, ", memory {memory}"),
            Binding::Done(Err(why)) => write!(line, ", memory {} ({why})", Memory::FirstTouch),
            Binding::Unwanted => write!(line, ", memory {}", Memory::FirstTouch),
            Binding::Imagined => {
                write!(
                    line,
                    ", memory {} (topology of another machine: nothing is bound)",
                    plan.memory
                )
            }
        };
        let _ = write!(line, "; {agreement}");
        line
    }
}

/// Keeps this process on the CPUs of the plan, and its memory on the node.
fn bind(machine: &Machine, plan: &NumaPlan) -> Binding {
    if plan.cpus.len() < machine.topology.mask.len() {
        let mut set = CpuSet::new();
        let all = plan.cpus.iter().all(|&cpu| set.set(cpu).is_ok());
        // A refusal costs speed only: threads are still pinned one by one.
        let _ = all && sched_setaffinity(Pid::from_raw(0), &set).is_ok();
    }
    Binding::Done(match plan.memory {
        Memory::Prefer(node) => machine.prefer_memory(node).map(|()| plan.memory),
        Memory::FirstTouch => Ok(plan.memory),
    })
}

/// What `mobula doctor` says: where one rank would be, and what is wrong with that.
pub fn examine() -> (String, Vec<Warning>) {
    let machine = Machine::look(Look::Close);
    let plan = plan::plan(&machine.topology, None, Among::ALONE);
    let agreement = scheduler::compare(&machine.topology.mask, Ranks::ALONE);
    let mut found = format!("CPUs {} (cores: {})", format(&plan.cpus), plan.cores);
    let _ = match plan.node {
        Some(node) => write!(found, ", NUMA node {node}"),
        None => write!(found, ", {} NUMA nodes", machine.topology.usable().len()),
    };
    let _ = write!(found, ", memory {}; {agreement}", plan.memory);
    (found, plan.warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_this_thread(file: &str) -> String {
        std::fs::read_to_string(format!("/proc/thread-self/{file}")).unwrap_or_default()
    }

    /// Binds a thread of its own as a plan on a machine with several nodes would have it, and looks
    /// at a thread that this one starts.
    #[test]
    fn threads_inherit_what_was_bound() {
        let machine = Machine::look(Look::Close);
        let mut plan = plan::plan(&machine.topology, None, Among::ALONE);
        plan.cpus.truncate(1);
        let (cpu, node) = (plan.cpus[0], machine.topology.usable()[0].index.unwrap_or(0));
        plan.memory = Memory::Prefer(node);
        let bound = std::thread::spawn(move || {
            let binding = bind(&machine, &plan);
            let child = || (of_this_thread("status"), of_this_thread("numa_maps"));
            (binding, std::thread::spawn(child).join().unwrap())
        });
        let (binding, (status, maps)) = bound.join().unwrap();
        assert!(status.contains(&format!("Cpus_allowed_list:\t{cpu}\n")), "{status}");
        match binding {
            // A kernel without NUMA shows no maps.
            Binding::Done(Ok(memory)) => {
                assert_eq!(memory, Memory::Prefer(node));
                assert!(maps.is_empty() || maps.contains(" prefer"), "{maps}");
            }
            Binding::Done(Err(why)) => assert!(why.contains(&format!("{node}")), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}
