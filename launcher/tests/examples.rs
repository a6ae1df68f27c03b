//! Every example says at its top how it is compiled and run and what it prints; here that is tried,
//! in the sandbox and as a native program.

mod common;

use std::path::Path;
use std::process::Output;

/// Tries every example of the tree in its own copy.
fn try_all(try_one: fn(&Path, &Path) -> bool) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/examples");
    for (folder, least) in [("", 16), ("chain_named", 1), ("rust", 18), ("rust/chain_named", 1)] {
        let dir = tempfile::tempdir().unwrap();
        let sources = common::copy_sources(&examples.join(folder), dir.path());
        let tried = sources.iter().filter(|source| try_one(source, dir.path())).count();
        assert!(tried >= least, "{tried} examples in {folder:?} have a run line");
    }
}

#[test]
fn every_example_prints_what_it_says() {
    try_all(common::try_source);
}

#[test]
fn every_example_prints_the_same_as_a_native_program() {
    try_all(common::try_native);
}

#[test]
fn pagerank_ranks_what_is_installed() {
    let (dir, list) = (tempfile::tempdir().unwrap(), Path::new("/var/lib/dpkg/status"));
    if !list.is_file() {
        return; // No Debian: the star of the example's own test has to do.
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = source.join("../guest-lib/examples/rust/pagerank.rs");
    for compile in ["mobula rustc -o pagerank.wasm", "mobula rustc --native -o pagerank"] {
        let done = common::shell(&format!("{compile} {}", source.display()), dir.path());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let list = list.display();
    let run = format!("mobula run pagerank.wasm --input-file {list}");
    let sandbox = common::shell(&run, dir.path());
    let native = common::shell(&format!("env MOBULA_INPUT_FILE={list} ./pagerank"), dir.path());
    let said = String::from_utf8_lossy(&sandbox.stdout);
    for line in ["ranks add up to 1.000000", "the same ranks as one loop over all nodes: true"] {
        assert!(said.lines().any(|printed| printed == line), "{said}");
    }
    assert_eq!(said, String::from_utf8_lossy(&native.stdout));
    let nodes = said.split(' ').next().unwrap().parse::<usize>().unwrap();
    assert!(nodes > 50, "{said}");
}

/// A small data set of the layout in `sgd_core.h`: the label is whether the second number is
/// positive.
fn flights(rows: u32) -> Vec<u8> {
    let mut data = b"MOBSGD01".to_vec();
    for number in [rows, 64, 16, 31, 128, 65536, rows / 2] {
        data.extend(number.to_le_bytes());
    }
    data.resize(65536, 0);
    for row in 0..rows {
        let late = row % 2;
        let number = if late == 1 { 1.0_f32 } else { -1.0 };
        for at in 0..16 {
            let dense = [1.0, number].get(at).copied().unwrap_or(0.0_f32);
            data.extend(dense.to_le_bytes());
        }
        for slot in 0..31_u16 {
            data.extend(((16 + slot) * 4).to_le_bytes());
        }
        data.extend((late as u16).to_le_bytes());
    }
    data
}

/// The last objective in the result of the SGD example.
fn objective(done: &Output) -> f64 {
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let result: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    result["epochs"].as_array().unwrap().last().unwrap()["objective"].as_f64().unwrap()
}

#[test]
fn sgd_learns_the_same_in_the_sandbox_and_natively() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("data"), flights(2048)).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/examples/sgd/sgd.cpp");
    for compile in ["mobula c++ -o sgd.wasm", "mobula c++ --native -o sgd"] {
        let done = common::shell(&format!("{compile} {}", source.display()), dir.path());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let options = "--epochs 2 --quiet --workers 1 --blocks 4";
    let state = "--state demo/train=data --state demo/test=data --output -";
    let sandbox = common::shell(&format!("mobula run sgd.wasm {state} -- {options}"), dir.path());
    let state = "MOBULA_STATE=demo/train=data,demo/test=data MOBULA_OUTPUT=-";
    let native = common::shell(&format!("env {state} ./sgd {options}"), dir.path());
    let (sandbox, native) = (objective(&sandbox), objective(&native));
    // Fused and unfused sums round differently.
    assert!((sandbox - native).abs() < 1e-4 && native < 0.6, "{sandbox} {native}");
}
