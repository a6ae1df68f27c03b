//! Memory: how much there may be, how much address space, and how the kernel backs it.

use std::path::{Path, PathBuf};

use mobula_runtime::{Config, limits, node};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::{Check, human, setting};

/// Below this much shared memory not even small states fit.
const LEAST_SHM: u64 = 64 << 20;
/// Mappings that Linux allows by default.
const USUAL_MAPS: usize = 65_530;

pub fn checks() -> Vec<Check> {
    vec![shared_memory(), cgroup(), address_space(), overcommit(), mappings(), huge_pages()]
}

/// Bytes of memory in this machine.
fn machine_memory() -> u64 {
    let text = setting("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map_or(0, |kib| kib << 10)
}

/// Memory that this process may use: the machine's, or less where a control group says so.
fn usable_memory() -> u64 {
    cgroup_limit().map_or_else(machine_memory, |(limit, _)| limit.min(machine_memory()))
}

fn shared_memory() -> Check {
    let name = "/dev/shm";
    let remedy = "mount -o remount,size=50% /dev/shm; in a container --shm-size; state lies there";
    let Ok(fs) = statvfs("/dev/shm") else {
        return Check::problem(name, "cannot be read", "mount a tmpfs at /dev/shm");
    };
    let (size, free) =
        (fs.blocks() * fs.fragment_size(), fs.blocks_available() * fs.fragment_size());
    let memory = usable_memory();
    if size == 0 {
        return Check::ok(name, format!("without a limit; memory is {}", human(memory)));
    }
    let found = format!("{} large, {} free; memory is {}", human(size), human(free), human(memory));
    if let Err(err) = tempfile::tempfile_in("/dev/shm") {
        return Check::problem(name, format!("{found}; {err}"), "allow this user to write there");
    }
    if free < LEAST_SHM {
        return Check::problem(name, found, remedy);
    }
    if free < memory / 4 {
        return Check::warning(name, found, remedy);
    }
    Check::ok(name, found)
}

fn cgroup() -> Check {
    let name = "cgroup memory limit";
    let Some((limit, file)) = cgroup_limit() else { return Check::ok(name, "none") };
    let found = format!("{} ({})", human(limit), file.display());
    let shm = statvfs("/dev/shm").map_or(0, |fs| fs.blocks() * fs.fragment_size());
    if limit < machine_memory() && shm > limit {
        return Check::warning(
            name,
            format!("{found}; /dev/shm may grow to {}", human(shm)),
            "state counts as memory: the job is killed when both together pass the limit; ask for \
             more (srun --mem), or keep state below it",
        );
    }
    Check::ok(name, found)
}

/// The lowest memory limit of the control groups around this process, version 1 or 2.
fn cgroup_limit() -> Option<(u64, PathBuf)> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let files = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (kind, group) = (parts.next().unwrap_or(""), parts.next().unwrap_or("/"));
        let (root, file) = match kind {
            "" => ("/sys/fs/cgroup", "memory.max"),
            kind if kind.split(',').any(|word| word == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return Vec::new(),
        };
        limit_files(root, group, file)
    });
    let limit = |file: PathBuf| Some((setting(file.to_str()?)?.parse::<u64>().ok()?, file));
    // Version 1 says a number near 2^63 for "none".
    files.filter_map(limit).filter(|(bytes, _)| *bytes < 1 << 60).min()
}

/// The limit's files from a group up to the root; a group's path may not be visible from inside.
fn limit_files(root: &str, group: &str, file: &str) -> Vec<PathBuf> {
    let root = Path::new(root);
    let group = root.join(group.trim_start_matches('/'));
    group.ancestors().take_while(|dir| dir.starts_with(root)).map(|dir| dir.join(file)).collect()
}

fn address_space() -> Check {
    let name = "address space";
    let limit = getrlimit(Resource::RLIMIT_AS).map_or(RLIM_INFINITY, |(soft, _)| soft);
    let found = match limit {
        RLIM_INFINITY => "no limit".to_owned(),
        bytes => format!("ulimit -v is {}", human(bytes)),
    };
    if node::whole_guests_fit() {
        return Check::ok(name, format!("{found}; a guest's 4 GiB can be reserved"));
    }
    Check::warning(
        name,
        format!("{found}; a guest's 4 GiB cannot be reserved"),
        "every access of a guest is checked, up to 2 times slower: ulimit -v unlimited",
    )
}

fn overcommit() -> Check {
    let name = "overcommit";
    match setting("/proc/sys/vm/overcommit_memory").as_deref() {
        Some("2") => Check::warning(
            name,
            "strict (vm.overcommit_memory = 2)",
            "large reservations may be refused: sysctl vm.overcommit_memory=0",
        ),
        Some(mode) => Check::ok(name, format!("vm.overcommit_memory = {mode}")),
        None => Check::ok(name, "not visible"),
    }
}

fn mappings() -> Check {
    let name = "mappings";
    let maps = setting("/proc/sys/vm/max_map_count").and_then(|text| text.parse().ok());
    let maps: usize = maps.unwrap_or(USUAL_MAPS);
    let found =
        format!("vm.max_map_count = {maps}: {} faaslets at once", Config::default().max_faaslets);
    if maps >= USUAL_MAPS {
        return Check::ok(name, found);
    }
    let each = limits::MAPPINGS_PER_FAASLET;
    let remedy = format!("each takes up to {each} mappings: sysctl vm.max_map_count=1048576");
    Check::warning(name, found, remedy)
}

fn huge_pages() -> Check {
    let name = "huge pages for state";
    let Some(modes) = setting("/sys/kernel/mm/transparent_hugepage/shmem_enabled") else {
        return Check::warning(name, "the kernel has none", "large state uses pages of 4 KiB");
    };
    let mode = modes.split(['[', ']']).nth(1).unwrap_or("unknown").to_owned();
    if ["always", "within_size", "advise", "force"].contains(&&*mode) {
        return Check::ok(name, mode);
    }
    Check::warning(
        name,
        mode,
        "large state uses pages of 4 KiB; as root: \
         echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_looked_for_up_to_the_root() {
        let files = limit_files("/sys/fs/cgroup", "/a/b", "memory.max");
        let names: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "/sys/fs/cgroup/a/b/memory.max",
                "/sys/fs/cgroup/a/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(limit_files("/sys/fs/cgroup", "/", "m").len(), 1);
    }
}
