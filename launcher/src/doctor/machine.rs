//! Kernel, processors, NUMA nodes, and where a rank would be on them.

use mobula_runtime::{config, node};
use nix::unistd::{SysconfVar, sysconf};

use super::{Check, setting};
use crate::{placement, topology};

pub fn checks() -> Vec<Check> {
    vec![kernel(), page_size(), write_protection(), cpus(), placed()]
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

fn cpus() -> Check {
    let name = "CPUs and NUMA nodes";
    let cpus = config::allowed_cpus().len();
    let quota = std::thread::available_parallelism().map_or(cpus, usize::from);
    let all = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(0);
    let nodes = setting("/sys/devices/system/node/online");
    let nodes = nodes.as_deref().map_or(1, |list| topology::parse(list).len().max(1));
    let found = format!("{cpus} of {all} CPUs may be used; {nodes} NUMA nodes");
    if quota < cpus {
        return Check::warning(
            name,
            format!("{found}; a quota allows the time of {quota}"),
            format!("more threads than that wait for each other: --threads {quota}"),
        );
    }
    Check::ok(name, found)
}

/// Where a rank would run, by the planner of `mobula run`.
fn placed() -> Check {
    let name = "placement";
    let (found, warnings) = placement::examine();
    if warnings.is_empty() {
        return Check::ok(name, found);
    }
    let what: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let remedies: Vec<_> = warnings.iter().map(placement::Warning::remedy).collect();
    Check::warning(name, format!("{found}; {}", what.join("; ")), remedies.join("; "))
}
