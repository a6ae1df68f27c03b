//! What this machine looks like to a rank: NUMA nodes, their cores, the CPUs that may be used.
//!
//! ```text
//!  Topology                 node 0            node 1                 a core is its CPUs: one, or
//!    every core ────────▶   (0 4) (1 5)       (2 6) (3 7)            several with hyper-threads
//!    mask ──────────────▶    ▲     ▲           ▲                     what the process may run on
//! ```
//!
//! `sysfs` reads a few files of /sys, enough where there is one node. `hwloc` knows more (what
//! firmware tells wrongly, other machines' topologies), can set the memory policy, and takes
//! longer: it is asked where there are several nodes or where somebody wants to see the result.
//!
//! Invariants: a CPU is in one core of one node; every CPU of the mask is in some core, in a node
//! without index if the machine names none for it.

mod cpulist;
#[cfg(feature = "hwloc")]
mod hwloc;
mod sysfs;

pub use cpulist::{format, parse};

use std::collections::BTreeSet;

use mobula_runtime::config::allowed_cpus;

/// The CPUs of a core, as Linux numbers them.
pub type Core = Vec<usize>;

/// A NUMA node with CPUs; nodes that only have memory are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its number, or `None` for CPUs of which no node is known.
    pub index: Option<u32>,
    pub cores: Vec<Core>,
}

impl Node {
    /// How many CPUs it has.
    pub fn cpus(&self) -> usize {
        self.cores.iter().map(Vec::len).sum()
    }
}

/// NUMA nodes, cores, and the CPUs of them that this process may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    pub nodes: Vec<Node>,
    pub mask: BTreeSet<usize>,
}

impl Topology {
    /// Adds what the mask has and no node names, as cores of a node without index. Cores are in the
    /// order of their first CPUs, whoever found them, so that two looks lead to one plan.
    pub fn new(mut nodes: Vec<Node>, mask: BTreeSet<usize>) -> Self {
        nodes.retain(|node| !node.cores.is_empty());
        nodes.iter_mut().for_each(|node| node.cores.sort_unstable());
        let known: BTreeSet<usize> = nodes.iter().flat_map(|n| n.cores.concat()).collect();
        let others: Vec<Core> = mask.difference(&known).map(|&cpu| vec![cpu]).collect();
        if !others.is_empty() {
            nodes.push(Node { index: None, cores: others });
        }
        Self { nodes, mask }
    }

    /// The nodes as the mask leaves them: without foreign CPUs, empty cores and empty nodes.
    pub fn usable(&self) -> Vec<Node> {
        let core = |core: &Core| -> Core {
            core.iter().copied().filter(|cpu| self.mask.contains(cpu)).collect()
        };
        let node = |node: &Node| Node {
            index: node.index,
            cores: node.cores.iter().map(core).filter(|core| !core.is_empty()).collect(),
        };
        self.nodes.iter().map(node).filter(|node| !node.cores.is_empty()).collect()
    }

    /// Cores of the machine, whoever may use them.
    pub fn cores(&self) -> usize {
        self.nodes.iter().map(|node| node.cores.len()).sum()
    }
}

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// By hwloc only where there are several NUMA nodes.
    Quick,
    /// By hwloc.
    Close,
}

/// Who found out.
#[derive(Debug)]
enum Source {
    Sysfs,
    #[cfg(feature = "hwloc")]
    Hwloc(hwloc::Loaded),
}

/// A topology, and what can be done on the machine that it describes.
#[derive(Debug)]
pub struct Machine {
    pub topology: Topology,
    source: Source,
}

impl Machine {
    /// Looks at this machine, or at the one that hwloc is told to stand for.
    pub fn look(look: Look) -> Self {
        let mask: BTreeSet<usize> = allowed_cpus().into_iter().collect();
        if look == Look::Close || sysfs::several_nodes() {
            #[cfg(feature = "hwloc")]
            if let Some((topology, loaded)) = hwloc::read(&mask) {
                return Self { topology, source: Source::Hwloc(loaded) };
            }
        }
        Self { topology: sysfs::read(mask), source: Source::Sysfs }
    }

    /// Whether the topology is this machine's. Another one (`HWLOC_SYNTHETIC`, `HWLOC_XMLFILE`) is
    /// there to be planned on: its CPUs are all usable, and nothing may be bound to them.
    pub fn is_real(&self) -> bool {
        match &self.source {
            Source::Sysfs => true,
            #[cfg(feature = "hwloc")]
            Source::Hwloc(loaded) => loaded.is_real(),
        }
    }

    /// Has this thread, and those that it starts from now on, take memory from `node` while it has
    /// any.
    ///
    /// # Errors
    /// Why the memory policy stays as it was.
    pub fn prefer_memory(&self, node: u32) -> Result<(), String> {
        match &self.source {
            Source::Sysfs => Err(format!("only hwloc can prefer node {node}")),
            #[cfg(feature = "hwloc")]
            Source::Hwloc(loaded) => loaded.prefer_memory(node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_cuts_nodes_and_nothing_of_it_is_lost() {
        let node = |index, cores: &[&[usize]]| Node {
            index,
            cores: cores.iter().map(|core| core.to_vec()).collect(),
        };
        let nodes = vec![
            node(Some(0), &[&[0, 4], &[1, 5]]),
            node(Some(1), &[]),
            node(Some(2), &[&[2, 6], &[3, 7]]),
        ];
        let topology = Topology::new(nodes, [4, 5, 1, 9].into());
        assert_eq!(topology.usable(), [node(Some(0), &[&[4], &[1, 5]]), node(None, &[&[9]])]);
        assert_eq!(topology.cores(), 5);
        assert_eq!(Topology::new(Vec::new(), BTreeSet::new()).usable(), []);
    }

    #[test]
    fn this_machine_is_covered_by_its_mask() {
        for look in [Look::Quick, Look::Close] {
            let machine = Machine::look(look);
            let usable: Vec<_> =
                machine.topology.usable().iter().flat_map(|node| node.cores.concat()).collect();
            let unique: BTreeSet<_> = usable.iter().copied().collect();
            assert_eq!(usable.len(), unique.len());
            assert!(!machine.is_real() || unique == allowed_cpus().into_iter().collect());
        }
    }
}
