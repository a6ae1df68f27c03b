//! Native builds: what guests as ordinary programs do beyond the examples.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// Compiles `guest-lib/tests/native/NAME` natively.
    fn with(source: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        place.compile(&["--native", "-Wall", "-Wextra", "-Werror", "-o", "guest"], source);
        place
    }

    fn compile(&self, options: &[&str], source: &str) {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/tests/native");
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobula"));
        command.arg("cc").args(options).arg(sources.join(source)).current_dir(self.dir.path());
        let done = command.output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.is_empty(), "{source}: {said}");
    }

    fn run(&self, args: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String, String) {
        let mut command = Command::new(self.dir.path().join("guest"));
        command.args(args).envs(settings.iter().copied()).current_dir(self.dir.path());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }
}

#[test]
fn a_refusal_ends_the_call_that_asked_and_says_what_the_runtime_says() {
    let (code, printed, said) = Place::with("refusals.c").run(&[], &[]);
    assert_eq!((code, printed.as_str()), (Some(101), "23 refusals\n"), "{said}");
    assert_eq!(said.lines().count(), 24, "{said}");
    for part in [
        "mobula: call demo/guest[1] trapped: faasm_read_state_ptr: key \"value\" has 16 bytes, \
         not 17; the first use of a key fixes its length",
        "faasm_read_state: a key has 1 to 255 bytes and no NUL; this one has 0 bytes",
        "faasm_read_state_offset_ptr: key \"value\" has 16 bytes; offset 8 and length 9 lie",
        "faasm_flag_state_offset_dirty: key \"value\" has 16 bytes; offset -1 and length 2",
        "faasm_push_state: key \"nobody wrote this\" has no value yet",
        "was not given to this call (only the call that chained it can await it)",
        "was awaited before; an id can be awaited once",
        "faasm_chain_this: demo/guest has no entry 99; it has entries 0, 1, 2, 3",
        "faasm_chain_function: user demo has no function \"nothing\"",
        "key \"open\" cannot go from 16 to 4 bytes while a window is open on it",
        "mask \"mask\" has 8 bytes but key \"value\" has 16; they must be equal",
        "key \"log\" has 1 appended elements; 2 of them need 0 bytes, the buffer has 8",
        "this call holds no global lock on key \"lock\"",
        "this call already holds a read lock on key \"lock\"; asking for write would wait",
        "mobula_state_delete: key \"open2\" cannot be deleted while a call has a window on it",
        "mobula_push_merge: there is no merge of type 9 with operation 0; see faasm/mobula.h",
        "mobula_merge_state: key \"value\": offset 4 and length 8 are no multiples of 8",
        "mobula_unmap: this call has no window at 0x",
        "mobula_chain_range: the range 5..4 with grain 1 is none; it wants lo <= hi and grain >= 1",
        "is a parallel loop, whose calls have no output; use faasmAwaitCall",
        "mobula_await_any: none of the 2 ids is other than 0",
        "faasm_write_output: the output is negative: -5",
        "mobula: call demo/guest[0] trapped: faasm_await_call: call id 74565 ",
    ] {
        assert!(said.contains(part), "{part}\nis not in\n{said}");
    }
}

#[test]
fn calls_do_as_promised_on_one_thread_and_on_several() {
    let place = Place::with("calls.c");
    for threads in ["1", "2", "7"] {
        let settings = [("MOBULA_THREADS", threads), ("MOBULA_CONF", "OFF=0,ON=1")];
        let (code, printed, said) = place.run(&[], &settings);
        assert_eq!(code, Some(0), "{threads} threads: {printed}{said}");
        assert_eq!(printed, "calls are right\na call that nobody awaits\n");
        assert!(said.contains("deadlock: the write lock on key \"circle\""), "{said}");
    }
}

#[test]
fn a_plain_main_has_state_files_and_a_proto_function() {
    let place = Place::with("plain.c");
    std::fs::write(place.dir.path().join("in"), "abc").unwrap();
    let settings = [
        ("MOBULA_STATE", "demo/in=in"),
        ("MOBULA_SAVE_STATE", "demo/out=out"),
        ("MOBULA_OUTPUT", "-"),
    ];
    let (code, printed, said) = place.run(&["one"], &settings);
    assert_eq!((code, said.as_str()), (Some(4), ""));
    assert_eq!(printed, "1 argument, prepared 1 times\noutput\n");
    assert_eq!(std::fs::read(place.dir.path().join("out")).unwrap(), b"abcabc");
    assert_eq!(place.run(&["refused"], &[]).0, Some(101));
    let (code, _, said) = place.run(&[], &[("MOBULA_STATE", "demo/in=none")]);
    assert_eq!(code, Some(100));
    assert!(said.contains("MOBULA_STATE: cannot read none"), "{said}");
}

#[test]
fn a_program_without_main_runs_the_entry_that_is_named() {
    let place = Place::with("entries.c");
    let (code, printed, said) = place.run(&[], &[("MOBULA_FUNC", "5")]);
    assert_eq!((code, printed.as_str()), (Some(255), "entry 5\n"));
    assert!(said.contains("the guest returned 300"), "{said}");
    let (code, _, said) = place.run(&[], &[]);
    assert_eq!(code, Some(100));
    assert!(said.contains("has no entry 0; it has only entry 5"), "{said}");
}

/// The documented way without `mobula`: the compilers alone, warning-free, C and C++.
#[test]
fn plain_compilers_do_without_mobula() {
    let guest_lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib");
    let dir = tempfile::tempdir().unwrap();
    for (compiler, source) in [("cc", "examples/fib.c"), ("c++", "examples/input.cpp")] {
        let program: PathBuf = dir.path().join("program");
        let done = Command::new(compiler)
            .args(["-O3", "-Wall", "-Wextra", "-Werror", "-Iinclude", source])
            .args(["native/mobula_native.c", "-rdynamic", "-lpthread", "-ldl", "-o"])
            .arg(&program)
            .current_dir(&guest_lib)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let done = Command::new(&program).env("MOBULA_INPUT", "22").output().unwrap();
        assert!(compiler == "c++" || done.stdout == b"fib(22) = 17711\n");
    }
}
