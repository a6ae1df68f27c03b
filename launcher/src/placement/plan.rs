//! Where a rank belongs: a pure function from a topology to a node, CPUs and threads.
//!
//! ```text
//!  mask in one node                     one rank of it: all its CPUs, memory on that node
//!  mask over nodes, one rank            all CPUs, memory where it is touched first: a warning;
//!                                       one node alone when the threads asked for fit its cores
//!  mask over n nodes, several ranks     rank i on node i mod n
//!  several ranks on a node              each its share of the node's cores: a warning
//! ```
//!
//! Invariants: CPUs are of the mask, each once; the first CPU of every core comes before the second
//! of any; a plan with a node has CPUs of that node only; as long as a node has a CPU for each of
//! its ranks, no CPU is in two plans.

use std::fmt;

use crate::topology::{Core, Node, Topology, format};

/// A rank's place among several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Among {
    pub index: usize,
    pub count: usize,
}

impl Among {
    /// There is no other one.
    pub const ALONE: Self = Self { index: 0, count: 1 };
}

/// Where memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The node of the thread that touches it first.
    FirstTouch,
    /// This node, while it has any.
    Prefer(u32),
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstTouch => f.write_str("first touch"),
            Self::Prefer(node) => write!(f, "prefers node {node}"),
        }
    }
}

/// Where a rank belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumaPlan {
    /// The NUMA node of all its CPUs, if it is one and known.
    pub node: Option<u32>,
    /// All CPUs that are the rank's, in the order in which threads take them.
    pub cpus: Vec<usize>,
    /// On how many cores these CPUs are.
    pub cores: usize,
    /// Worker threads.
    pub threads: usize,
    pub memory: Memory,
    pub warnings: Vec<Warning>,
}

impl NumaPlan {
    /// The CPUs that threads are pinned to, one each; empty where there are not enough.
    pub fn pins(&self) -> Vec<usize> {
        self.cpus.get(..self.threads).map_or_else(Vec::new, <[usize]>::to_vec)
    }
}

/// What makes a run slower than it could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// One core, and the machine has more.
    OneCore { mask: Vec<usize>, cores: usize },
    /// More nodes in the mask than ranks on it.
    SpansNodes { nodes: usize, ranks: usize },
    /// More ranks on the mask than nodes in it.
    SharedMask { mask: Vec<usize>, nodes: usize, ranks: usize },
    /// More threads than CPUs.
    TooManyThreads { threads: usize, cpus: usize },
}

impl Warning {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::OneCore { .. } => {
                "under Slurm repeat --cpus-per-task for srun (since 22.05 a step \
                                     does not inherit it); under Open MPI use --map-by slot:PE=N; \
                                     else see taskset -p $$"
                    .to_owned()
            }
            Self::SpansNodes { nodes, .. } => format!(
                "start one rank a node: srun --ntasks-per-node={nodes} --cpu-bind=ldoms, or mpirun \
                 --map-by numa --bind-to numa; a rank alone: numactl -N0 -m0"
            ),
            Self::SharedMask { nodes, .. } => format!(
                "use --ntasks-per-node={nodes}, or give each rank a mask of its own: srun \
                 --cpus-per-task=N --cpu-bind=cores, or mpirun --map-by numa --bind-to core"
            ),
            Self::TooManyThreads { cpus, .. } => {
                format!("use --threads {cpus}, or leave it out; to have more, ask for more CPUs")
            }
        }
    }

    /// Whether it is about what was said on the command line, and not about who started the rank.
    pub fn is_own_doing(&self) -> bool {
        matches!(self, Self::TooManyThreads { .. })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneCore { mask, cores } => {
                let s = if mask.len() == 1 { "" } else { "s" };
                write!(f, "only CPU{s} {} may be used, one core of {cores}", format(mask))
            }
            Self::SpansNodes { nodes, ranks: 1 } => {
                write!(f, "one rank has CPUs of {nodes} NUMA nodes: much of its memory is far")
            }
            Self::SpansNodes { nodes, ranks } => {
                write!(f, "{ranks} ranks share CPUs of {nodes} NUMA nodes: some nodes stay idle")
            }
            Self::SharedMask { mask, nodes, ranks } => write!(
                f,
                "{ranks} ranks share one mask, CPUs {} on {nodes} NUMA node{}: each gets a part",
                format(mask),
                if *nodes == 1 { "" } else { "s" },
            ),
            Self::TooManyThreads { threads, cpus } => {
                write!(
                    f,
                    "{threads} threads on {cpus} CPUs wait for each other, and are not pinned"
                )
            }
        }
    }
}

/// Plans for one rank. `threads` is what was asked for; else there is one for each CPU. `local` are
/// the ranks of the host that have the very same mask; ranks with masks of their own do not count,
/// since the scheduler has divided the host for them already.
pub fn plan(topology: &Topology, threads: Option<usize>, local: Among) -> NumaPlan {
    let nodes = topology.usable();
    let part = match local.count {
        0 | 1 => alone(&nodes, threads),
        _ => among(&nodes, local),
    };
    let cpus = cores_first(&part.cores);
    let memory = match part.index {
        Some(node) if topology.nodes.len() > 1 => Memory::Prefer(node),
        _ => Memory::FirstTouch,
    };
    NumaPlan {
        node: part.index,
        cores: part.cores.len(),
        threads: threads.unwrap_or(cpus.len()).max(1),
        memory,
        warnings: warnings(topology, &nodes, &part, threads, local),
        cpus,
    }
}

/// The part of a rank that has the mask for itself.
fn alone(nodes: &[Node], threads: Option<usize>) -> Node {
    let fits = |node: &&Node| threads.is_some_and(|threads| threads <= node.cores.len());
    match nodes {
        [node] => node.clone(),
        _ => nodes.iter().find(fits).cloned().unwrap_or_else(|| Node {
            index: None,
            cores: nodes.iter().flat_map(|node| node.cores.clone()).collect(),
        }),
    }
}

/// The part of one of several ranks on this mask.
fn among(nodes: &[Node], local: Among) -> Node {
    if nodes.is_empty() {
        return Node { index: None, cores: Vec::new() };
    }
    let (index, count) = (local.index % local.count, nodes.len());
    let node = &nodes[index % count];
    let (place, ranks) = (index / count, (local.count - index % count).div_ceil(count));
    let cores = if node.cores.len() >= ranks {
        share(&node.cores, place, ranks)
    } else {
        let cpus: Vec<Core> = cores_first(&node.cores).into_iter().map(|cpu| vec![cpu]).collect();
        if cpus.len() >= ranks {
            share(&cpus, place, ranks)
        } else {
            vec![cpus[place % cpus.len()].clone()]
        }
    };
    Node { index: node.index, cores }
}

/// Part `place` of `parts` parts that differ by one at most.
fn share(cores: &[Core], place: usize, parts: usize) -> Vec<Core> {
    cores[place * cores.len() / parts..(place + 1) * cores.len() / parts].to_vec()
}

/// The first CPU of each core, then the second of each, and so on.
fn cores_first(cores: &[Core]) -> Vec<usize> {
    let most = cores.iter().map(Vec::len).max().unwrap_or(0);
    let level = |at: usize| cores.iter().filter_map(move |core| core.get(at).copied());
    (0..most).flat_map(level).collect()
}

fn warnings(
    topology: &Topology,
    nodes: &[Node],
    part: &Node,
    threads: Option<usize>,
    local: Among,
) -> Vec<Warning> {
    let mut found = Vec::new();
    let (ranks, count) = (local.count.max(1), nodes.len());
    let mask = || topology.mask.iter().copied().collect::<Vec<_>>();
    let usable: usize = nodes.iter().map(|node| node.cores.len()).sum();
    if usable == 1 && topology.cores() > 1 && threads != Some(1) {
        found.push(Warning::OneCore { mask: mask(), cores: topology.cores() });
    }
    let spread = if ranks == 1 { part.index.is_none() && count > 1 } else { count > ranks };
    if spread {
        found.push(Warning::SpansNodes { nodes: count, ranks });
    }
    if ranks > 1 && ranks > count && count > 0 {
        found.push(Warning::SharedMask { mask: mask(), nodes: count, ranks });
    }
    match threads {
        Some(threads) if part.cpus() > 0 && threads > part.cpus() => {
            found.push(Warning::TooManyThreads { threads, cpus: part.cpus() });
        }
        _ => {}
    }
    found
}
