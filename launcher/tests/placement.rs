//! Placement as people see it: `--report-bindings`, `--bind`, `doctor`, and what the kernel says of
//! the threads.
//!
//! Machines with several NUMA nodes are hwloc's synthetic ones: plans are made for them and nothing
//! is bound.

mod place;

use std::process::Command;

use place::{Done, Place, run};

/// A guest that ends at once.
const EMPTY: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// Variables by which schedulers would speak up in these tests.
const SCHEDULERS: [&str; 11] = [
    "SLURM_CPU_BIND",
    "SLURM_CPU_BIND_TYPE",
    "SLURM_CPU_BIND_LIST",
    "SLURM_CPUS_PER_TASK",
    "SLURM_LOCALID",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "PMIX_RANK",
    "PMI_RANK",
    "PMI_SIZE",
    "HWLOC_SYNTHETIC",
];

fn place_with_guest() -> Place {
    let place = Place::new();
    place.write("empty.wasm", wat::parse_str(EMPTY).unwrap());
    place
}

fn quiet(command: &mut Command) -> &mut Command {
    SCHEDULERS.iter().fold(command, |command, name| command.env_remove(name))
}

/// `mobula run empty.wasm` with these options, in this environment and no scheduler's.
fn run_with(place: &Place, args: &[&str], env: &[(&str, &str)]) -> Done {
    let mut command = place.mobula(&[&["run", "empty.wasm"], args].concat());
    let done = run(quiet(&mut command).envs(env.iter().copied()));
    assert_eq!(done.code, Some(0), "{args:?} {env:?}: {}", done.stderr);
    done
}

/// The CPUs that this process may use, as the kernel lists them.
fn allowed() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.unwrap().trim().to_owned()
}

/// How many CPUs such a list has.
fn cpus(list: &str) -> usize {
    let ends = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1
    };
    list.split(',').map(ends).sum()
}

fn first_cpu() -> String {
    allowed().split([',', '-']).next().unwrap().to_owned()
}

#[test]
fn a_rank_says_where_it_is() {
    let place = place_with_guest();
    assert_eq!(run_with(&place, &[], &[]).stderr, "");
    let said = run_with(&place, &["--report-bindings"], &[]).stderr;
    let line = said.lines().find(|line| line.contains("rank 0")).unwrap();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert!(
        line.starts_with(&format!("mobula: host {}, rank 0, NUMA node", host.trim())),
        "{said}"
    );
    assert!(line.contains(&format!(", cores {}, ", allowed())), "{said}");
    assert!(line.contains(" (pinned), memory ") && line.ends_with("; no scheduler"), "{said}");
    assert_eq!(said.lines().filter(|line| line.contains("rank ")).count(), 1, "{said}");
    let said = run_with(&place, &["--report-bindings", "--threads", "1"], &[]).stderr;
    assert!(said.contains(&format!(", cores {}, threads 1 (pinned)", first_cpu())), "{said}");
    let said = run_with(&place, &["--report-bindings", "--bind", "none"], &[]).stderr;
    assert!(said.contains(" (not pinned), memory first touch"), "{said}");
    let done = place.run(&["run", "empty.wasm", "--bind", "socket"]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
}

#[test]
fn lines_of_processes_that_share_standard_error_stay_whole() {
    let place = place_with_guest();
    run_with(&place, &[], &[]);
    let said = place.path("said");
    let open = || std::fs::File::options().append(true).create(true).open(&said).unwrap();
    let start = |_| {
        let mut command = place.mobula(&["run", "empty.wasm", "--report-bindings"]);
        quiet(&mut command).stderr(open()).spawn().unwrap()
    };
    let mut children: Vec<_> = (0..16).map(start).collect();
    assert!(children.iter_mut().all(|child| place::wait(child).success()));
    let text = std::fs::read_to_string(&said).unwrap();
    let whole = |line: &&str| line.starts_with("mobula: ") && line.matches("mobula: ").count() == 1;
    assert!(text.lines().all(|line| whole(&line)), "{text}");
    assert_eq!(text.matches(", rank 0, ").count(), 16, "{text}");
}

#[test]
fn an_invocation_says_it_too() {
    let place = place_with_guest();
    place.good(&["upload", "demo/empty", "empty.wasm"]);
    let mut command = place.mobula(&["invoke", "demo/empty", "--report-bindings"]);
    let done = run(quiet(&mut command));
    assert!(done.stderr.contains(", rank 0, NUMA node"), "{done:?}");
}

#[test]
fn the_kernel_agrees_with_the_report() {
    // Waits for the end of standard input, long enough for a look at its threads.
    let waiter = r#"(module
        (import "wasi_snapshot_preview1" "fd_read"
            (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))))"#;
    let place = Place::new();
    place.write("waiter.wasm", wat::parse_str(waiter).unwrap());
    for (bind, pinned) in [("numa", first_cpu()), ("none", allowed())] {
        let mut command = place.mobula(&["run", "waiter.wasm", "--threads", "1", "--bind", bind]);
        let mut child = quiet(&mut command).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let start = std::time::Instant::now();
        let found = loop {
            if let Some(list) = worker_cpus(child.id())
                && (list == pinned || start.elapsed() > place::PATIENCE)
            {
                break list;
            }
            assert!(start.elapsed() <= place::PATIENCE, "no worker thread");
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        drop(child.stdin.take());
        assert!(place::wait(&mut child).success());
        assert_eq!(found, pinned, "--bind {bind}");
    }
}

/// The CPUs of the first worker thread of a process.
fn worker_cpus(pid: u32) -> Option<String> {
    for entry in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        if field("Name:")?.trim() == "mobula-0" {
            return field("Cpus_allowed_list:").map(|list| list.trim().to_owned());
        }
    }
    None
}

#[test]
fn a_mask_of_one_core_is_said_when_a_scheduler_gave_it() {
    if allowed() == first_cpu() {
        return;
    }
    let place = place_with_guest();
    let narrow = |args: &str, env: &[(&str, &str)]| {
        let script = format!("exec taskset -c {} {} {args}", first_cpu(), place::MOBULA);
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(place.dir.path());
        command.env("MOBULA_CACHE", place::CACHE.path());
        run(quiet(&mut command).envs(env.iter().copied()))
    };
    assert_eq!(narrow("run empty.wasm", &[]).stderr, "");
    let said = narrow("run empty.wasm", &[("SLURM_CPUS_PER_TASK", "2")]).stderr;
    assert!(said.contains("warning: only CPU") && said.contains("--cpus-per-task"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let args = "run empty.wasm --report-bindings";
    let said = narrow(args, &[("SLURM_CPUS_PER_TASK", "2"), ("PMIX_RANK", "1")]).stderr;
    assert!(said.contains("; differs from Slurm and PMI: SLURM_CPUS_PER_TASK=2, but"), "{said}");
    assert!(said.contains("PMIX_RANK=1, but this is rank 0 of 1"), "{said}");
    let report: serde_json::Value =
        serde_json::from_str(narrow("doctor --json", &[]).text()).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "placement").unwrap();
    assert_eq!(check["verdict"], "warning", "{check}");
    assert!(check["remedy"].as_str().unwrap().contains("--cpus-per-task"), "{check}");
}

#[test]
fn too_many_threads_are_always_said() {
    let place = place_with_guest();
    let more = cpus(&allowed()) + 1;
    let said = run_with(&place, &["--threads", &more.to_string()], &[]).stderr;
    assert!(
        said.contains(&format!("warning: {more} threads on ")) && said.contains("use --threads"),
        "{said}"
    );
}

#[cfg(feature = "hwloc")]
mod synthetic {
    use super::*;

    fn report(topology: &str, args: &[&str]) -> String {
        let place = place_with_guest();
        let args = [&["--report-bindings"], args].concat();
        run_with(&place, &args, &[("HWLOC_SYNTHETIC", topology)]).stderr
    }

    #[test]
    fn one_node_has_nothing_to_prefer() {
        let said = report("numa:1 core:4 pu:2", &[]);
        assert!(
            said.contains(", NUMA node 0, cores 0-7, threads 8 (pinned), memory first touch"),
            "{said}"
        );
        assert!(said.contains("(topology of another machine: nothing is bound)"), "{said}");
        assert!(!said.contains("warning"), "{said}");
        // hwloc numbers the threads of a core one after the other here.
        let said = report("numa:1 core:4 pu:2", &["--threads", "4"]);
        assert!(said.contains(", cores 0,2,4,6, threads 4 (pinned)"), "{said}");
    }

    #[test]
    fn several_nodes_are_a_warning_unless_one_is_enough() {
        let said = report("numa:2 core:4 pu:2", &[]);
        assert!(
            said.contains(", NUMA nodes 0-1, cores 0-15, threads 16 (pinned), memory first"),
            "{said}"
        );
        assert!(said.contains("warning: one rank has CPUs of 2 NUMA nodes"), "{said}");
        assert!(said.contains("--ntasks-per-node=2 --cpu-bind=ldoms"), "{said}");
        let said = report("numa:2 core:4 pu:2", &["--threads", "3"]);
        assert!(
            said.contains(", NUMA node 0, cores 0,2,4, threads 3 (pinned), memory prefers node 0"),
            "{said}"
        );
        assert!(!said.contains("warning"), "{said}");
        let said = report("pack:2 numa:2 core:3 pu:1", &[]);
        assert!(said.contains(", NUMA nodes 0-3, cores 0-11, threads 12"), "{said}");
    }

    #[test]
    fn doctor_plans_on_it_as_well() {
        let place = Place::new();
        let mut command = place.mobula(&["doctor"]);
        let done = run(quiet(&mut command).env("HWLOC_SYNTHETIC", "numa:2 core:4 pu:1"));
        let line = done.text().lines().find(|line| line.contains(" placement ")).unwrap();
        assert!(
            line.starts_with("warning") && line.contains("CPUs 0-7 (cores: 8), 2 NUMA nodes"),
            "{line}"
        );
    }
}
