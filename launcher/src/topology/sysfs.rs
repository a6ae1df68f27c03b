//! The topology as /sys tells it: a few files, no library.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Core, Node, Topology, parse};

const NODES: &str = "/sys/devices/system/node";
const CPUS: &str = "/sys/devices/system/cpu";

/// Whether more than one NUMA node has CPUs.
pub fn several_nodes() -> bool {
    nodes_with_cpus(Path::new(NODES)).len() > 1
}

/// The topology of this machine. Hyper-threads are looked up for the CPUs of the mask alone: no
/// other one is used, and each would cost a file.
pub fn read(mask: BTreeSet<usize>) -> Topology {
    read_from(Path::new(NODES), Path::new(CPUS), mask)
}

fn read_from(nodes: &Path, cpus: &Path, mask: BTreeSet<usize>) -> Topology {
    let threads = list(&cpus.join("smt/active")) != [0];
    let node = |index: usize| {
        let all = list(&nodes.join(format!("node{index}/cpulist")));
        let cores = if threads { cores(cpus, &all, &mask) } else { single(&all) };
        Some(Node { index: Some(u32::try_from(index).ok()?), cores })
    };
    let found = nodes_with_cpus(nodes).into_iter().filter_map(node).collect();
    Topology::new(found, mask)
}

fn nodes_with_cpus(nodes: &Path) -> Vec<usize> {
    list(&nodes.join("has_cpu"))
}

fn single(cpus: &[usize]) -> Vec<Core> {
    cpus.iter().map(|&cpu| vec![cpu]).collect()
}

/// These CPUs, those of one core together.
fn cores(cpus: &Path, all: &[usize], mask: &BTreeSet<usize>) -> Vec<Core> {
    let mut left: BTreeSet<usize> = all.iter().copied().collect();
    let mut cores = Vec::new();
    while let Some(first) = left.pop_first() {
        let mut core = vec![first];
        if mask.contains(&first) {
            let siblings = list(&cpus.join(format!("cpu{first}/topology/thread_siblings_list")));
            core.extend(siblings.into_iter().filter(|cpu| left.remove(cpu)));
        }
        cores.push(core);
    }
    cores
}

fn list(file: &Path) -> Vec<usize> {
    std::fs::read_to_string(file).map_or_else(|_| Vec::new(), |text| parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let file = root.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    #[test]
    fn two_nodes_with_hyper_threads() {
        let dir = tempfile::tempdir().unwrap();
        let (nodes, cpus) = (dir.path().join("node"), dir.path().join("cpu"));
        write(&nodes, "has_cpu", "0-1\n");
        write(&nodes, "node0/cpulist", "0-1,4-5\n");
        write(&nodes, "node1/cpulist", "2-3,6-7\n");
        write(&cpus, "smt/active", "1\n");
        for cpu in 0..8 {
            let siblings = format!("{},{}\n", cpu % 4, cpu % 4 + 4);
            write(&cpus, &format!("cpu{cpu}/topology/thread_siblings_list"), &siblings);
        }
        let topology = read_from(&nodes, &cpus, (0..8).collect());
        assert_eq!(topology.nodes[0].cores, [[0, 4], [1, 5]]);
        assert_eq!(topology.nodes[1].cores, [[2, 6], [3, 7]]);
        write(&cpus, "smt/active", "0\n");
        let topology = read_from(&nodes, &cpus, (0..8).collect());
        assert_eq!(topology.cores(), 8);
    }

    #[test]
    fn a_machine_that_tells_nothing_has_the_cpus_of_the_mask() {
        let none = Path::new("/no/such/directory");
        let topology = read_from(none, none, [2, 3].into());
        assert_eq!(topology.nodes, [Node { index: None, cores: vec![vec![2], vec![3]] }]);
    }
}
