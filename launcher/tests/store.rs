//! The store as people use it: functions and state that outlive a process, and its crashes.

mod place;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use place::{CACHE, Done, Place, run, wait};

/// Counts in a window without flagging it, appends its input, and says what it found.
const COUNTER: &str = r#"#include <faasm/faasm.h>
#include <stdio.h>
FAASM_MAIN_FUNC()
{
    long* n = (long*)faasmReadStatePtr("n", sizeof(long));
    char in[16] = { 0 };
    faasmGetInput(BYTES(in), 15);
    ++*n;
    if (in[0] == 't') { __builtin_trap(); }
    faasmAppendState("log", BYTES(in), 1);
    printf("run %ld\n", *n);
    faasmSetOutput(in, faasmGetInputSize());
    return in[0] == 'r' ? 9 : 0;
}
FAASM_FUNC(print, 1)
{
    unsigned char text[100] = { 0 };
    long count = 0;
    faasmGetInput(BYTES(&count), 4);
    faasmReadAppendedState("log", text, 99, count - '0');
    printf("%s\n", (char*)text);
    return 0;
}
FAASM_FUNC(quiet, 2) { return (int)faasmReadStateSize("n"); }
FAASM_FUNC(clear, 3) { faasmClearAppendedState("log"); return 0; }
"#;

/// A place whose store holds COUNTER as `demo/counter`.
fn counter() -> Place {
    let place = Place::new();
    place.cc("counter", COUNTER);
    place.good(&["upload", "demo/counter", "counter.wasm", "--store", "s"]);
    place
}

impl Place {
    fn invoke(&self, args: &[&str]) -> Done {
        self.run(&[&["invoke", "--store", "s"], args].concat())
    }

    fn state(&self, args: &[&str]) -> Done {
        self.run(&[&["state", "--store", "s"], args].concat())
    }

    fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        self.write("put", bytes);
        self.good(&["state", "--store", "s", "put", key, "--file", "put"]);
    }

    fn get(&self, key: &str) -> Vec<u8> {
        let done = self.state(&["get", key]);
        assert_eq!(done.code, Some(0), "{done:?}");
        done.stdout
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn state_outlives_an_invocation_and_output_follows_what_was_printed() {
    let place = counter();
    let first = place.invoke(&["demo/counter", "--input", "abc"]);
    assert_eq!((first.code, first.text()), (Some(0), "run 1\nabc"), "{first:?}");
    let second = place.invoke(&["demo/counter", "--input", "r", "--threads", "2", "--stats", "st"]);
    assert_eq!((second.code, second.text()), (Some(9), "run 2\nr"), "a code of the guest's keeps");
    assert_eq!(place.invoke(&["demo/counter", "--input", "z", "--output", "o"]).text(), "run 3\n");
    assert_eq!(std::fs::read(place.path("o")).unwrap(), b"z");
    assert_eq!(place.invoke(&["demo/counter", "--func", "1", "--input", "3"]).text(), "arz\n");
    assert_eq!(place.get("demo/n"), 3u32.to_le_bytes());
    assert_eq!(place.state(&["get", "demo/log", "--appended"]).text(), "arz");
    assert_eq!(place.invoke(&["demo/counter", "--func", "3"]).code, Some(0));
    assert_eq!(place.state(&["get", "demo/log", "--appended"]).code, Some(100), "cleared");
}

#[test]
fn a_call_that_fails_leaves_the_store_as_it_was() {
    let place = counter();
    place.invoke(&["demo/counter", "--input", "a"]);
    let trap = place.invoke(&["demo/counter", "--input", "t"]);
    assert_eq!(trap.code, Some(101), "{trap:?}");
    assert!(trap.stderr.contains("the store stays as it was"), "{trap:?}");
    assert_eq!(place.get("demo/n"), 1u32.to_le_bytes());
    for (args, code, says) in [
        (&["demo/none"][..], 100, "user demo has no function \"none\"; it has counter"),
        (&["demo/counter", "--func", "77"], 100, "has no entry 77"),
        (&["counter"], 2, "USER/NAME"),
    ] {
        let done = place.invoke(args);
        assert_eq!(done.code, Some(code), "{done:?}");
        assert!(done.stderr.contains(says), "{done:?}");
    }
}

#[test]
fn run_uses_a_store_that_is_named_and_keeps_only_when_told() {
    let place = counter();
    let count = |args: &[&str]| {
        let done = place.run(&[&["run", "counter.wasm", "--input", "x"], args].concat());
        assert_eq!(done.code, Some(0), "{done:?}");
        done.text().to_owned()
    };
    place.put("demo/n", 40u32.to_le_bytes());
    assert_eq!(count(&[]), "run 1\n", "no store is named");
    assert_eq!(count(&["--store", "s"]), "run 41\n");
    assert_eq!(count(&["--store", "s", "--save-state", "demo/n=n"]), "run 41\n");
    assert_eq!(std::fs::read(place.path("n")).unwrap(), 41u32.to_le_bytes());
    assert_eq!(count(&["--store", "s", "--keep-state"]), "run 41\n");
    assert_eq!(count(&["--store", "s", "--state", "demo/n=n", "--keep-state"]), "run 42\n");
    assert_eq!(place.get("demo/n"), 42u32.to_le_bytes());
    let done = run(place.mobula(&["run", "counter.wasm"]).env("MOBULA_STORE", place.path("s")));
    assert_eq!(done.text(), "run 43\n", "MOBULA_STORE names a store");
    assert_eq!(count(&["--keep-state"]), "run 1\n", "the user's own store");
    assert_eq!(count(&["--keep-state"]), "run 2\n");
    assert!(place.path("data-home/mobula/state").is_dir());
}

#[test]
fn functions_are_chained_by_name_out_of_the_store() {
    let place = Place::new();
    place.cc(
        "main",
        r#"#include <faasm/faasm.h>
FAASM_MAIN_FUNC()
{
    unsigned ids[50], sum = 0;
    for (int i = 0; i < 50; i++) { ids[i] = faasmChainFunction("wo/rker"); }
    for (int i = 0; i < 50; i++) { sum += faasmAwaitCall(ids[i]); }
    return (int)sum;
}
"#,
    );
    place.cc("w", "#include <faasm/faasm.h>\nFAASM_MAIN_FUNC() { return 1; }\n");
    place.good(&["upload", "--store", "s", "demo/main", "main.wasm"]);
    let missing = place.invoke(&["demo/main"]);
    assert_eq!(missing.code, Some(101));
    assert!(missing.stderr.contains("has no function \"wo/rker\"; it has main"), "{missing:?}");
    place.good(&["upload", "--store", "s", "other/wo/rker", "w.wasm"]);
    assert_eq!(place.invoke(&["demo/main"]).code, Some(101), "another user's");
    place.good(&["upload", "--store", "s", "demo/wo/rker", "w.wasm"]);
    let done = place.invoke(&["demo/main", "--threads", "2"]);
    assert_eq!(done.code, Some(50), "{done:?}");
    let done = place.run(&["run", "main.wasm", "--store", "s", "--stats", "-"]);
    assert_eq!(done.code, Some(50), "{done:?}");
    let file = files_below(&place.path("s/functions/demo@"))
        .into_iter()
        .find(|path| path.to_string_lossy().contains("rker"))
        .unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let damaged = place.invoke(&["demo/main"]);
    assert_eq!(damaged.code, Some(101), "{damaged:?}");
    assert!(damaged.stderr.contains("demo/wo/rker") && damaged.stderr.contains("damaged"));
}

#[test]
fn only_whole_modules_are_stored_and_the_old_one_stays() {
    let place = counter();
    let wasm = std::fs::read(place.path("counter.wasm")).unwrap();
    let mut broken = vec![Vec::new(), b"no module".to_vec()];
    broken.extend([8, 100, wasm.len() / 2, wasm.len() - 1].map(|cut| wasm[..cut].to_vec()));
    for bytes in broken {
        place.write("bad.wasm", &bytes);
        let done = place.run(&["upload", "--store", "s", "demo/counter", "bad.wasm"]);
        assert_eq!(done.code, Some(100), "{} bytes: {done:?}", bytes.len());
        assert!(done.stderr.contains("bad.wasm was not stored"), "{done:?}");
        assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
    }
    let foreign =
        wat::parse_str(r#"(module (import "js" "alert" (func)) (func (export "_start")))"#);
    place.write("foreign.wasm", foreign.unwrap());
    let done = place.run(&["upload", "--store", "s", "demo/counter", "foreign.wasm"]);
    assert!(done.code == Some(100) && done.stderr.contains("js.alert"), "{done:?}");
    assert_eq!(place.invoke(&["demo/counter"]).text(), "run 1\n");
    assert_eq!(files_below(&place.path("s/functions")).len(), 1);
}

#[test]
fn lists_and_removal() {
    let place = counter();
    place.good(&["upload", "--store", "s", "zoe/f", "counter.wasm"]);
    let json = |args: &[&str]| {
        let text = place.good(&[args, &["--store", "s", "--json"]].concat());
        serde_json::from_str::<serde_json::Value>(&text).expect(&text)
    };
    let names = |list: &serde_json::Value| {
        let name = |item: &serde_json::Value| {
            format!("{}/{}", item["user"].as_str().unwrap(), item["name"].as_str().unwrap())
        };
        list.as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&json(&["functions"])), ["demo/counter", "zoe/f"]);
    assert_eq!(names(&json(&["functions", "zoe"])), ["zoe/f"]);
    assert!(place.good(&["functions", "--store", "s"]).contains("demo/counter\n"));
    place.good(&["rm", "zoe/f", "--store", "s"]);
    assert_eq!(names(&json(&["functions", "zoe"])), Vec::<String>::new());
    assert_eq!(place.run(&["rm", "zoe/f", "--store", "s"]).code, Some(100));
    place.invoke(&["demo/counter"]);
    let state = json(&["state", "ls"]);
    assert_eq!(names(&state), ["demo/log", "demo/n"]);
    assert_eq!((&state[0]["records"], &state[1]["bytes"]), (&1.into(), &4.into()));
    assert_eq!(json(&["state", "get", "demo/n"])["bytes"], 4);
    assert_eq!(json(&["state", "rm", "demo/n"])["value"], true);
    assert_eq!(place.state(&["rm", "demo/n"]).code, Some(100));
    assert_eq!(place.state(&["get", "demo/n"]).code, Some(100));
    assert_eq!(json(&["state", "ls", "nobody"]), serde_json::json!([]));
}

#[test]
fn keys_of_any_bytes_stay_apart_and_are_listed_truly() {
    let place = Place::new();
    let long = "k".repeat(255);
    let wide = vec![0xFF; 255];
    let keys: [(&str, &[u8]); 12] = [
        ("a", b"b_c"),
        ("a_b", b"c"),
        ("a", b".."),
        ("a", b"../../x"),
        ("a", b"x/y"),
        ("a", b"X"),
        ("a", b"x"),
        ("A", b"x"),
        ("a", b"%78"),
        ("..", b"."),
        ("a", long.as_bytes()),
        ("a", &wide),
    ];
    let title = |user: &str, key: &[u8]| [user.as_bytes(), b"/", key].concat();
    for (i, (user, key)) in keys.iter().enumerate() {
        place.write("v", [i as u8]);
        let done = run(place
            .mobula(&["state", "--store", "s", "put", "--file", "v"])
            .arg(OsStr::from_bytes(&title(user, key))));
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    for (i, (user, key)) in keys.iter().enumerate() {
        let name = title(user, key);
        let done =
            run(place.mobula(&["state", "--store", "s", "get"]).arg(OsStr::from_bytes(&name)));
        assert_eq!(done.stdout, [i as u8], "{}", name.escape_ascii());
    }
    let listed = place.good(&["state", "--store", "s", "ls"]);
    for name in ["  a/b_c\n", "  a_b/c\n", "  a/../../x\n", "  ../.\n", &format!("  a/{long}\n")] {
        assert!(listed.contains(name), "{name} in {listed}");
    }
    assert!(listed.contains(&format!("a/$'{}'", r"\xff".repeat(255))), "{listed}");
    assert!(!place.path("x").exists() && files_below(&place.path("s/state")).len() == 12);
    for bad in [format!("a/{long}k"), "a/".into(), "/k".into(), "k".into()] {
        assert_eq!(place.state(&["put", &bad, "--file", "v"]).code, Some(2), "{bad}");
    }
}

#[test]
fn what_is_not_used_is_not_read() {
    let place = counter();
    place.put("demo/other", "x");
    place.put("demo/huge", "x");
    let below = |name: &str| place.path("s/state/demo@").join(name);
    std::fs::write(below("other.value"), "damaged").unwrap();
    let huge = std::fs::File::options().write(true).open(below("huge.value")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let start = Instant::now();
    assert_eq!(place.invoke(&["demo/counter"]).text(), "run 1\n");
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(std::fs::read(below("other.value")).unwrap(), b"damaged", "nor written");
    // Used, it is a clear refusal of that call.
    std::fs::rename(below("other.value"), below("n.value")).unwrap();
    let refused = place.invoke(&["demo/counter"]);
    assert_eq!(refused.code, Some(101), "{refused:?}");
    assert!(refused.stderr.contains("cannot give value demo/n"), "{refused:?}");
    assert!(refused.stderr.contains("damaged") && !refused.stderr.contains("panicked"));
    place.put("demo/n", 7u32.to_le_bytes());
    assert_eq!(place.invoke(&["demo/counter"]).text(), "run 8\n", "put anew, it works");
    place.put("demo/n", "five!");
    let length = place.invoke(&["demo/counter"]);
    assert!(length.stderr.contains("has 5 bytes, not 4"), "{length:?}");
}

#[test]
fn only_changed_values_are_written_and_zeros_take_no_room() {
    let place = Place::new();
    place.cc(
        "touch",
        r#"#include <faasm/faasm.h>
FAASM_MAIN_FUNC()
{
    uint8_t* read = faasmReadStatePtr("read", 100000);
    uint8_t* sparse = faasmReadStatePtr("sparse", 64 << 20);
    faasmFlagStateDirty("read", 100000);
    sparse[12345678] += read[5];
    return 0;
}
"#,
    );
    place.good(&["upload", "--store", "s", "demo/touch", "touch.wasm"]);
    place.put("demo/read", vec![3; 100_000]);
    let path = |name: &str| place.path("s/state/demo@").join(name);
    let number = |name| std::os::unix::fs::MetadataExt::ino(&path(name).metadata().unwrap());
    let before = number("read.value");
    assert_eq!(place.invoke(&["demo/touch"]).code, Some(0));
    assert_eq!(number("read.value"), before, "flagged, but not changed");
    assert_eq!(place.invoke(&["demo/touch"]).code, Some(0));
    let sparse = path("sparse.value").metadata().unwrap();
    assert!(std::os::unix::fs::MetadataExt::blocks(&sparse) * 512 < 1 << 20, "{sparse:?}");
    assert_eq!(place.get("demo/sparse")[12_345_678], 6);
}

/// Runs a command without the rights of root, which no permission stops.
fn as_nobody(command: &mut Command) -> Done {
    if command_runs_as_root() {
        command.uid(65534).gid(65534);
    }
    run(command)
}

fn command_runs_as_root() -> bool {
    let out = Command::new("id").arg("-u").output().unwrap();
    out.stdout == b"0\n"
}

#[test]
fn a_read_only_store_can_be_read_and_loses_nothing() {
    let place = counter();
    place.put("demo/n", 5u32.to_le_bytes());
    for dir in ["", "s", "s/functions", "s/functions/demo@", "s/state", "s/state/demo@"] {
        std::fs::set_permissions(place.path(dir), std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    let before = files_below(&place.path("s"));
    let nobody = |args: &[&str]| {
        as_nobody(place.mobula(&[args, &["--store", "s"]].concat()).env("MOBULA_CACHE", "/nowhere"))
    };
    assert_eq!(nobody(&["state", "get", "demo/n"]).stdout, 5u32.to_le_bytes());
    assert_eq!(nobody(&["invoke", "demo/counter", "--func", "2"]).code, Some(4), "only reads");
    for args in [
        &["invoke", "demo/counter"][..],
        &["state", "put", "demo/n", "--file", "counter.c"],
        &["state", "rm", "demo/n"],
        &["upload", "demo/counter", "counter.wasm"],
    ] {
        let done = nobody(args);
        assert_eq!(done.code, Some(100), "{args:?}: {done:?}");
        assert!(done.stderr.contains("Permission denied"), "{args:?}: {done:?}");
        assert!(done.stderr.contains("cannot"), "{args:?}: {done:?}");
    }
    assert!(
        nobody(&["invoke", "demo/counter"]).text().starts_with("run 6\n"),
        "the output is there"
    );
    assert_eq!(files_below(&place.path("s")), before);
    assert_eq!(place.get("demo/n"), 5u32.to_le_bytes());
    std::fs::set_permissions(place.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn records_of_two_runs_at_once_all_stay_and_values_are_whole() {
    let place = counter();
    let both = std::thread::scope(|scope| {
        let runs: Vec<_> = ["a", "b", "c", "d"]
            .map(|input| {
                let place = &place;
                scope.spawn(move || {
                    (0..5)
                        .all(|_| place.invoke(&["demo/counter", "--input", input]).code == Some(0))
                })
            })
            .into();
        runs.into_iter().all(|run| run.join().unwrap())
    });
    assert!(both);
    let mut log = place.state(&["get", "demo/log", "--appended"]).stdout;
    log.sort_unstable();
    assert_eq!(String::from_utf8(log).unwrap(), "aaaaabbbbbcccccddddd");
    let n = u32::from_le_bytes(place.get("demo/n").try_into().unwrap());
    assert!((5..=20).contains(&n), "the last one wins: {n}");
}

#[test]
fn a_function_uploaded_again_during_a_run_does_not_change_the_run() {
    let place = Place::new();
    let source = r#"#include <faasm/faasm.h>
#include <stdio.h>
#include <unistd.h>
FAASM_FUNC(part, 1) { return 3; }
FAASM_MAIN_FUNC()
{
    if (faasmGetInputSize() > 0) { return 3; }
    puts("up");
    fflush(stdout);
    while (access("/d/go", F_OK)) { usleep(1000); }
    unsigned by_index = faasmAwaitCall(faasmChainThis(1));
    return (int)(by_index + faasmAwaitCall(faasmChainFunctionInput("f", BYTES_CONST("x"), 1)));
}
"#;
    place.cc("f", source);
    place.cc("g", "#include <faasm/faasm.h>\nFAASM_MAIN_FUNC() { return 40; }\n");
    std::fs::create_dir(place.path("d")).unwrap();
    place.good(&["upload", "--store", "s", "demo/f", "f.wasm"]);
    let mut child = place
        .mobula(&["invoke", "--store", "s", "demo/f", "--dir", "d:/d", "--threads", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
    place.good(&["upload", "--store", "s", "demo/f", "g.wasm"]);
    place.write("d/go", "");
    assert_eq!(wait(&mut child).code(), Some(6), "both chains run what was loaded");
    assert_eq!(place.invoke(&["demo/f"]).code, Some(40));
}

#[test]
fn killed_writers_leave_whole_values_and_clean_removes_the_rest() {
    let place = Place::new();
    let (old, new) = (vec![b'o'; 3 << 20], vec![b'n'; 3 << 20]);
    place.put("demo/v", &old);
    place.write("new", &new);
    place.write("old", &old);
    let done = AtomicBool::new(false);
    let kills = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let value = place.get("demo/v");
                assert!(value == old || value == new, "{} bytes, neither", value.len());
            }
        });
        let kills = (0..60u64).filter(|round| {
            let file = if round % 2 == 0 { "new" } else { "old" };
            let args = ["state", "--store", "s", "put", "demo/v", "--file", file];
            let mut writer = place.mobula(&args).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(1500 + round * 300));
            writer.kill().unwrap();
            wait(&mut writer).code().is_none()
        });
        let kills = kills.count();
        done.store(true, Ordering::Relaxed);
        kills
    });
    assert!(kills > 5, "{kills} of 60 writers were killed at work");
    let unfinished = || {
        let files = files_below(&place.path("s"));
        files.into_iter().filter(|f| f.to_string_lossy().contains("unfinished")).count()
    };
    let left = unfinished();
    let text = place.good(&["clean", "--store", "s", "--json"]);
    let cleaned: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ours = cleaned["removed"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["path"].as_str().unwrap().contains("unfinished"));
    assert_eq!((ours.count(), unfinished()), (left, 0), "{text}");
    assert!(place.get("demo/v").len() == 3 << 20);
    assert!(CACHE.path().is_dir());
}

#[test]
fn readers_see_whole_values_while_writers_change_them() {
    let place = Place::new();
    place.put("demo/v", vec![0; 1 << 20]);
    let end = Instant::now() + Duration::from_secs(3);
    std::thread::scope(|scope| {
        for byte in [b'a', b'b'] {
            let place = &place;
            scope.spawn(move || {
                let name = format!("w{byte}");
                place.write(&name, vec![byte; (1 << 20) + usize::from(byte)]);
                while Instant::now() < end {
                    place.good(&["state", "--store", "s", "put", "demo/v", "--file", &name]);
                }
            });
        }
        while Instant::now() < end {
            let value = place.get("demo/v");
            let first = value[0];
            assert!(value.iter().all(|&byte| byte == first), "bytes of two writers");
            assert_eq!(value.len(), (1 << 20) + usize::from(first));
        }
    });
}

#[test]
fn a_value_that_a_run_deletes_is_gone_from_the_store() {
    let place = Place::new();
    place.cc(
        "del",
        r#"#include <faasm/faasm.h>
#include <faasm/mobula.h>
FAASM_MAIN_FUNC()
{
    char key[2] = { 0 };
    faasmGetInput(BYTES(key), 1);
    if (key[0] == 'b') { faasmReadStatePtr("b", 1); return 0; }
    if (key[0] == 'c' && faasmReadStateSize("c") != 1) { return 7; }
    mobulaStateDelete(key);
    return (int)faasmReadStateSize(key);
}
"#,
    );
    place.good(&["upload", "--store", "s", "demo/del", "del.wasm"]);
    ["a", "b", "c"].iter().for_each(|key| place.put(&format!("demo/{key}"), "x"));
    for key in ["a", "b", "c"] {
        let done = place.invoke(&["demo/del", "--input", key]);
        assert_eq!(done.code, Some(0), "{key}: {done:?}");
    }
    let left = place.good(&["state", "--store", "s", "ls"]);
    assert_eq!(left, format!("{:>12}  demo/b\n", 1), "never read, only used, read and deleted");
}
