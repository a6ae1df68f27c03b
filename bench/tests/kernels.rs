//! Every kernel gives the answer that is expected of it, at its small size, on one thread, on two, and on two
//! ranks, and so do its peers. Nothing here looks at times.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use mobula_bench::kernels::Definition;
use serde_json::Value;

fn bench() -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "900", env!("CARGO_BIN_EXE_mobula-bench")]);
    command
}

fn definitions() -> Vec<Definition> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    Definition::all(&dir).unwrap()
}

/// Runs every kernel once with these options; (name, threads, ranks) of what ran, and what was said.
fn run_all(options: &[&str]) -> (BTreeSet<(String, u64, u64)>, String) {
    let mut run = bench();
    run.args(["run", "--kernels", "--size", "small", "--rounds", "0", "--json"]);
    let done = run.args(options).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    let place = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let name = row["bench"].as_str().unwrap().to_owned();
        (name, row["threads"].as_u64().unwrap(), row["ranks"].as_u64().unwrap())
    };
    (String::from_utf8_lossy(&done.stdout).lines().map(place).collect(), said)
}

#[test]
fn every_kernel_gives_its_answer_everywhere() {
    let peers = "openmp,mpi,rayon,openblas";
    let (mut seen, mut said) = run_all(&["--threads", "1,2", "--engines", peers]);
    let (more, also) = run_all(&["--threads", "1", "--ranks", "2", "--engines", "mpi"]);
    seen.extend(more);
    said += &also;
    let ranks = !said.contains("several ranks: there is no");
    for definition in definitions() {
        let python = definition.guest.ends_with(".py") && said.contains("no Python interpreter");
        for place in [(1, 1), (2, 1), (1, 2)].into_iter().filter(|at| ranks || at.1 == 1) {
            let one = (definition.name.clone(), place.0, place.1);
            assert!(python || seen.contains(&one), "{one:?} did not run:\n{said}");
        }
    }
}

#[test]
fn a_program_of_the_users_own_is_run_at_every_placement() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let wasm = dir.path().join("fib.wasm");
    let mobula = Path::new(env!("CARGO_BIN_EXE_mobula-bench")).with_file_name("mobula");
    let mut compile = Command::new(mobula);
    compile.args(["cc", "-o"]).arg(&wasm).arg(root.join("guest-lib/examples/fib.c"));
    assert!(compile.status().unwrap().success());

    let mut run = bench();
    run.arg("app").arg(&wasm).args(["--threads", "1,2", "--rounds", "1", "--json", "--record"]);
    let done = run.arg(dir.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8_lossy(&done.stdout);
    let rows: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let threads: Vec<_> = rows.iter().map(|row| row["threads"].as_u64().unwrap()).collect();
    assert_eq!(threads, [1, 2]);
    assert!(rows.iter().all(|row| row["metric"] == "run" && row["memory"].as_f64().unwrap() > 0.0));

    // What was recorded compares with itself.
    let of_machine = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path());
    let records = of_machine.into_iter().find(|path| path.is_dir()).unwrap();
    let mut files = std::fs::read_dir(records).unwrap().map(|e| e.unwrap().path());
    let record = files.find(|path| path.extension().is_some_and(|e| e == "jsonl")).unwrap();
    let done = bench().args(["compare", "--strict"]).args([&record, &record]).output().unwrap();
    assert!(done.status.success());
    assert_eq!(String::from_utf8_lossy(&done.stdout).matches("same").count(), 2);
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    for (args, word) in [
        (&["run", "nothing-like-it"][..], "nothing-like-it"),
        (&["run", "--kernels", "--engines", "fortran"], "fortran"),
        (&["run", "nstream", "--size", "huge", "--rounds", "1"], "huge"),
        (&["run", "nstream", "--ranks", "0"], "1 to 4096"),
        (&["app", "missing.wasm"], "missing.wasm"),
        (&["compare", "missing.jsonl", "missing.jsonl"], "missing.jsonl"),
    ] {
        let done = bench().args(args).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && said.contains(word), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn records_of_two_machines_are_compared_with_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let row = r#"{"bench":"b","metric":"m","unit":"ns","median":2,"p10":1,"p90":3}"#;
    let record = |cpu: &str| {
        let file = dir.path().join(cpu);
        let head = format!(r#"{{"machine":"two","cpu":"{cpu}","cpus":2}}"#);
        std::fs::write(&file, format!("{head}\n{row}\n")).unwrap();
        file
    };
    let (one, other) = (record("one"), record("other"));
    for (after, warned) in [(&one, false), (&other, true)] {
        let done = bench().arg("compare").args([&one, after]).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
        assert_eq!(said.contains("two (one, 2 CPUs) and two (other, 2 CPUs)"), warned, "{said}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut list = bench();
    let stdio = std::process::Stdio::piped;
    let mut child = list.arg("list").stdout(stdio()).stderr(stdio()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}
