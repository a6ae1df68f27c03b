//! What the scheduler says about this process, and whether it is so.
//!
//! A plan is made from the mask and from what the ranks know of each other, never from these
//! variables: they outlive the step that they describe (a shell of `salloc`, a program started by a
//! program). They are compared with the mask, so that a wrong start is seen before it costs hours.

use std::collections::BTreeSet;
use std::fmt;

use super::Ranks;
use super::plan::Among;
use crate::topology::{format, parse};

/// Reads one variable of the environment.
type Var<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How what was said compares with what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Who has started this process, as far as the variables show.
    pub schedulers: Vec<&'static str>,
    /// What is not as they say, one sentence each.
    pub contradictions: Vec<String>,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.schedulers.join(" and ");
        match (self.schedulers.is_empty(), self.contradictions.is_empty()) {
            (true, _) => f.write_str("no scheduler"),
            (false, true) => write!(f, "agrees with {who}"),
            (false, false) => write!(f, "differs from {who}: {}", self.contradictions.join("; ")),
        }
    }
}

/// Compares this process's environment with its mask and its place among the ranks.
pub fn compare(mask: &BTreeSet<usize>, ranks: Ranks) -> Agreement {
    compare_with(&|name| std::env::var(name).ok(), mask, ranks)
}

fn compare_with(var: Var, mask: &BTreeSet<usize>, ranks: Ranks) -> Agreement {
    let set = |names: &[&str]| names.iter().any(|name| var(name).is_some());
    let known = [
        ("Slurm", set(&["SLURM_CPU_BIND", "SLURM_CPU_BIND_LIST", "SLURM_CPUS_PER_TASK"])),
        ("Open MPI", set(&["OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"])),
        ("PMI", set(&["PMIX_RANK", "PMI_RANK", "PMI_SIZE"])),
    ];
    let schedulers = known.iter().filter(|(_, here)| *here).map(|(name, _)| *name).collect();
    let contradictions = [cpus_per_task(var, mask), bind_list(var, mask)];
    let contradictions = contradictions.into_iter().flatten().chain(places(var, ranks)).collect();
    Agreement { schedulers, contradictions }
}

/// More CPUs than the number are right: Slurm gives whole cores.
fn cpus_per_task(var: Var, mask: &BTreeSet<usize>) -> Option<String> {
    let asked: usize = var("SLURM_CPUS_PER_TASK")?.parse().ok()?;
    let found = format(&mask.iter().copied().collect::<Vec<_>>());
    (mask.len() < asked).then(|| format!("SLURM_CPUS_PER_TASK={asked}, but the mask is {found}"))
}

/// The mask of this task in Slurm's list, where it gave one.
fn bind_list(var: Var, mask: &BTreeSet<usize>) -> Option<String> {
    let text = var("SLURM_CPU_BIND").or_else(|| {
        Some(format!("{}{}", var("SLURM_CPU_BIND_TYPE")?, var("SLURM_CPU_BIND_LIST")?))
    })?;
    let task: usize = var("SLURM_LOCALID").and_then(|id| id.parse().ok()).unwrap_or(0);
    let entry = |kind: &str| {
        let list: Vec<&str> = text.split_once(kind)?.1.split(',').collect();
        list.get(task % list.len()).map(|entry| (*entry).to_owned())
    };
    let said = match (entry("mask_cpu:"), entry("map_cpu:")) {
        (Some(mask), _) => bits(&mask)?,
        (None, Some(cpu)) => parse(&cpu).into_iter().collect(),
        (None, None) => return None,
    };
    let list = |cpus: &BTreeSet<usize>| format(&cpus.iter().copied().collect::<Vec<_>>());
    (said != *mask).then(|| {
        format!(
            "SLURM_CPU_BIND gives task {task} CPUs {}, but the mask is {}",
            list(&said),
            list(mask)
        )
    })
}

/// The bits that are set in a hexadecimal number of any length.
fn bits(mask: &str) -> Option<BTreeSet<usize>> {
    let mut found = BTreeSet::new();
    for (place, digit) in mask.trim_start_matches("0x").chars().rev().enumerate() {
        let digit = digit.to_digit(16)?;
        found.extend((0..4).filter(|bit| digit >> bit & 1 == 1).map(|bit| place * 4 + bit));
    }
    (!found.is_empty()).then_some(found)
}

/// Ranks and numbers of ranks that are not ours.
fn places(var: Var, ranks: Ranks) -> Vec<String> {
    let Ranks { job, host, .. } = ranks;
    let said = [
        ("OMPI_COMM_WORLD_LOCAL_RANK", host.index, host, " on this host"),
        ("OMPI_COMM_WORLD_LOCAL_SIZE", host.count, host, " on this host"),
        ("PMIX_RANK", job.index, job, ""),
        ("PMI_RANK", job.index, job, ""),
        ("PMI_SIZE", job.count, job, ""),
    ];
    let wrong = said.iter().filter_map(|&(name, ours, Among { index, count }, place)| {
        let theirs: usize = var(name)?.parse().ok()?;
        let but = || format!("{name}={theirs}, but this is rank {index} of {count}{place}");
        (theirs != ours).then(but)
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(vars: &[(&str, &str)], mask: &[usize], ranks: Ranks) -> String {
        let var = |name: &str| {
            vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        compare_with(&var, &mask.iter().copied().collect(), ranks).to_string()
    }

    #[test]
    fn a_scheduler_that_says_what_is_so_agrees() {
        assert_eq!(said(&[], &[0], Ranks::ALONE), "no scheduler");
        let slurm = [
            ("SLURM_CPUS_PER_TASK", "2"),
            ("SLURM_CPU_BIND", "quiet,mask_cpu:0x3,0xC"),
            ("SLURM_LOCALID", "1"),
        ];
        assert_eq!(said(&slurm, &[2, 3], Ranks::ALONE), "agrees with Slurm");
        assert_eq!(said(&slurm[..1], &[0, 1, 64, 65], Ranks::ALONE), "agrees with Slurm");
        let list = [("SLURM_CPU_BIND_TYPE", "map_cpu:"), ("SLURM_CPU_BIND_LIST", "5,7")];
        assert_eq!(said(&list, &[5], Ranks::ALONE), "agrees with Slurm");
        let unbound = [("SLURM_CPU_BIND", "quiet,none"), ("PMIX_RANK", "0"), ("PMI_SIZE", "1")];
        assert_eq!(said(&unbound, &[1], Ranks::ALONE), "agrees with Slurm and PMI");
        let open = [("OMPI_COMM_WORLD_LOCAL_RANK", "1"), ("OMPI_COMM_WORLD_LOCAL_SIZE", "2")];
        let (second, alone) = (Among { index: 1, count: 2 }, Among::ALONE);
        let bound = Ranks { job: second, host: second, mask: alone };
        assert_eq!(said(&open, &[1], bound), "agrees with Open MPI");
    }

    #[test]
    fn what_is_not_so_is_named() {
        let line = said(&[("SLURM_CPUS_PER_TASK", "8")], &[3], Ranks::ALONE);
        assert_eq!(line, "differs from Slurm: SLURM_CPUS_PER_TASK=8, but the mask is 3");
        let line = said(&[("SLURM_CPU_BIND", "mask_cpu:f0")], &[0, 1], Ranks::ALONE);
        assert!(line.ends_with("gives task 0 CPUs 4-7, but the mask is 0-1"), "{line}");
        let vars = [("OMPI_COMM_WORLD_LOCAL_SIZE", "2"), ("PMIX_RANK", "1")];
        let line = said(&vars, &[0, 1], Ranks::ALONE);
        assert_eq!(
            line,
            "differs from Open MPI and PMI: OMPI_COMM_WORLD_LOCAL_SIZE=2, but this is rank 0 of 1 \
             on this host; PMIX_RANK=1, but this is rank 0 of 1"
        );
    }

    #[test]
    fn nonsense_is_not_compared() {
        let vars = [("SLURM_CPU_BIND", "mask_cpu:xyz"), ("SLURM_CPUS_PER_TASK", "many")];
        assert_eq!(said(&vars, &[0], Ranks::ALONE), "agrees with Slurm");
        assert_eq!(bits("0x10000000000000001"), Some([0, 64].into()));
        assert_eq!((bits("0x0"), bits("")), (None, None));
    }
}
