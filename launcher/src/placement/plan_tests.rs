//! The planner: each promise on a machine that shows it, then all of them on a grid of machines.

use std::collections::BTreeSet;

use super::plan::*;
use crate::topology::{Core, Node, Topology};

/// `nodes` nodes of `cores` cores with `threads` CPUs each, numbered as Linux does: the first CPUs
/// of all cores, then the second ones.
fn machine(nodes: usize, cores: usize, threads: usize) -> Vec<Node> {
    let all = nodes * cores;
    let core = |core: usize| -> Core { (0..threads).map(|thread| thread * all + core).collect() };
    let node = |node: usize| Node {
        index: u32::try_from(node).ok(),
        cores: (node * cores..(node + 1) * cores).map(core).collect(),
    };
    (0..nodes).map(node).collect()
}

fn whole(nodes: usize, cores: usize, threads: usize) -> Topology {
    Topology::new(machine(nodes, cores, threads), (0..nodes * cores * threads).collect())
}

fn masked(nodes: usize, cores: usize, threads: usize, mask: &[usize]) -> Topology {
    Topology::new(machine(nodes, cores, threads), mask.iter().copied().collect())
}

fn rank(index: usize, count: usize) -> Among {
    Among { index, count }
}

#[test]
fn one_node_is_taken_whole_and_memory_left_alone() {
    let plan = plan(&whole(1, 2, 2), None, Among::ALONE);
    assert_eq!((plan.node, plan.threads, plan.memory), (Some(0), 4, Memory::FirstTouch));
    assert_eq!((plan.pins(), plan.warnings), (vec![0, 1, 2, 3], vec![]));
}

#[test]
fn a_mask_inside_a_node_binds_its_memory() {
    let plan = plan(&masked(2, 4, 1, &[4, 5, 6, 7]), None, Among::ALONE);
    assert_eq!((plan.node, plan.memory), (Some(1), Memory::Prefer(1)));
    assert_eq!((plan.cpus, plan.warnings), (vec![4, 5, 6, 7], vec![]));
}

#[test]
fn physical_cores_come_before_hyper_threads() {
    // Siblings beside each other, as some machines number them.
    let cores = vec![vec![0, 1], vec![2, 3], vec![4, 5]];
    let nodes = vec![Node { index: Some(0), cores }];
    let topology = Topology::new(nodes, (0..6).collect());
    let plan = |threads| plan(&topology, Some(threads), Among::ALONE).pins();
    assert_eq!((plan(3), plan(4)), (vec![0, 2, 4], vec![0, 2, 4, 1]));
}

#[test]
fn one_rank_over_nodes_keeps_its_cpus_and_is_told() {
    let plan = plan(&whole(2, 4, 1), None, Among::ALONE);
    assert_eq!((plan.node, plan.threads, plan.memory), (None, 8, Memory::FirstTouch));
    assert_eq!(plan.warnings, [Warning::SpansNodes { nodes: 2, ranks: 1 }]);
    let remedy = plan.warnings[0].remedy();
    assert!(remedy.contains("--ntasks-per-node=2") && remedy.contains("--cpu-bind=ldoms"));
}

#[test]
fn few_threads_stay_on_one_node() {
    let topology = masked(2, 4, 2, &[0, 4, 5, 6, 7, 8, 12, 13, 14, 15]);
    let plan = |threads| plan(&topology, Some(threads), Among::ALONE);
    assert_eq!((plan(1).node, plan(4).node, plan(5).node), (Some(0), Some(1), None));
    assert_eq!((plan(4).pins(), plan(4).warnings), (vec![4, 5, 6, 7], vec![]));
}

#[test]
fn ranks_on_one_mask_take_a_node_each() {
    let plans: Vec<_> = (0..2).map(|i| plan(&whole(2, 2, 2), None, rank(i, 2))).collect();
    assert_eq!((&*plans[0].cpus, &*plans[1].cpus), (&[0, 1, 4, 5][..], &[2, 3, 6, 7][..]));
    assert_eq!((plans[0].memory, plans[1].memory), (Memory::Prefer(0), Memory::Prefer(1)));
    assert!(plans.iter().all(|plan| plan.warnings.is_empty()));
    let idle = plan(&whole(4, 2, 1), None, rank(1, 2));
    assert_eq!(idle.warnings, [Warning::SpansNodes { nodes: 4, ranks: 2 }]);
}

#[test]
fn ranks_on_one_node_share_it_and_are_told() {
    let plans: Vec<_> = (0..3).map(|i| plan(&whole(2, 4, 2), None, rank(i, 3))).collect();
    assert_eq!((&*plans[0].cpus, &*plans[2].cpus), (&[0, 1, 8, 9][..], &[2, 3, 10, 11][..]));
    assert_eq!((plans[1].node, plans[1].threads), (Some(1), 8));
    let Warning::SharedMask { ranks: 3, nodes: 2, .. } = plans[1].warnings[0] else {
        panic!("{:?}", plans[1].warnings)
    };
    // Fewer CPUs than ranks: somebody has to share one.
    let plan = plan(&whole(1, 2, 1), None, rank(2, 3));
    assert_eq!((plan.cpus, plan.threads), (vec![0], 1));
}

#[test]
fn one_core_of_many_is_told_with_its_cause() {
    let narrow = masked(1, 4, 2, &[1, 5]);
    let found = plan(&narrow, None, Among::ALONE).warnings;
    assert_eq!(found, [Warning::OneCore { mask: vec![1, 5], cores: 4 }]);
    assert_eq!(found[0].to_string(), "only CPUs 1,5 may be used, one core of 4");
    assert!(found[0].remedy().contains("--cpus-per-task"));
    assert_eq!(plan(&narrow, Some(1), Among::ALONE).warnings, []);
    assert_eq!(plan(&whole(1, 1, 2), None, Among::ALONE).warnings, []);
}

#[test]
fn more_threads_than_cpus_are_told_and_not_pinned() {
    let plan = plan(&whole(1, 2, 1), Some(5), Among::ALONE);
    assert_eq!((plan.threads, plan.pins()), (5, vec![]));
    assert_eq!(plan.warnings, [Warning::TooManyThreads { threads: 5, cpus: 2 }]);
}

#[test]
fn nothing_known_is_a_plan_too() {
    for ranks in [rank(0, 1), rank(1, 2), rank(0, 0)] {
        let plan = plan(&Topology::new(Vec::new(), BTreeSet::new()), None, ranks);
        assert_eq!((plan.threads, plan.cpus, plan.warnings), (1, vec![], vec![]));
    }
}

/// The masks that a machine of `cpus` CPUs is tried with: all, one, every other, runs, and some
/// that follow no rule.
fn masks(cpus: usize) -> Vec<BTreeSet<usize>> {
    let rules: [&dyn Fn(usize) -> bool; 6] = [
        &|_| true,
        &|cpu| cpu == 0,
        &|cpu| cpu % 2 == 1,
        &|cpu| cpu < cpus.div_ceil(2),
        &|cpu| cpu >= cpus / 3,
        &|cpu| (cpu * 2_654_435_761) >> 7 & 1 == 1,
    ];
    rules.iter().map(|rule| (0..cpus).filter(|&cpu| rule(cpu)).collect()).collect()
}

/// What every plan for one rank keeps, whatever the machine.
fn check_one(topology: &Topology, threads: Option<usize>, local: Among, plan: &NumaPlan) {
    let here = || format!("{topology:?} {threads:?} {local:?} {plan:?}");
    let cpus: BTreeSet<_> = plan.cpus.iter().copied().collect();
    assert!(cpus.is_subset(&topology.mask) && cpus.len() == plan.cpus.len(), "{}", here());
    assert_eq!(plan.threads, threads.unwrap_or(cpus.len()).max(1), "{}", here());
    assert!(!cpus.is_empty() || topology.mask.is_empty(), "{}", here());
    let core = |cpu: &usize| {
        let mut cores = topology.nodes.iter().flat_map(|node| &node.cores);
        cores.position(|core| core.contains(cpu)).unwrap()
    };
    let cores: BTreeSet<_> = plan.cpus.iter().map(core).collect();
    let first: BTreeSet<_> = plan.cpus[..cores.len()].iter().map(core).collect();
    assert_eq!(first, cores, "{}", here());
    if let Some(index) = plan.node {
        let node = topology.nodes.iter().find(|node| node.index == Some(index)).unwrap();
        assert!(plan.cpus.iter().all(|cpu| node.cores.concat().contains(cpu)), "{}", here());
    }
    let told = plan.warnings.iter().any(|w| matches!(w, Warning::TooManyThreads { .. }));
    assert_eq!(told, threads.is_some_and(|n| n > cpus.len()) && !cpus.is_empty(), "{}", here());
    assert!(plan.warnings.iter().all(|warning| !warning.remedy().is_empty()));
    assert!(plan.pins().is_empty() == (plan.threads > cpus.len()), "{}", here());
}

/// What the plans of all ranks on one mask keep together.
fn check_all(topology: &Topology, plans: &[NumaPlan]) {
    let usable = topology.usable();
    let on = |node: &Node| plans.iter().filter(|plan| plan.node == node.index).count();
    let roomy = usable.iter().all(|node| on(node) <= node.cpus());
    let used: Vec<_> = plans.iter().flat_map(|plan| plan.cpus.clone()).collect();
    let distinct: BTreeSet<_> = used.iter().copied().collect();
    if plans.len() == 1 || roomy {
        assert_eq!(used.len(), distinct.len(), "{topology:?} {plans:?}");
    }
    if plans.len() == 1 || (plans.len() >= usable.len() && roomy) {
        assert_eq!(distinct, topology.mask, "{topology:?} {plans:?}");
    }
}

#[test]
fn a_grid_of_machines_masks_and_ranks() {
    let shapes = (1..=4).flat_map(|nodes| (1..=5).map(move |cores| (nodes, cores)));
    let shapes = shapes.flat_map(|(nodes, cores)| (1..=2).map(move |pus| (nodes, cores, pus)));
    let mut plans_made = 0;
    for (nodes, cores, pus) in shapes {
        for mask in masks(nodes * cores * pus) {
            let topology = Topology::new(machine(nodes, cores, pus), mask);
            for count in 1..=6 {
                let plans: Vec<_> =
                    (0..count).map(|i| plan(&topology, None, rank(i, count))).collect();
                check_all(&topology, &plans);
                for threads in [None, Some(1), Some(3), Some(8), Some(64)] {
                    for index in 0..count {
                        let local = rank(index, count);
                        let plan = plan(&topology, threads, local);
                        check_one(&topology, threads, local, &plan);
                        plans_made += 1;
                    }
                }
            }
        }
    }
    assert!(plans_made > 20_000, "{plans_made}");
}
