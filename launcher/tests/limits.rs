//! Guests at the limits, and broken modules: bounded memory, a clear message, nobody else hurt.

mod place;

use std::process::Stdio;

use place::{Place, run, wait};

/// A million calls in three shapes, by the first letter of the input.
const MILLION: &str = r#"#include <faasm/faasm.h>
#include <stdio.h>
#include <string.h>
#define CALLS 1000000
static unsigned ids[CALLS];
FAASM_FUNC(one, 1)
{
    long* total = (long*)faasmReadStatePtr("total", sizeof(long));
    __atomic_add_fetch(total, 1, __ATOMIC_SEQ_CST);
    return 0;
}
/* Chains the next one and ends without awaiting it. */
FAASM_FUNC(tail, 2)
{
    int left = 0;
    faasmGetInput(BYTES(&left), sizeof left);
    one();
    if (--left > 0) faasmChainThisInput(2, BYTES(&left), sizeof left);
    return 0;
}
/* Awaits what it chains. */
FAASM_FUNC(deep, 3)
{
    int left = 0;
    faasmGetInput(BYTES(&left), sizeof left);
    if (--left == 0) return 0;
    return faasmAwaitCall(faasmChainThisInput(3, BYTES(&left), sizeof left)) == 0 ? 0 : 7;
}
FAASM_MAIN_FUNC()
{
    int calls = CALLS, failed = 0;
    char shape = 0;
    faasmGetInput((uint8_t*)&shape, 1);
    if (shape == 'f') {
        for (int i = 0; i < CALLS; i++) ids[i] = faasmChainThis(1);
        for (int i = 0; i < CALLS; i++) failed |= faasmAwaitCall(ids[i]) != 0;
    } else {
        failed = (int)faasmAwaitCall(
          faasmChainThisInput(shape == 't' ? 2 : 3, BYTES(&calls), sizeof calls));
    }
    printf("%d\n", failed);
    return 0;
}
"#;

/// Runs one shape; what it printed, what it said and its peak memory in KiB.
fn million(place: &Place, shape: &str, options: &[&str]) -> (String, String, u64) {
    let total = place.path("total.bin");
    let save = format!("demo/total={}", total.display());
    let stats = place.path("stats.json");
    let mut args = vec!["run", "million.wasm", "--input", shape, "--stats"];
    args.push(stats.to_str().unwrap());
    if shape != "deep" {
        args.extend(["--save-state", &save]);
    }
    args.extend(options);
    let done = run(&mut place.mobula(&args));
    assert_eq!(done.code, Some(0), "{done:?}");
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&stats).unwrap()).unwrap();
    (done.text().to_owned(), done.stderr, report["peak_memory_kib"].as_u64().unwrap())
}

#[test]
fn a_million_calls_at_once_or_in_a_chain_take_bounded_memory() {
    let place = Place::new();
    place.cc("million", MILLION);
    let total = || std::fs::read(place.path("total.bin")).unwrap();
    for shape in ["fan", "tail"] {
        let (out, _, peak) = million(&place, shape, &[]);
        // A tail's main ends first; its calls still run to their end.
        assert_eq!(out, "0\n", "{shape}");
        assert_eq!(total(), 1_000_000u32.to_le_bytes(), "{shape}");
        // Every started call costs about a hundred bytes; faaslets are bounded.
        assert!(peak < 500_000, "{shape}: {peak} KiB");
    }
}

#[test]
fn a_recursion_of_a_million_is_refused_by_name_and_ends() {
    let place = Place::new();
    place.cc("million", MILLION);
    let (out, said, peak) = million(&place, "deep", &["--max-faaslets", "2000"]);
    assert_eq!(out, "7\n");
    assert!(said.contains("2000 live faaslets") && said.contains("--max-faaslets"), "{said}");
    assert!(peak < 500_000, "{peak} KiB");
}

#[test]
fn an_overflow_of_the_stack_is_a_trap_of_that_call() {
    let place = Place::new();
    place.cc(
        "stack",
        r#"#include <faasm/faasm.h>
#include <stdio.h>
#include <string.h>
/* In the guest's own memory: it runs below it. */
static __attribute__((noinline)) int memory(int n)
{
    volatile char big[4096];
    memset((char*)big, n, sizeof big);
    return n < 0 ? 0 : memory(n + 1) + big[n % 4096];
}
/* In compiled frames alone. */
static __attribute__((noinline)) int frames(int n)
{
    return n < 0 ? n : frames(n + 1) * 3 + n;
}
FAASM_FUNC(a, 1) { return memory(1); }
FAASM_FUNC(b, 2) { return frames(1); }
FAASM_MAIN_FUNC()
{
    int a = (int)faasmAwaitCall(faasmChainThis(1)), b = (int)faasmAwaitCall(faasmChainThis(2));
    printf("%d %d\n", a, b);
    return 0;
}
"#,
    );
    let done = place.run(&["run", "stack.wasm"]);
    assert_eq!((done.code, done.text()), (Some(0), "-101 -101\n"), "{done:?}");
    assert!(done.stderr.contains("call stack exhausted"), "{done:?}");
}

/// Runs a module that must be refused before anything of it runs.
fn refused(place: &Place, wasm: &[u8], says: &[&str]) {
    place.write("bad.wasm", wasm);
    for command in ["run", "compile"] {
        let done = place.run(&[command, "bad.wasm"]);
        assert_eq!(done.code, Some(100), "{done:?}");
        assert!(says.iter().all(|part| done.stderr.contains(part)), "{says:?}: {done:?}");
        assert!(done.stderr.contains("bad.wasm") && !done.stderr.contains("panicked"), "{done:?}");
    }
}

#[test]
fn truncated_flipped_oversized_and_empty_modules_are_refused_or_run() {
    let place = Place::new();
    place.cc("good", "int main(void) { return 0; }\n");
    let good = std::fs::read(place.path("good.wasm")).unwrap();
    for len in [0, 4, 7, 8, good.len() / 2, good.len() - 1] {
        if len == 8 {
            // The shortest module of all is valid, and has nothing to run.
            place.write("bad.wasm", &good[..8]);
            let done = place.run(&["run", "bad.wasm"]);
            assert_eq!(done.code, Some(100), "{done:?}");
            assert!(done.stderr.contains("has no entry 0; it has none"), "{done:?}");
            continue;
        }
        refused(&place, &good[..len], &["not a valid WebAssembly module"]);
    }
    // A flipped bit makes another module or none; whichever, it is a message or a run.
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        place.write("flipped.wasm", &bytes);
        let done = place.run(&["run", "flipped.wasm", "--timeout", "10"]);
        let code = done.code.expect("it ends by itself, not by a signal");
        assert!(!done.stderr.contains("panicked"), "byte {at}: {done:?}");
        assert!(code == 0 || !done.stderr.is_empty() || code < 100, "byte {at}: {done:?}");
    }
    // Larger than the limit, which no sparse file costs anything to be.
    let huge = std::fs::File::create(place.path("huge.wasm")).unwrap();
    huge.set_len((1 << 30) + 1).unwrap();
    let done = place.run(&["run", "huge.wasm"]);
    assert_eq!(done.code, Some(100));
    assert!(done.stderr.contains("the limit is 1073741824"), "{done:?}");
}

#[test]
fn a_tiny_shared_memory_file_system_is_an_error_of_that_call() {
    let place = Place::new();
    place.cc(
        "fill",
        r#"#include <faasm/faasm.h>
#include <stdio.h>
FAASM_FUNC(large, 1) { return faasmReadStatePtr("large", 64 << 20)[0]; }
FAASM_FUNC(small, 2) { return faasmReadStatePtr("small", 4096)[0]; }
FAASM_MAIN_FUNC()
{
    int large = (int)faasmAwaitCall(faasmChainThis(1)), small = (int)faasmAwaitCall(faasmChainThis(2));
    printf("%d %d\n", large, small);
    return 0;
}
"#,
    );
    let script = r#"mount -t tmpfs -o size=$2,mode=1777 tmpfs /dev/shm || exit 77
exec "$0" run "$1""#;
    for (size, out, says) in [
        ("4m", "-101 0\n", "67108864 bytes"),
        ("40m", "-101 0\n", "67108864 bytes needed"),
        ("4k", "-101 -101\n", "bytes needed"),
    ] {
        let mut command = std::process::Command::new("unshare");
        command.args(["-m", "--", "sh", "-c", script, place::MOBULA]).arg(place.path("fill.wasm"));
        let done = run(command.arg(size).env("MOBULA_CACHE", place.path("cache")));
        if done.code == Some(77) || done.stderr.contains("unshare failed") {
            return println!("skipped: a mount namespace is not permitted here");
        }
        assert_eq!((done.code, done.text()), (Some(0), out), "{size}: {done:?}");
        let parts = ["/dev/shm", says];
        assert!(parts.iter().all(|part| done.stderr.contains(part)), "{size}: {done:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let place = Place::new();
    place.cc("good", "int main(void) { return 0; }\n");
    let dir = place.path("dir");
    std::fs::create_dir(&dir).unwrap();
    for args in [
        &["run", "dir"][..],
        &["run", "good.wasm", "--input-file", "dir"],
        &["run", "good.wasm", "--with", "dir"],
        &["run", "good.wasm", "--output", "dir"],
        &["run", "good.wasm", "--stats", "dir"],
    ] {
        let done = place.run(args);
        assert_eq!(done.code, Some(100), "{args:?}: {done:?}");
        assert!(done.stderr.contains("dir") && done.stderr.contains("directory"), "{done:?}");
    }
}

#[test]
fn a_guest_that_is_in_the_way_of_ctrl_c_is_none() {
    let place = Place::new();
    place.cc("spin", "int main(void) { for (volatile int i = 0;; i++) { } }\n");
    let mut child = place
        .mobula(&["run", "spin.wasm"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success()
    );
    assert_ne!(wait(&mut child).code(), Some(0));
}
