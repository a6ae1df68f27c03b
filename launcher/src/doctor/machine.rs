//! Kernel, processors and NUMA nodes.

use mobula_runtime::{config, node};
use nix::unistd::{SysconfVar, sysconf};

use super::{Check, setting};

pub fn checks() -> Vec<Check> {
    vec![kernel(), page_size(), write_protection(), numa()]
}

fn kernel() -> Check {
    let release = setting("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
    if node::pagemap_scan() {
        return Check::ok("kernel", format!("Linux {release}, PAGEMAP_SCAN works"));
    }
    Check::warning(
        "kernel",
        format!("Linux {release}, PAGEMAP_SCAN does not work"),
        "calls that touch many pages are reset more slowly; Linux 6.7 or newer has it, where no \
         sandbox hides /proc/self/pagemap",
    )
}

fn page_size() -> Check {
    let name = "page size";
    match sysconf(SysconfVar::PAGE_SIZE) {
        Ok(Some(4096)) => Check::ok(name, "4096 bytes"),
        other => Check::problem(
            name,
            format!("{} bytes", other.ok().flatten().unwrap_or(0)),
            "Mobula needs pages of 4 KiB: boot a kernel with that size",
        ),
    }
}

fn write_protection() -> Check {
    let name = "userfaultfd";
    if node::write_protect_async() {
        return Check::ok(name, "asynchronous write protection works (--track-writes)");
    }
    Check::warning(
        name,
        "no asynchronous write protection of shared memory",
        "--track-writes needs Linux 6.7 or newer, and a sandbox that allows userfaultfd; without it \
         flag what windows changed (faasmFlagStateDirty)",
    )
}

fn numa() -> Check {
    let name = "CPUs and NUMA nodes";
    let cpus = config::allowed_cpus().len();
    let online = std::thread::available_parallelism().map_or(cpus, usize::from);
    let all = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(0);
    let nodes = setting("/sys/devices/system/node/online");
    let nodes = nodes.as_deref().map_or(1, |list| count(list).max(1));
    let spanned = spanned_nodes(&config::allowed_cpus());
    let found = format!("{cpus} of {all} CPUs may be used, on {spanned} of {nodes} NUMA nodes");
    if cpus == 1 && all > 1 {
        return Check::warning(
            name,
            found,
            "only one CPU: under Slurm repeat --cpus-per-task for srun; else see taskset -p $$",
        );
    }
    if spanned > 1 {
        return Check::warning(
            name,
            found,
            "start one process a node, bound to it: srun --cpu-bind=ldoms, or numactl -N0 -m0",
        );
    }
    if online < cpus {
        return Check::warning(
            name,
            format!("{found}; a quota allows the time of {online}"),
            format!("more threads than that wait for each other: --threads {online}"),
        );
    }
    Check::ok(name, found)
}

/// NUMA nodes to which these CPUs belong; at least one.
fn spanned_nodes(cpus: &[usize]) -> usize {
    let nodes = std::fs::read_dir("/sys/devices/system/node").into_iter().flatten().flatten();
    let lists = nodes.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_prefix("node")?.parse::<u32>().ok()?;
        std::fs::read_to_string(entry.path().join("cpulist")).ok()
    });
    let spans = |list: &String| ranges(list).any(|range| cpus.iter().any(|c| range.contains(c)));
    lists.filter(spans).count().max(1)
}

/// The ranges of a list such as `0-3,8`.
fn ranges(list: &str) -> impl Iterator<Item = std::ops::RangeInclusive<usize>> {
    list.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    })
}

fn count(list: &str) -> usize {
    ranges(list).map(Iterator::count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_numbers() {
        assert_eq!((count("0"), count("0-3,8\n"), count("")), (1, 5, 0));
        assert!(ranges("2-4,9").any(|range| range.contains(&3)));
    }
}
