//! Jobs of several ranks on one host, started by mpirun as users do.
//!
//! Skipped, by name, where there is no mpirun.

mod common;

use std::path::Path;
use std::process::Output;

use common::shell;

/// `mpirun` for so many ranks, also with fewer cores, also as root; `None` where there is none.
fn mpirun(ranks: usize) -> Option<String> {
    let there = shell("mpirun --version", tempfile::tempdir().unwrap().path()).status.success();
    if !there || cfg!(not(feature = "mpi")) {
        eprintln!("skipped: no mpirun on the PATH, or built without MPI");
        return None;
    }
    let root = if nix::unistd::geteuid().is_root() { "--allow-run-as-root " } else { "" };
    Some(format!("mpirun {root}--oversubscribe --bind-to none -n {ranks}"))
}

fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/examples").join(name)
}

/// Writes a guest in C and compiles it.
fn compile(dir: &Path, name: &str, body: &str) {
    let source = format!("#include <faasm/faasm.h>\n#include <stdio.h>\n{body}\n");
    std::fs::write(dir.join(format!("{name}.c")), source).unwrap();
    let done = shell(&format!("mobula cc -o {name}.wasm {name}.c"), dir);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn expect(done: &Output, code: i32) -> (String, String) {
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    assert_eq!(done.status.code(), Some(code), "{out}{err}");
    (out, err)
}

const FAN: &str = r#"
FAASM_FUNC(work, 1) {
    volatile unsigned x = 0;
    for (unsigned i = 0; i < 300000; i++) x += i;
    return 3;
}
FAASM_MAIN_FUNC() {
    unsigned ids[400], sum = 0;
    for (int i = 0; i < 400; i++) ids[i] = faasmChainThis(1);
    for (int i = 0; i < 400; i++) sum += faasmAwaitCall(ids[i]);
    printf("sum %u\n", sum);
    return 0;
}"#;

#[test]
fn every_example_prints_the_same_on_one_to_four_ranks() {
    let launches: Vec<_> = (1..=4).filter_map(mpirun).collect();
    if launches.is_empty() {
        return;
    }
    for folder in ["", "chain_named", "rust", "rust/chain_named"] {
        let dir = tempfile::tempdir().unwrap();
        for source in common::copy_sources(&example(folder), dir.path()) {
            common::try_ranks(&source, dir.path(), &launches);
        }
    }
}

#[test]
fn a_fan_out_uses_every_rank_and_statistics_are_of_all() {
    let Some(launch) = mpirun(3) else { return };
    let dir = tempfile::tempdir().unwrap();
    // Long enough for every rank to have its turns of a busy machine.
    compile(dir.path(), "fan", &FAN.replace("300000;", "5000000;"));
    let line = format!("{launch} mobula run fan.wasm --threads 1 --stats s.json --report-bindings");
    let (out, err) = expect(&shell(&line, dir.path()), 0);
    assert_eq!(out, "sum 1200\n");
    for rank in 0..3 {
        assert!(err.contains(&format!(", rank {rank}, NUMA node")), "{err}");
    }
    let stats = std::fs::read(dir.path().join("s.json")).unwrap();
    let stats: serde_json::Value = serde_json::from_slice(&stats).unwrap();
    assert_eq!((&stats["calls"], &stats["ranks"]), (&401.into(), &3.into()), "{stats}");
    let by_rank = stats["calls_by_rank"].as_array().unwrap();
    assert!(by_rank.iter().all(|n| n.as_u64() > Some(10)), "{stats}");
}

#[test]
fn ranks_that_share_a_mask_are_warned_once() {
    let Some(launch) = mpirun(4) else { return };
    let dir = tempfile::tempdir().unwrap();
    compile(dir.path(), "fan", FAN);
    let (_, err) = expect(&shell(&format!("{launch} mobula run fan.wasm"), dir.path()), 0);
    assert_eq!(err.matches("4 ranks share one mask").count(), 1, "{err}");
}

#[test]
fn sixty_four_ranks_on_any_number_of_cores() {
    let Some(launch) = mpirun(64) else { return };
    let dir = tempfile::tempdir().unwrap();
    compile(dir.path(), "fan", FAN);
    let line = format!("{launch} --mca mpi_yield_when_idle 1 mobula run fan.wasm --threads 1");
    let (out, _) = expect(&shell(&line, dir.path()), 0);
    assert_eq!(out, "sum 1200\n");
}

#[test]
fn traps_and_codes_of_main_are_the_jobs() {
    let Some(launch) = mpirun(2) else { return };
    let dir = tempfile::tempdir().unwrap();
    compile(
        dir.path(),
        "ends",
        r#"FAASM_FUNC(bad, 1) { __builtin_trap(); }
        FAASM_MAIN_FUNC() {
            long n = faasmGetInputSize();
            if (n == 1) __builtin_trap();
            unsigned code = faasmAwaitCall(mobulaChainAt("k", 0, 1, NULL, 0));
            return code != 0 ? 7 : 0;
        }"#,
    );
    let (_, err) = expect(&shell(&format!("{launch} mobula run ends.wasm"), dir.path()), 7);
    assert_eq!(err.matches("demo/ends[1] trapped").count(), 1, "{err}");
    let line = format!("{launch} mobula run ends.wasm --input x");
    let (_, err) = expect(&shell(&line, dir.path()), 101);
    assert_eq!(err.matches("demo/ends[0] trapped").count(), 1, "{err}");
}

/// Main holds a lock and awaits a child on each rank that needs it; then, for pairs of keys, two calls on
/// the two ranks lock them in opposite order.
const CIRCLES: &str = include_str!("circles.c");

#[test]
fn circles_of_locks_through_two_ranks_fail_one_call_each() {
    let Some(launch) = mpirun(2) else { return };
    let dir = tempfile::tempdir().unwrap();
    compile(dir.path(), "circles", CIRCLES);
    let line = format!("timeout 100 {launch} mobula run circles.wasm");
    let (out, err) = expect(&shell(&line, dir.path()), 4);
    assert_eq!(out, "4 failed\n", "{err}");
    assert_eq!(err.matches("demo/circles[1] trapped").count(), 4, "{err}");
    assert_eq!(err.matches("deadlock: the global lock on key ").count(), 4, "{err}");
    let across: Vec<_> = err.lines().filter(|line| line.contains("; the circle: call ")).collect();
    assert!(!across.is_empty(), "one of these pairs has two servers: {err}");
    for line in across {
        assert_eq!(line.matches("call demo/circles[1] #").count(), 2, "{line}");
        assert!(line.contains(" on rank 0 (host ") && line.contains(" on rank 1 (host "), "{line}");
    }
    let (out, err) = expect(&shell(&format!("{line} --input x"), dir.path()), 2);
    assert_eq!(out, "2 failed\n", "{err}");
    assert_eq!(err.matches("deadlock: the global lock on key \"parent\"").count(), 2, "{err}");
    assert!(err.contains("call demo/circles[0] #"), "{err}");
}

#[test]
fn what_cannot_be_prepared_is_said_once_and_ends_all() {
    let Some(launch) = mpirun(3) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (_, err) = expect(&shell(&format!("{launch} mobula run none.wasm"), dir.path()), 100);
    assert_eq!(err.matches("none.wasm").count(), 1, "{err}");
}

#[test]
fn wrong_starts_are_refused_with_the_remedy() {
    if mpirun(1).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    compile(dir.path(), "fan", FAN);
    let other = "env OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2";
    let (_, err) = expect(&shell(&format!("{other} mobula run fan.wasm"), dir.path()), 100);
    assert!(err.contains("rank 1 of 2, but MPI says rank 0 of 1"), "{err}");
    let slurm = "env SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2";
    let (_, err) = expect(&shell(&format!("{slurm} mobula run fan.wasm"), dir.path()), 100);
    assert!(err.contains("srun --mpi=pmix"), "{err}");
    let (out, _) = expect(&shell(&format!("{slurm} mobula run --alone fan.wasm"), dir.path()), 0);
    assert_eq!(out, "sum 1200\n");
}

#[test]
fn ranks_that_were_told_something_else_are_refused() {
    let Some(launch) = mpirun(1) else { return };
    let dir = tempfile::tempdir().unwrap();
    compile(dir.path(), "fan", FAN);
    std::fs::copy(dir.path().join("fan.wasm"), dir.path().join("other.wasm")).unwrap();
    let line = format!("{launch} mobula run fan.wasm : -n 1 mobula run other.wasm");
    let (_, err) = expect(&shell(&line, dir.path()), 100);
    assert!(err.contains("rank 1") && err.contains("other.wasm"), "{err}");
}

#[test]
fn independent_runs_under_mpirun_with_alone() {
    let Some(launch) = mpirun(2) else { return };
    let dir = tempfile::tempdir().unwrap();
    compile(dir.path(), "fan", FAN);
    let (out, _) = expect(&shell(&format!("{launch} mobula run --alone fan.wasm"), dir.path()), 0);
    assert_eq!(out, "sum 1200\nsum 1200\n");
}

/// Files that each process of a job opens, by what strace saw.
fn opened(launch: &str, dir: &Path, ranks: usize) -> Vec<Vec<String>> {
    let trace = "strace -f -z -qq -e trace=open,openat -o trace.$OMPI_COMM_WORLD_RANK";
    let script = format!("exec {trace} mobula run fan.wasm --threads 1");
    std::fs::write(dir.join("traced.sh"), script).unwrap();
    expect(&shell(&format!("{launch} sh traced.sh"), dir), 0);
    let read = |rank| std::fs::read_to_string(dir.join(format!("trace.{rank}"))).unwrap();
    let good = |line: &&str| line.contains('"') && !line.contains("ENOENT");
    (0..ranks).map(|rank| read(rank).lines().filter(good).map(str::to_owned).collect()).collect()
}

#[test]
fn no_rank_opens_more_files_in_a_larger_job_and_only_the_first_opens_the_module() {
    let dir = tempfile::tempdir().unwrap();
    let (Some(two), Some(four)) = (mpirun(2), mpirun(4)) else { return };
    if !shell("strace -V", dir.path()).status.success() {
        return eprintln!("skipped: no strace");
    }
    compile(dir.path(), "fan", FAN);
    // What MPI itself opens to find its neighbours is not ours to count.
    let ours = |line: &&String| {
        let mpi = ["/dev/shm", "/tmp/ompi", "pmix", "vader", "/proc", "/sys", "openmpi"];
        !mpi.iter().any(|part| line.contains(part))
    };
    let (few, many) = (opened(&two, dir.path(), 2), opened(&four, dir.path(), 4));
    let count = |lines: &Vec<String>| lines.iter().filter(ours).count();
    eprintln!("files opened: {} of two ranks, {} of four", count(&few[1]), count(&many[3]));
    assert!(count(&many[3]) <= count(&few[1]) && count(&many[1]) <= count(&few[1]));
    for (rank, lines) in many.iter().enumerate() {
        let module = lines.iter().any(|line| line.contains("fan.wasm"));
        assert_eq!(module, rank == 0, "rank {rank}");
    }
}
