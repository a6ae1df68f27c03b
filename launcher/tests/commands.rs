//! The commands about this node, modules and Mobula itself.

mod place;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use place::{Place, run};

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect(text)
}

#[test]
fn doctor_checks_everything_and_says_what_to_do() {
    let place = Place::new();
    let done = place.run(&["doctor", "--json"]);
    let report = json(done.text());
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    for name in [
        "kernel",
        "page size",
        "userfaultfd",
        "CPUs and NUMA nodes",
        "placement",
        "/dev/shm",
        "cgroup memory limit",
        "address space",
        "overcommit",
        "mappings",
        "huge pages for state",
        "C for WebAssembly",
        "C++ for WebAssembly",
        "native C",
        "native C++",
        "Eigen",
        "cache",
        "store",
        "leftovers",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    for check in checks {
        let verdict = check["verdict"].as_str().unwrap();
        assert!(["ok", "warning", "problem"].contains(&verdict), "{check}");
        assert!(!check["found"].as_str().unwrap().is_empty(), "{check}");
        assert_eq!(verdict == "ok", check["remedy"].is_null(), "{check}");
    }
    let problems = checks.iter().filter(|check| check["verdict"] == "problem").count();
    assert_eq!(report["problems"], problems);
    assert_eq!(done.code, Some(i32::from(problems > 0)));
    assert!(place.run(&["doctor"]).text().contains("problems,"));
}

#[test]
fn doctor_finds_what_is_wrong() {
    let place = Place::new();
    place.write("file", "");
    let done = place.run(&["doctor", "--store", "file"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.text().contains("PROBLEM  store"), "{done:?}");
    let done = run(place.mobula(&["doctor"]).env("MOBULA_CC", "/no/such/compiler"));
    assert!(done.text().contains("MOBULA_CC names /no/such/compiler"), "{done:?}");
    let done = run(place.mobula(&["doctor"]).env("MOBULA_CACHE", "/proc/none"));
    assert!(done.text().contains("warning  cache"), "{done:?}");
    let mut shell = Command::new("sh");
    let script = format!("ulimit -v 3000000; exec {} doctor", place::MOBULA);
    let done = run(shell.args(["-c", &script]).current_dir(place.dir.path()));
    assert!(done.text().contains("4 GiB cannot be reserved"), "{done:?}");
    assert!(done.text().contains("ulimit -v is 2.9 GiB"), "{done:?}");
}

/// A number that no process has.
fn dead_process() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    pid
}

fn age(path: &Path, by: Duration) {
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(SystemTime::now() - by).unwrap();
}

#[test]
fn clean_removes_what_the_dead_have_left_and_nothing_else() {
    let place = Place::new();
    let tmp = place.path("tmp");
    let dirs = ["tmp", "cache", "cache/modules", "cache/include-0123456789abcdef", "s/state"];
    dirs.iter().for_each(|dir| std::fs::create_dir_all(place.path(dir)).unwrap());
    let dead = format!("tmp/mobula-{}-x", dead_process());
    let living = format!("tmp/mobula-{}-x", std::process::id());
    let own = format!("tmp/mobula-{}-thesis", dead_process());
    for (dir, mode) in [(&dead, 0o700), (&living, 0o700), (&own, 0o755)] {
        std::fs::create_dir(place.path(dir)).unwrap();
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path(dir), mode).unwrap();
        place.write(&format!("{dir}/file"), vec![1; 10_000]);
    }
    let abandoned = ["cache/modules/.artifact-1", "s/state/.mobula-unfinished-1"];
    let written = "cache/modules/.artifact-2";
    for name in [abandoned[0], abandoned[1], written, "s/lock"] {
        age(&place.write(name, "part"), Duration::from_secs(60));
    }
    let open = |name: &str| std::fs::File::open(place.path(name)).unwrap();
    let (writer, store_writer) = (open(written), open("s/lock"));
    writer.lock().unwrap();
    place.write("cache/modules/x.mobula", "compiled");
    place.write("tmp/mobula-notes", "mine");
    let mobula = |args: &[&str]| {
        let mut command = place.mobula(&[&["clean", "--store", "s"], args].concat());
        let done = run(command.env("TMPDIR", &tmp).env("MOBULA_CACHE", place.path("cache")));
        assert_eq!(done.code, Some(0), "{done:?}");
        done.text().to_owned()
    };
    let there = |name: &str| place.path(name).exists();
    let gone = [&*dead, abandoned[0], abandoned[1], "cache/include-0123456789abcdef"];
    store_writer.lock_shared().unwrap();
    assert!(!mobula(&["--dry-run"]).contains("unfinished"), "somebody writes to the store");
    store_writer.unlock().unwrap();
    let text = mobula(&["--dry-run"]);
    assert!(text.contains("would free") && gone.iter().all(|name| there(name)), "{text}");
    let report = json(&mobula(&["--json"]));
    let removed: Vec<_> = report["removed"].as_array().unwrap().iter().collect();
    for name in gone {
        assert!(!there(name), "{name} in {report}");
        let path = place.path(name);
        assert!(removed.iter().any(|r| r["path"] == path.to_str().unwrap()), "{name} in {report}");
    }
    assert!(report["bytes"].as_u64() >= Some(10_000), "{report}");
    for name in [&*living, &*own, written, "cache/modules/x.mobula", "tmp/mobula-notes"] {
        assert!(there(name), "{name} in {report}");
    }
    assert!(mobula(&["--cache"]).contains("compiled module"));
    assert!(!there("cache/modules/x.mobula") && there(written));
}

#[test]
fn info_of_our_modules_and_of_foreign_ones() {
    let place = Place::new();
    place.cc(
        "f",
        "#include <faasm/faasm.h>\nFAASM_ZYGOTE() { return 0; }\nFAASM_MAIN_FUNC() { return 0; }\n\
         FAASM_FUNC(other, 12) { return (int)faasmChainThis(0); }\n",
    );
    let info = json(&place.good(&["info", "--json", "f.wasm"]));
    let entries: Vec<_> =
        info["entries"].as_array().unwrap().iter().map(|e| e["index"].as_i64().unwrap()).collect();
    assert_eq!(entries, [0, 12]);
    assert_eq!((&info["proto_function"], &info["refusal"]), (&true.into(), &().into()), "{info}");
    assert!(info["imports"].as_array().unwrap().iter().all(|import| import["offered"] == true));
    assert_eq!(info["cached"], false);
    place.good(&["compile", "f.wasm"]);
    assert_eq!(json(&place.good(&["info", "--json", "f.wasm"]))["cached"], true);
    assert!(place.good(&["info", "f.wasm"]).contains("runs here        yes"));
    let foreign = wat::parse_str(
        r#"(module (import "env" "memory" (memory 2)) (import "js" "alert" (func)))"#,
    );
    place.write("foreign.wasm", foreign.unwrap());
    let text = place.good(&["info", "foreign.wasm"]);
    for part in ["runs here        no", "imports a memory", "2 pages", "! function alert"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    for bytes in [&b"\0asm\x01\0\0\0\x05\xff"[..], b"text", b""] {
        place.write("bad.wasm", bytes);
        let done = place.run(&["info", "bad.wasm"]);
        assert_eq!(done.code, Some(100), "{done:?}");
        assert!(done.stderr.contains("bad.wasm: not a valid WebAssembly module"), "{done:?}");
    }
}

#[test]
fn completions_and_manual_pages() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.good(&["completions", shell]);
        assert!(script.contains("invoke") && script.contains("keep-state"), "{shell}");
    }
    assert_eq!(place.run(&["completions", "tcsh"]).code, Some(2));
    let script = place.write("mobula.bash", place.good(&["completions", "bash"]));
    let checked = Command::new("bash").arg("-n").arg(script).status().unwrap();
    assert!(checked.success());
    assert!(place.good(&["man"]).starts_with(".ie"), "roff");
    place.good(&["man", "pages/man1"]);
    for page in ["mobula.1", "mobula-run.1", "mobula-invoke.1", "mobula-state-put.1"] {
        let text = std::fs::read_to_string(place.path("pages/man1").join(page)).unwrap();
        assert!(text.contains(".TH mobula"), "{page}");
    }
}

#[test]
fn every_help_text_has_an_example_or_says_all() {
    let place = Place::new();
    for command in ["run", "invoke", "upload", "state", "doctor", "clean", "info", "man"] {
        let help = place.good(&[command, "--help"]);
        assert!(
            help.contains("Examples:") && help.contains(&format!("mobula {command}")),
            "{help}"
        );
    }
}
