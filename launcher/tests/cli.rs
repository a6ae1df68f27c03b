//! The `mobula` binary as people use it: compile guests, run them, look at what comes out.

mod place;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use place::{CACHE, Done, MOBULA, PATIENCE, Place, run, wait};

const ECHO: &str = r#"#include <faasm/faasm.h>
#include <stdio.h>
FAASM_MAIN_FUNC()
{
    static unsigned char buffer[100000];
    long n = faasmGetInputSize();
    faasmGetInput(buffer, sizeof buffer);
    faasmSetOutput(buffer, n);
    printf("%ld bytes\n", n);
    return (int)(n % 256);
}
"#;

#[test]
fn hello_in_c_and_its_exit_code() {
    let place = Place::new();
    place.cc("hello", "#include <faasm/faasm.h>\n#include <stdio.h>\nFAASM_MAIN_FUNC() { printf(\"Hello\\n\"); fprintf(stderr, \"told\\n\"); return 7; }\n");
    let done = place.run(&["run", "hello.wasm"]);
    assert_eq!((done.code, done.text(), &*done.stderr), (Some(7), "Hello\n", "told\n"));
}

#[test]
fn input_and_output_as_text_and_files_with_any_bytes() {
    let place = Place::new();
    place.cc("echo", ECHO);
    let done = place.run(&["run", "echo.wasm", "--input", "some text", "--output", "-"]);
    assert_eq!((done.code, done.text()), (Some(9), "9 bytes\nsome text"));
    let bytes: Vec<u8> = (0..70_001u32).map(|i| (i * i % 256) as u8).collect();
    place.write("in", &bytes);
    let done = place.run(&["run", "echo.wasm", "--input-file", "in", "--output", "out"]);
    assert_eq!((done.code, done.text()), (Some(70_001 % 256), "70001 bytes\n"));
    assert_eq!(std::fs::read(place.path("out")).unwrap(), bytes);
    assert_eq!(place.good(&["run", "echo.wasm"]), "0 bytes\n");
}

#[test]
fn exit_codes() {
    let place = Place::new();
    place.cc(
        "code",
        r#"#include <faasm/faasm.h>
FAASM_MAIN_FUNC()
{
    char mode = 0;
    faasmGetInput((uint8_t*)&mode, 1);
    if (mode == 't') { __builtin_trap(); }
    if (mode == 's') { faasmReadStateOffsetPtr("some key", 10, 8, 3); }
    if (mode == 'e') { exit(33); }
    if (mode == 'l') { for (volatile int i = 0;; i++) { } }
    if (mode == 'w') { return 1000; }
    if (mode == 'n') { return -1; }
    return 0;
}
FAASM_FUNC(other, 42) { return faasmGetCurrentIdx(); }
"#,
    );
    let input = |mode| place.run(&["run", "code.wasm", "--input", mode]);
    assert_eq!(input("0").code, Some(0));
    assert_eq!(input("e").code, Some(33));
    assert_eq!(place.run(&["run", "code.wasm", "--func", "42"]).code, Some(42));
    for mode in ["w", "n"] {
        let wide = input(mode);
        assert_eq!(wide.code, Some(255));
        assert!(wide.stderr.contains("the guest returned"), "{wide:?}");
    }
    let trap = input("t");
    assert_eq!(trap.code, Some(101));
    assert!(
        trap.stderr.contains("mobula: call demo/code[0] trapped: wasm trap: wasm `unreachable`"),
        "{trap:?}"
    );
    let refused = input("s");
    assert_eq!(refused.code, Some(101));
    let says = "faasm_read_state_offset_ptr: key \"some key\" has 10 bytes; offset 8 and length 3 lie outside";
    assert!(refused.stderr.contains(says), "{refused:?}");
    for (args, code, says) in [
        (&["run"][..], 2, "Usage"),
        (&["run", "code.wasm", "--threads", "0"], 2, "--threads"),
        (&["run", "code.wasm", "--state", "nonsense"], 2, "USER/KEY=FILE"),
        (&["frob"], 2, "frob"),
        (&["run", "none.wasm"], 100, "cannot open module none.wasm"),
        (&["run", "code.c"], 100, "code.c is a source: mobula cc"),
        (&["run", "code.wasm", "--input-file", "none"], 100, "none"),
        (&["run", "code.wasm", "--state", "demo/k=none"], 100, "none"),
        (
            &["run", "code.wasm", "--func", "3"],
            100,
            "demo/code has no entry 3; it has entries 0, 42",
        ),
        (&["run", "code.wasm", "--dir", "/no/such/dir"], 100, "/no/such/dir"),
        (&["run", "code.wasm", "--with", "none.wasm"], 100, "none.wasm"),
        (&["cc", "-c", "none.c"], 1, "none.c"),
    ] {
        let done = place.run(args);
        assert_eq!(done.code, Some(code), "{args:?}: {done:?}");
        assert!(done.stderr.contains(says), "{args:?}: {done:?}");
        assert!(!done.stderr.contains("panicked"), "{done:?}");
    }
}

#[test]
fn a_source_is_no_module_and_no_python() {
    let place = Place::new();
    for (file, compile) in [("a.c", "cc"), ("b.cpp", "c++"), ("c.rs", "rustc")] {
        place.write(file, "int main(void) { return 0; }\n");
        let done = place.run(&["run", file]);
        assert_eq!(done.code, Some(100), "{done:?}");
        let remedy = format!("{file} is a source: mobula {compile} -o {}.wasm {file}", &file[..1]);
        assert!(done.stderr.contains(&remedy), "{done:?}");
    }
}

#[test]
fn timeouts_end_with_102() {
    let place = Place::new();
    place.cc(
        "slow",
        r#"#include <faasm/faasm.h>
/* Its child may run out of time first, and main go on. */
FAASM_MAIN_FUNC() { faasmAwaitCall(faasmChainThis(1)); for (volatile int i = 0;; i++) { } return 0; }
FAASM_FUNC(forever, 1) { for (volatile int i = 0;; i++) { } return 0; }
"#,
    );
    let done = place.run(&["run", "slow.wasm", "--timeout", "0.5", "--threads", "2"]);
    assert_eq!(done.code, Some(102), "{done:?}");
    assert!(done.stderr.contains("timed out: it ran longer than --timeout 500ms"), "{done:?}");
}

#[test]
fn an_endless_loop_of_main_ends_with_102() {
    let place = Place::new();
    place.cc("loop", "#include <faasm/faasm.h>\nFAASM_MAIN_FUNC() { for (volatile int i = 0;; i++) { } return 0; }\n");
    let done = place.run(&["run", "loop.wasm", "--timeout", "0.5"]);
    assert_eq!(done.code, Some(102), "{done:?}");
}

#[test]
fn chains_by_index_and_by_name_with_input_and_output() {
    let place = Place::new();
    place.cc("main", r#"#include <faasm/faasm.h>
#include <stdio.h>
#include <string.h>
FAASM_FUNC(square, 1)
{
    int n = 0;
    faasmGetInput(BYTES(&n), sizeof n);
    if (n > 1) { int m = n - 1; faasmAwaitCall(faasmChainThisInput(1, BYTES(&m), sizeof m)); }
    return n * n;
}
FAASM_MAIN_FUNC()
{
    unsigned ids[20], sum = 0;
    for (int i = 0; i < 20; i++) { ids[i] = faasmChainThisInput(1, BYTES(&i), sizeof i); }
    for (int i = 0; i < 20; i++) { sum += faasmAwaitCall(ids[i]); }
    char out[16] = { 0 };
    unsigned rc = faasmAwaitCallOutput(faasmChainFunctionInput("worker", BYTES_CONST("abc"), 3), BYTES(out), 15);
    unsigned rc2 = faasmAwaitCall(faasmChainFunction("again"));
    printf("%u %u %s %u\n", sum, rc, out, rc2);
    return 0;
}
"#);
    place.cc(
        "worker",
        r#"#include <faasm/faasm.h>
FAASM_MAIN_FUNC()
{
    char in[4] = { 0 };
    long n = faasmGetInputSize();
    faasmGetInput(BYTES(in), 3);
    for (int i = 0; i < n; i++) { in[i] -= 32; }
    faasmSetOutput(in, n);
    return (int)n + 10;
}
"#,
    );
    let with = ["--with", "worker.wasm", "--with", "again=worker.wasm"];
    for threads in ["1", "2"] {
        let args = [&["run", "main.wasm", "--threads", threads][..], &with].concat();
        assert_eq!(place.good(&args), "2470 13 ABC 10\n");
    }
    let unknown = place.run(&["run", "main.wasm", "--with", "worker.wasm"]);
    assert_eq!(unknown.code, Some(101));
    let says = "user demo has no function \"again\"; it has main, worker";
    assert!(unknown.stderr.contains(says), "{unknown:?}");
}

/// A plain command: prints two arguments and a variable, then opens the other arguments.
const OPENS_ITS_ARGUMENTS: &str = r#"#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void try_open(const char* path, const char* mode)
{
    char line[64] = "";
    FILE* file = fopen(path, mode);
    if (!file) { printf("%s %s: no\n", path, mode); return; }
    if (mode[0] == 'r') { fgets(line, sizeof line, file); } else { fputs("written", file); }
    printf("%s %s: %s\n", path, mode, fclose(file) ? "failed" : line);
}
int main(int argc, char** argv)
{
    printf("%d %s %s\n", argc, argv[1], getenv("COLOUR"));
    for (int i = 2; i < argc; i++) { try_open(argv[i], "r"); try_open(argv[i], "w"); }
    remove("/data/in.txt");
    return 5;
}"#;

#[test]
fn a_plain_command_with_arguments_environment_and_directories() {
    let place = Place::new();
    place.cc("plain", OPENS_ITS_ARGUMENTS);
    std::fs::create_dir(place.path("data")).unwrap();
    std::fs::create_dir(place.path("open")).unwrap();
    place.write("data/in.txt", "inside");
    place.write("secret.txt", "secret");
    place.write("open/old.txt", "old");
    let done = place.run(&[
        "run",
        "plain.wasm",
        "--dir",
        "data:/data:ro",
        "--dir",
        "open:/open",
        "--env",
        "COLOUR=blue=ish",
        "--",
        "first arg",
        "/data/in.txt",
        "/data/new.txt",
        "/open/old.txt",
        "/open/new.txt",
        "/data/../secret.txt",
        "secret.txt",
        "/etc/passwd",
        "/open/../secret.txt",
    ]);
    assert_eq!(done.code, Some(5), "{done:?}");
    let expected = "9 first arg blue=ish
/data/in.txt r: inside
/data/in.txt w: no
/data/new.txt r: no
/data/new.txt w: no
/open/old.txt r: old
/open/old.txt w: \n/open/new.txt r: no
/open/new.txt w: \n/data/../secret.txt r: no
/data/../secret.txt w: no
secret.txt r: no
secret.txt w: no
/etc/passwd r: no
/etc/passwd w: no
/open/../secret.txt r: no
/open/../secret.txt w: no
";
    assert_eq!(done.text(), expected.replace("9 first", "10 first"));
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    assert_eq!((&*read("data/in.txt"), &*read("secret.txt")), ("inside", "secret"));
    assert_eq!((&*read("open/old.txt"), &*read("open/new.txt")), ("written", "written"));
    assert!(!place.path("data/new.txt").exists());
}

#[test]
#[cfg(unix)]
fn a_link_does_not_lead_out_of_a_directory() {
    let place = Place::new();
    place.cc("cat", "#include <stdio.h>\nint main(int c, char** v) { FILE* f = fopen(v[c - 1], \"r\"); return f ? getc(f) : 3; }\n");
    std::fs::create_dir(place.path("data")).unwrap();
    place.write("secret", "s");
    place.write("data/in", "i");
    std::os::unix::fs::symlink("../secret", place.path("data/out")).unwrap();
    std::os::unix::fs::symlink("in", place.path("data/inner")).unwrap();
    let cat = |path| place.run(&["run", "cat.wasm", "--dir", "data:/d:ro", "--", path]).code;
    assert_eq!((cat("/d/inner"), cat("/d/out")), (Some(105), Some(3)));
}

#[test]
fn state_from_a_file_and_back() {
    let place = Place::new();
    place.cc(
        "state",
        r#"#include <faasm/faasm.h>
FAASM_MAIN_FUNC()
{
    long n = faasmReadStateSize("in");
    uint8_t* in = faasmReadStatePtr("in", n);
    uint8_t* out = faasmReadStatePtr("out", n);
    for (long i = 0; i < n; i++) { out[i] = (uint8_t)(in[i] + 1); }
    in[0] = 99;
    return 0;
}
"#,
    );
    let bytes: Vec<u8> = (0..5_000_001u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    place.write("in.bin", &bytes);
    place.good(&[
        "run",
        "state.wasm",
        "--state",
        "demo/in=in.bin",
        "--save-state",
        "demo/out=out.bin",
        "--save-state",
        "demo/in=in.saved",
    ]);
    let out: Vec<u8> = bytes.iter().map(|b| b.wrapping_add(1)).collect();
    assert!(std::fs::read(place.path("out.bin")).unwrap() == out);
    let saved = std::fs::read(place.path("in.saved")).unwrap();
    assert!(saved[0] == 99 && saved[1..] == bytes[1..]);
    assert!(std::fs::read(place.path("in.bin")).unwrap() == bytes, "the file read stays as it was");
    let unknown = place.run(&[
        "run",
        "state.wasm",
        "--state",
        "demo/in=in.bin",
        "--save-state",
        "demo/none=x",
    ]);
    assert_eq!(unknown.code, Some(100));
    assert!(unknown.stderr.contains("demo/none=x: key \"none\" has no value"), "{unknown:?}");
    // Another user's key of that name is another value.
    let done = place.run(&[
        "run",
        "state.wasm",
        "--state",
        "other/in=in.bin",
        "--save-state",
        "demo/out=y",
    ]);
    assert_eq!(
        (done.code, std::fs::read(place.path("y")).unwrap_or_default()),
        (Some(0), vec![]),
        "{done:?}"
    );
}

#[test]
fn saved_state_is_as_readable_as_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.cc("w", "#include <faasm/faasm.h>\nFAASM_MAIN_FUNC() { faasmWriteState(\"k\", BYTES_CONST(\"x\"), 1); return 0; }\n");
    place.good(&["run", "w.wasm", "--save-state", "demo/k=saved"]);
    let mode =
        |name: &str| std::fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    place.write("ordinary", "");
    assert_eq!(format!("{:o}", mode("saved")), format!("{:o}", mode("ordinary")));
}

#[test]
fn state_from_a_pipe_is_read_or_refused() {
    let place = Place::new();
    place.cc(
        "size",
        "#include <faasm/faasm.h>\nFAASM_MAIN_FUNC() { return (int)faasmReadStateSize(\"k\"); }\n",
    );
    let script = format!("printf 12345 | {MOBULA} run size.wasm --state demo/k=/dev/stdin");
    let mut shell = Command::new("sh");
    let done = run(shell
        .args(["-c", &script])
        .current_dir(place.dir.path())
        .env("MOBULA_CACHE", CACHE.path()));
    assert!(matches!(done.code, Some(5 | 100)), "the value is silently empty: {done:?}");
}

#[test]
fn stats_are_json_with_every_field() {
    let place = Place::new();
    place.cc(
        "fan",
        r#"#include <faasm/faasm.h>
FAASM_MAIN_FUNC()
{
    faasmReadStatePtr("k", 100000);
    faasmFlagStateDirty("k", 100000);
    faasmPushState("k");
    unsigned ids[10];
    for (int i = 0; i < 10; i++) { ids[i] = faasmChainThis(1); }
    for (int i = 0; i < 10; i++) { faasmAwaitCall(ids[i]); }
    return 0;
}
FAASM_FUNC(one, 1) { return 0; }
"#,
    );
    place.good(&["run", "fan.wasm", "--threads", "2", "--stats", "stats.json"]);
    let text = std::fs::read_to_string(place.path("stats.json")).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, expected) in [
        ("failed_calls", 0),
        ("pushes", 1),
        ("pushed_chunks", 2),
        ("windows_mapped", 1),
        ("threads", 2),
    ] {
        assert_eq!(stats[name], expected, "{name} of {text}");
    }
    assert!(stats["calls"].as_u64() >= Some(10), "main may not be counted yet: {text}");
    assert!(
        stats["faaslets_created"].as_u64() >= Some(2)
            && stats["state_bytes"].as_u64() >= Some(100_000),
        "{text}"
    );
    assert!(
        stats["seconds"].as_f64() > Some(0.0) && stats["unresettable"] == serde_json::json!([]),
        "{text}"
    );
    for name in [
        "faaslets_live_most",
        "reinstantiated_calls",
        "resets",
        "restored_pages",
        "scans",
        "discards",
        "windows_warm",
        "pulls",
        "sent_bytes",
        "state_bytes_most",
        "peak_memory_kib",
    ] {
        assert!(stats[name].is_u64(), "{name} of {text}");
    }
    let done = place.run(&["run", "fan.wasm", "--stats", "-"]);
    assert!(serde_json::from_str::<serde_json::Value>(&done.stderr).is_ok(), "{done:?}");
}

#[test]
fn memory_and_flags_are_limited_and_set() {
    let place = Place::new();
    place.cc(
        "limits",
        r#"#include <faasm/faasm.h>
#include <stdio.h>
#include <string.h>
FAASM_MAIN_FUNC()
{
    int mb = 0;
    char* volatile p;
    while (mb < 64 && (p = malloc(1 << 20)) != NULL) { memset(p, 1, 1 << 20); mb++; }
    printf("%s; %u %u %u %u\n", mb < 64 ? "no memory" : "64 MB", getConfFlag("A"), getConfFlag("B"),
           getConfFlag("ALWAYS_ON"), getConfFlag("ALWAYS_OFF"));
    return mb < 64 ? mb : 0;
}
"#,
    );
    let done =
        place.run(&["run", "limits.wasm", "--max-memory", "20M", "--conf", "A=1", "--conf", "B=0"]);
    assert_eq!(done.text(), "no memory; 1 0 1 0\n", "{done:?}");
    assert!((15..20).contains(&done.code.unwrap()), "{done:?}");
    assert_eq!(place.good(&["run", "limits.wasm", "--conf", "B=on"]), "64 MB; 0 1 1 0\n");
    assert_eq!(place.run(&["run", "limits.wasm", "--conf", "B=maybe"]).code, Some(100));
}

#[test]
fn malloc_never_hands_out_a_window() {
    let place = Place::new();
    // The first malloc comes after the window, in the first call and in later ones of its faaslet.
    place.cc(
        "heap",
        r#"#include <faasm/faasm.h>
#include <string.h>
FAASM_FUNC(work, 1)
{
    uint8_t* window = faasmReadStatePtr("k", 300000);
    for (int i = 0; i < 300; i++) {
        char* p = malloc(10000);
        if (!p) { return 1; }
        memset(p, 0xAA, 10000);
    }
    for (int i = 0; i < 300000; i++) { if (window[i] != 7) { return 2; } }
    return 0;
}
FAASM_MAIN_FUNC()
{
    memset(faasmReadStatePtr("k", 300000), 7, 300000);
    for (int i = 0; i < 50; i++) {
        unsigned rc = faasmAwaitCall(faasmChainThis(1));
        if (rc) { return (int)rc; }
    }
    return 0;
}
"#,
    );
    let done = place.run(&["run", "heap.wasm", "--threads", "1"]);
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[test]
fn what_printf_buffers_is_not_lost() {
    let place = Place::new();
    place.cc(
        "lines",
        r#"#include <faasm/faasm.h>
#include <stdio.h>
FAASM_FUNC(child, 1) { printf("child"); return 0; }
FAASM_FUNC(exits, 2) { printf("exits"); exit(0); }
FAASM_MAIN_FUNC()
{
    printf("main ");
    fflush(stdout);
    faasmAwaitCall(faasmChainThis(1));
    faasmAwaitCall(faasmChainThis(2));
    printf(" end");
    return 0;
}
"#,
    );
    for _ in 0..5 {
        assert_eq!(place.good(&["run", "lines.wasm", "--threads", "1"]), "main childexits end");
    }
}

#[test]
fn cxx_with_strings_streams_constructors_and_a_proto_function() {
    let place = Place::new();
    place.cxx(
        "cxx",
        r#"#include <faasm/faasm.h>
#include <faasm/input.h>
#include <iostream>
#include <map>
#include <string>
#include <vector>
static std::map<std::string, int> table = { { "constructed", 1 } };
static std::vector<int>* big;
FAASM_ZYGOTE()
{
    std::cout << "proto" << std::endl;
    big = new std::vector<int>(100000, 3);
    table["proto"] = 2;
    return 0;
}
FAASM_FUNC(child, 1)
{
    int found = table.size() == 2 && (*big)[99999] == 3;
    table["child"] = 3;
    (*big)[99999] = 4;
    faasm::setStringOutput("<" + faasm::getStringInput("nothing") + ">");
    return found;
}
FAASM_MAIN_FUNC()
{
    int good = 0;
    std::string last;
    for (int i = 0; i < 100; i++) {
        std::string input = "input " + std::to_string(i);
        char* out;
        int len;
        unsigned id = faasmChainThisInput(1, BYTES_CONST(input.data()), (long)input.size());
        good += (int)faasmAwaitCallOutput(id, &out, &len);
        last = std::string(out, (size_t)len);
        free(out);
    }
    std::cout << good << ' ' << last << " no newline";
    return 0;
}
"#,
    );
    for threads in ["1", "2"] {
        let text = place.good(&["run", "cxx.wasm", "--threads", threads]);
        assert_eq!(text, "proto\n100 <input 99> no newline");
    }
}

#[test]
fn many_translation_units_and_passed_on_arguments() {
    let place = Place::new();
    place.write(
        "a.c",
        "#include <faasm/faasm.h>\nint b(void);\nFAASM_MAIN_FUNC() { return b() + N; }\n",
    );
    place.write("b.c", "#include <faasm/faasm.h>\nint b(void) { return (int)getConfFlag(\"ALWAYS_ON\"); }\nFAASM_FUNC(other, 10) { return 3; }\n");
    assert_eq!(place.run(&["cc", "-DN=4", "-c", "a.c"]).code, Some(0));
    assert_eq!(place.run(&["cc", "-c", "b.c"]).code, Some(0));
    let link = place.run(&["cc", "-o", "ab.wasm", "a.o", "b.o"]);
    assert_eq!(link.code, Some(0), "{link:?}");
    assert_eq!(place.run(&["run", "ab.wasm"]).code, Some(5));
    assert_eq!(place.run(&["run", "ab.wasm", "--func", "10"]).code, Some(3));
}

/// Runs with the reading end of stdout closed from the start.
fn with_closed_stdout(command: &mut Command) -> Done {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = child.stderr.take().unwrap();
    let text = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let code = wait(&mut child).code();
    Done { code, stdout: Vec::new(), stderr: text.join().unwrap() }
}

#[test]
fn stdout_closed_early_is_no_panic() {
    let place = Place::new();
    place.cc(
        "yes",
        r#"#include <faasm/faasm.h>
#include <stdio.h>
FAASM_FUNC(child, 1) { for (int i = 0; i < 1000; i++) { puts("child"); } return 0; }
FAASM_MAIN_FUNC()
{
    unsigned id = faasmChainThis(1);
    for (int i = 0; i < 20000; i++) { if (puts("a line of text") < 0) { break; } }
    faasmSetOutput("output", 6);
    return (int)faasmAwaitCall(id);
}
"#,
    );
    for args in [
        &["run", "yes.wasm"][..],
        &["run", "yes.wasm", "--output", "-"],
        &["--help"],
        &["run", "--help"],
    ] {
        no_panic(&with_closed_stdout(&mut place.mobula(args)));
    }
}

#[test]
fn stdout_of_compile_closed_early_is_no_panic() {
    let place = Place::new();
    place.cc("echo", ECHO);
    for args in [&["compile", "echo.wasm"][..], &["compile", "--json", "echo.wasm"]] {
        no_panic(&with_closed_stdout(&mut place.mobula(args)));
    }
}

fn no_panic(done: &Done) {
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    assert!(done.code.is_some(), "ended by a signal: {done:?}");
}

#[test]
fn a_plain_command_may_exit_with_any_code() {
    let place = Place::new();
    place.cc(
        "plain",
        "#include <stdlib.h>\nint main(int c, char** v) { return c > 1 ? atoi(v[1]) : 0; }\n",
    );
    for code in [1, 125, 126, 200, 255] {
        let done = place.run(&["run", "plain.wasm", "--", &code.to_string()]);
        assert_eq!(done.code, Some(code), "{done:?}");
    }
}

#[test]
fn the_second_start_uses_the_cache_and_a_damaged_entry_is_made_anew() {
    let place = Place::new();
    place.cc("echo", ECHO);
    let cache = place.path("cache");
    let cached = || {
        let done =
            run(place.mobula(&["run", "echo.wasm", "--stats", "-"]).env("MOBULA_CACHE", &cache));
        assert_eq!((done.code, done.text()), (Some(0), "0 bytes\n"), "{done:?}");
        serde_json::from_str::<serde_json::Value>(&done.stderr).unwrap()["module_cached"]
            .as_bool()
            .unwrap()
    };
    assert!(!cached());
    assert!(cached());
    let entries = || -> Vec<PathBuf> { files_below(&cache) };
    assert!(!entries().is_empty());
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
    let damages: [Damage<'_>; 6] = [
        &|bytes| bytes.truncate(bytes.len() / 2),
        &|bytes| bytes.clear(),
        &|bytes| {
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
        },
        &|bytes| {
            let at = bytes.len() - 1;
            bytes[at] ^= 0x80;
        },
        &|bytes| bytes[0] ^= 1,
        &|bytes| bytes.extend_from_slice(b"more"),
    ];
    for (i, damage) in damages.iter().enumerate() {
        for entry in entries() {
            let mut bytes = std::fs::read(&entry).unwrap();
            damage(&mut bytes);
            std::fs::write(&entry, bytes).unwrap();
        }
        assert!(!cached(), "damage {i} went unnoticed");
        assert!(cached(), "damage {i} was not repaired");
    }
    assert_eq!(place.good(&["run", "--no-cache", "echo.wasm"]), "0 bytes\n");
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn a_cache_that_cannot_be_used_does_not_stop_a_run() {
    let place = Place::new();
    place.cc("echo", ECHO);
    place.write("file", "not a directory");
    for garbage in ["file", "file/below", "/proc/none", "/dev/null", "no\u{1}such/dir", ""] {
        let done = run(place
            .mobula(&["run", "echo.wasm"])
            .env("MOBULA_CACHE", garbage)
            .env("XDG_CACHE_HOME", place.path("xdg")));
        assert_eq!((done.code, done.text()), (Some(0), "0 bytes\n"), "{garbage:?}: {done:?}");
    }
    let compile = run(place.mobula(&["cc", "-c", "echo.c"]).env("MOBULA_CACHE", "file"));
    assert!(!compile.stderr.contains("panicked"), "{compile:?}");
}

#[test]
fn a_killed_run_leaves_nothing_in_shared_memory() {
    let place = Place::new();
    place.cc(
        "hold",
        r#"#include <faasm/faasm.h>
#include <stdio.h>
#include <string.h>
FAASM_MAIN_FUNC()
{
    memset(faasmReadStatePtr("k", 8000000), 1, 8000000);
    faasmLockStateWrite("k");
    puts("ready");
    fflush(stdout);
    for (volatile int i = 0;; i++) { }
    return 0;
}
"#,
    );
    let mine = |pid: u32| {
        let names = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names
            .filter(|name| name.contains("mobula") && name.contains(&pid.to_string()))
            .collect::<Vec<_>>()
    };
    for signal in [sends("KILL"), sends("INT"), sends("TERM")] {
        let mut child = place.mobula(&["run", "hold.wasm"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        signal(child.id());
        assert_ne!(wait(&mut child).code(), Some(0));
        assert_eq!(mine(child.id()), Vec::<String>::new());
    }
    place.cc("echo", ECHO);
    assert_eq!(place.good(&["run", "echo.wasm"]), "0 bytes\n", "the next run starts");
}

fn sends(signal: &'static str) -> impl Fn(u32) {
    move |pid| {
        assert!(
            Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success()
        )
    }
}

#[test]
fn standard_input_reaches_main_and_a_module_comes_from_it() {
    let place = Place::new();
    place.cc("in", "#include <stdio.h>\nint main(void) { int n = 0; while (getchar() != EOF) { n++; } return n; }\n");
    let feed = |args: &[&str], bytes: &[u8]| {
        let mut child = place.mobula(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        wait(&mut child).code()
    };
    assert_eq!(feed(&["run", "in.wasm"], b"twelve bytes"), Some(12));
    let wasm = std::fs::read(place.path("in.wasm")).unwrap();
    assert_eq!(feed(&["run", "-"], &wasm), Some(0), "the module from stdin leaves it at its end");
}

/// Main writes a file in /tmp and chains two calls, each of which must find /tmp empty.
const SCRATCH: &str = r#"#include <faasm/faasm.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
static int entries(void)
{
    int n = 0;
    DIR* dir = opendir("/tmp");
    if (dir == NULL) return -1;
    for (struct dirent* entry; (entry = readdir(dir)) != NULL;) {
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return n;
}
static int leave(void)
{
    FILE* file = fopen("/tmp/note", "w");
    if (file == NULL || fputs("mine", file) < 0 || fclose(file) != 0) return 1;
    char text[8] = "";
    file = fopen("/tmp/note", "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL) return 2;
    fclose(file);
    return strcmp(text, "mine") != 0 || entries() != 1;
}
FAASM_FUNC(child, 1)
{
    return entries() != 0 ? 10 : leave();
}
FAASM_MAIN_FUNC()
{
    int result = entries() != 0 ? 20 : leave();
    for (int i = 0; i < 40 && result == 0; i++) result = (int)faasmAwaitCall(faasmChainThis(1));
    if (faasmGetInputSize() > 0) {
        puts("ready");
        fflush(stdout);
        for (volatile int i = 0;; i++) { }
    }
    return result;
}
"#;

#[test]
fn every_call_has_a_tmp_of_its_own_and_nothing_stays() {
    let place = Place::new();
    place.cc("scratch", SCRATCH);
    let tmp = place.path("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let left = || files_and_folders(&tmp);
    let in_tmp = |args: &[&str]| {
        let mut command = place.mobula(args);
        command.env("TMPDIR", &tmp);
        command
    };
    let done = run(&mut in_tmp(&["run", "scratch.wasm"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(left(), Vec::<PathBuf>::new());
    // A directory that the user gives takes its place.
    let shared = place.path("shared");
    std::fs::create_dir(&shared).unwrap();
    let dir = format!("{}:/tmp", shared.display());
    let done = run(&mut in_tmp(&["run", "scratch.wasm", "--dir", &dir]));
    assert_eq!(done.code, Some(10), "a child finds main's file: {done:?}");
    assert_eq!(std::fs::read(shared.join("note")).unwrap(), b"mine");
    // However the run ends, nothing is left.
    for signal in [sends("KILL"), sends("INT"), sends("TERM")] {
        let mut child = in_tmp(&["run", "scratch.wasm", "--input", "stay"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(left().len(), 1, "one directory for all of the run");
        signal(child.id());
        wait(&mut child);
        let start = Instant::now();
        while !left().is_empty() {
            assert!(start.elapsed() < PATIENCE, "{:?} is left", left());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn files_and_folders(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}
