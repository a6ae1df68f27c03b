//! Python functions: the examples, bad files, and the ways to start one. Skipped, by name, where there is no
//! interpreter; `.ci/setup test` fetches it.

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::shell;

fn examples(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/examples/python").join(folder)
}

/// Whether there is an interpreter; compiled for runs with and without time-out before a test is timed.
fn is_there(dir: &Path) -> bool {
    static THERE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    let probe = dir.join("probe.py");
    std::fs::write(&probe, "def main_func():\n    pass\n").unwrap();
    let there = *THERE.get_or_init(|| {
        let mut compile = std::process::Command::new(env!("CARGO_BIN_EXE_mobula"));
        let done = compile.args(["compile", "--timeout"]).arg(&probe).output().unwrap();
        let none = text_of(&done).contains("guest-lib/python/fetch");
        assert!(done.status.success() || none, "{}", text_of(&done));
        !none
    });
    std::fs::remove_file(probe).unwrap();
    if !there {
        eprintln!("skipped: no Python interpreter");
    }
    there
}

fn text_of(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

fn try_all(folder: &str, least: usize) {
    let dir = tempfile::tempdir().unwrap();
    if !is_there(dir.path()) {
        return;
    }
    let sources = common::copy_sources(&examples(folder), dir.path());
    let tried = sources.iter().filter(|source| common::try_source(source, dir.path())).count();
    assert!(tried >= least, "{tried} files in {folder:?} have a run line");
}

#[test]
fn every_example_prints_what_it_says() {
    try_all("", 9);
}

#[test]
fn bad_files_fail_alone_and_with_a_reason() {
    try_all("bad", 7);
}

#[test]
fn every_example_prints_the_same_on_one_to_three_ranks() {
    let dir = tempfile::tempdir().unwrap();
    let mpi = shell("mpirun --version", dir.path()).status.success() && cfg!(feature = "mpi");
    if !mpi || !is_there(dir.path()) {
        eprintln!("skipped: no mpirun, or no interpreter");
        return;
    }
    let root = if nix::unistd::geteuid().is_root() { "--allow-run-as-root " } else { "" };
    let launches = [1, 2, 3].map(|n| format!("mpirun {root}--oversubscribe --bind-to none -n {n}"));
    for source in common::copy_sources(&examples(""), dir.path()) {
        common::try_ranks(&source, dir.path(), &launches);
    }
}

const COUNTER: &str = "import mobula

calls = 0


@mobula.func(index=1)
def count():
    global calls
    calls += 1
    mobula.output(str(calls).encode())


@mobula.main
def main():
    chained = [mobula.chain_this(1) for _ in range(40)]
    print(sorted({call.output for call in chained}))
    with mobula.lock('total', global_=True):
        total = int.from_bytes(mobula.get_state('total') or b'', 'little') + 1
        mobula.set_state('total', total.to_bytes(8, 'little'))
    mobula.output(str(total).encode())
";

#[test]
fn calls_do_not_see_each_others_globals_and_invocations_keep_state() {
    let dir = tempfile::tempdir().unwrap();
    if !is_there(dir.path()) {
        return;
    }
    std::fs::write(dir.path().join("counter.py"), COUNTER).unwrap();
    let done = shell("mobula upload --store store demo/counter counter.py", dir.path());
    assert!(done.status.success(), "{}", text_of(&done));
    for total in ["1", "2"] {
        let done = shell("mobula invoke --store store demo/counter", dir.path());
        assert!(done.status.success(), "{}", text_of(&done));
        assert_eq!(String::from_utf8_lossy(&done.stdout), format!("[b'1']\n{total}"));
    }
}

#[test]
fn python_and_c_chain_each_other() {
    let dir = tempfile::tempdir().unwrap();
    if !is_there(dir.path()) {
        return;
    }
    let c = "#include <faasm/faasm.h>
        FAASM_MAIN_FUNC() {
            char text[16] = {0};
            faasmGetInput(BYTES(text), 8);
            unsigned id = faasmChainFunctionInput(\"twice\", BYTES(text), 8);
            faasmAwaitCallOutput(id, BYTES(text), 16);
            faasmSetOutput(BYTES(text), 16);
            return 0;
        }";
    let files = [
        ("relay.c", c),
        (
            "twice.py",
            "import mobula\n@mobula.main\ndef main():\n    mobula.output(mobula.input() * 2)\n",
        ),
        (
            "main.py",
            "import helper, mobula\n@mobula.main\ndef main():\n    \
             print(helper.shown(mobula.chain('relay', b'ab12cd34').wait()))\n",
        ),
    ];
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    std::fs::create_dir(dir.path().join("lib")).unwrap();
    let helper = "def shown(data):\n    return data.decode()\n";
    std::fs::write(dir.path().join("lib/helper.py"), helper).unwrap();
    let done = shell("mobula cc -o relay.wasm relay.c", dir.path());
    assert!(done.status.success(), "{}", text_of(&done));
    let line = "mobula run main.py --py-path lib --with relay.wasm --with twice.py";
    let done = shell(line, dir.path());
    assert!(done.status.success(), "{}", text_of(&done));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "ab12cd34ab12cd34\n");
}

#[test]
fn without_an_interpreter_one_line_says_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.py"), "def main_func():\n    pass\n").unwrap();
    let done = shell("env MOBULA_PYTHON=/nowhere mobula run a.py", dir.path());
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(100), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("guest-lib/python/fetch") && said.contains("MOBULA_PYTHON"), "{said}");
}

#[test]
fn a_damaged_interpreter_is_refused_or_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("python/lib")).unwrap();
    std::fs::write(dir.path().join("python/python.wasm"), b"\0asm\x01\0\0\0 no module").unwrap();
    std::fs::write(dir.path().join("python/lib/python315.zip"), b"").unwrap();
    std::fs::write(dir.path().join("a.py"), "def main_func():\n    pass\n").unwrap();
    let done = shell("env MOBULA_PYTHON=python mobula run a.py", dir.path());
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(100), "{said}");
    assert!(said.contains("the Python interpreter python/python.wasm: "), "{said}");
}
