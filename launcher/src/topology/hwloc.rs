//! The topology as hwloc finds it, and the memory policy by hwloc.
//!
//! All CPUs of the machine are asked for, those that a control group keeps from this process too:
//! only so can a plan say that a mask is narrower than the machine. What may be used comes from the
//! affinity mask.

use std::collections::BTreeSet;

use hwlocality::memory::binding::{MemoryBindingFlags, MemoryBindingPolicy};
use hwlocality::object::TopologyObject;
use hwlocality::object::types::ObjectType;
use hwlocality::topology::builder::{BuildFlags, TypeFilter};

use super::{Core, Node, Topology};

/// What hwloc has found, kept for the memory policy.
#[derive(Debug)]
pub struct Loaded(hwlocality::Topology);

/// The topology and its source; `None` when hwloc finds nothing.
pub fn read(mask: &BTreeSet<usize>) -> Option<(Topology, Loaded)> {
    let builder = hwlocality::Topology::builder();
    let builder = builder.with_flags(BuildFlags::INCLUDE_DISALLOWED).ok()?;
    let builder = builder.with_cpu_cache_type_filter(TypeFilter::KeepNone).ok()?;
    let found = builder.build().ok()?;
    let nodes = found.objects_with_type(ObjectType::NUMANode).filter_map(|n| node(&found, n));
    let nodes: Vec<Node> = nodes.collect();
    let loaded = Loaded(found);
    // hwloc stands for another machine: the mask of this process means nothing on it.
    let mask = if loaded.is_real() {
        mask.clone()
    } else {
        nodes.iter().flat_map(|node| node.cores.concat()).collect()
    };
    Some((Topology::new(distinct(nodes), mask), loaded))
}

fn node(topology: &hwlocality::Topology, node: &TopologyObject) -> Option<Node> {
    let here = cpus(node);
    let in_node = |object: &&TopologyObject| cpus(object).iter().any(|cpu| here.contains(cpu));
    let cores = topology.objects_with_type(ObjectType::Core).filter(in_node);
    let mut cores: Vec<Core> = cores.map(|core| cpus(core).into_iter().collect()).collect();
    // Some virtual machines and processors do not tell their cores.
    let known: BTreeSet<usize> = cores.concat().into_iter().collect();
    cores.extend(here.difference(&known).map(|&cpu| vec![cpu]));
    Some(Node { index: Some(u32::try_from(node.os_index()?).ok()?), cores })
}

fn cpus(object: &TopologyObject) -> BTreeSet<usize> {
    let set = object.cpuset();
    set.map_or_else(BTreeSet::new, |set| set.iter_set().map(usize::from).collect())
}

/// Leaves each CPU in the first node that has it: memory of a second kind (high bandwidth, for
/// instance) is a node with the same CPUs.
fn distinct(mut nodes: Vec<Node>) -> Vec<Node> {
    let mut seen = BTreeSet::new();
    for node in &mut nodes {
        node.cores.retain(|core| core.iter().all(|&cpu| seen.insert(cpu)));
    }
    nodes
}

impl Loaded {
    /// Whether it is the machine that this process runs on.
    pub fn is_real(&self) -> bool {
        self.0.is_this_system()
    }

    /// Sets this thread's memory policy, which the threads that it starts inherit. Linux has none
    /// for a process.
    pub fn prefer_memory(&self, node: u32) -> Result<(), String> {
        let mut nodes = self.0.objects_with_type(ObjectType::NUMANode);
        let found = nodes.find(|object| object.os_index() == usize::try_from(node).ok());
        let set = found.and_then(TopologyObject::nodeset);
        let set = set.ok_or_else(|| format!("hwloc does not know NUMA node {node}"))?;
        let (policy, flags) = (MemoryBindingPolicy::Bind, MemoryBindingFlags::THREAD);
        self.0
            .bind_memory(set, policy, flags)
            .map_err(|err| format!("set_mempolicy for NUMA node {node}: {err}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_not_there_is_not_preferred() {
        let mask = mobula_runtime::config::allowed_cpus().into_iter().collect();
        let (_, loaded) = read(&mask).unwrap();
        let why = loaded.prefer_memory(1_000_000).unwrap_err();
        assert_eq!(why, "hwloc does not know NUMA node 1000000");
    }

    #[test]
    fn memory_nodes_with_the_same_cpus_do_not_share_them() {
        let node = |index| Node { index: Some(index), cores: vec![vec![0, 1]] };
        let nodes = distinct(vec![node(0), node(4)]);
        assert_eq!((nodes[0].cpus(), nodes[1].cpus()), (2, 0));
    }
}
