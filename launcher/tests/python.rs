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
    try_all("", 10);
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
fn what_is_no_python_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    if !is_there(dir.path()) {
        return;
    }
    std::fs::write(dir.path().join("bad.py"), "import mobula\nint main;\n").unwrap();
    let done = shell("mobula upload --store store demo/bad bad.py", dir.path());
    let said = String::from_utf8_lossy(&done.stderr);
    let expected = "mobula: error: bad.py was not stored: line 2: SyntaxError: invalid syntax";
    assert_eq!(done.status.code(), Some(100), "{said}");
    assert!(said.starts_with(expected) && said.lines().count() == 1, "{said}");
    // Modules may be missing here and there elsewhere.
    std::fs::write(dir.path().join("good.py"), "import elsewhere\n").unwrap();
    let done = shell("mobula upload --store store demo/good good.py", dir.path());
    assert!(done.status.success(), "{}", text_of(&done));
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

const RELAY: &str = r#"
use mobula::{CallError, Raw, Window, chain_named};

/// Asks Python for twice the input, which is numbers, and leaves their sum in a window.
#[mobula::main]
fn main() -> Result<(), CallError> {
    let numbers = chain_named::<Raw>("twice", &Raw(mobula::input())).wait()?;
    let mut sum = Window::<i64>::open("sum", 1);
    sum.exclusive(0..1)[0] = numbers.values::<i64>().iter().sum();
    sum.push();
    mobula::set_output(&numbers);
    println!("{:?}", chain_named::<()>("twice", &Raw::from("odd")).wait());
    Ok(())
}
"#;

const TWICE: &str = "import mobula, numpy as np

@mobula.main
def main():
    mobula.output((np.frombuffer(mobula.input(), np.int64) * 2).tobytes())
";

const ASK: &str = "import mobula, numpy as np

@mobula.main
def main():
    call = mobula.chain('relay', np.arange(10, dtype=np.int64).tobytes())
    print(np.frombuffer(call.wait(), np.int64).tolist())
    mobula.pull('sum', 8)
    print(mobula.window('sum', 1, np.int64)[0])
    print(mobula.chain('panics', b'').code != 0)
";

#[test]
fn python_and_rust_chain_each_other_and_share_windows() {
    let dir = tempfile::tempdir().unwrap();
    if !is_there(dir.path()) {
        return;
    }
    let panics = "#[mobula::main]\nfn main() {\n    panic!(\"on purpose\");\n}\n";
    let files = [("relay.rs", RELAY), ("panics.rs", panics), ("twice.py", TWICE), ("ask.py", ASK)];
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    for name in ["relay", "panics"] {
        let done = shell(&format!("mobula rustc -o {name}.wasm {name}.rs"), dir.path());
        assert!(done.status.success(), "{}", text_of(&done));
    }
    // From Python by Rust to Python, then from Rust on.
    let line = "mobula run ask.py --with relay.wasm --with twice.py --with panics.wasm";
    let done = shell(line, dir.path());
    assert!(done.status.success(), "{}", text_of(&done));
    let failed = "Err(Failed(1))";
    let expected = format!("{failed}\n[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]\n90\nTrue\n");
    assert_eq!(String::from_utf8_lossy(&done.stdout), expected, "{}", text_of(&done));
    assert!(text_of(&done).contains("twice.py\", line 5"), "{}", text_of(&done));
    let done = shell("mobula run relay.wasm --with twice.py --input 12345678", dir.path());
    assert!(done.status.success(), "{}", text_of(&done));
    assert_eq!(String::from_utf8_lossy(&done.stdout), format!("{failed}\n"));
}

#[test]
fn info_says_what_a_file_has_and_why_it_cannot_be_loaded() {
    let dir = tempfile::tempdir().unwrap();
    if !is_there(dir.path()) {
        return;
    }
    let text = "import mobula, numpy, helper\nprint('loading')\n\n@mobula.func(index=7)\n\
                def seven():\n    import no_such_module\n\n@mobula.main\ndef start():\n    pass\n";
    std::fs::write(dir.path().join("app.py"), text).unwrap();
    std::fs::create_dir(dir.path().join("lib")).unwrap();
    std::fs::write(dir.path().join("lib/helper.py"), "").unwrap();
    let done = shell("mobula info app.py --py-path lib", dir.path());
    let said = String::from_utf8_lossy(&done.stdout);
    let expected = "language         Python\nloads here       yes\nentries          \n                 \
                    \x20  0  start\n                    7  seven\nproto-functions  none\n\
                    missing modules  no_such_module\n";
    assert_eq!(said, expected, "{}", text_of(&done));
    let done = shell("mobula info --json app.py", dir.path());
    let seen: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let failure = "line 1: ModuleNotFoundError: No module named 'helper'";
    assert_eq!(seen["failure"], failure, "{}", text_of(&done));
    assert_eq!(seen["missing"], serde_json::json!(["helper", "no_such_module"]));
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
