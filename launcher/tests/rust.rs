//! `mobula rustc` and `mobula cargo`: what they compile, what they refuse, and what the examples do
//! not show of the guest crate in the sandbox.

mod common;

use std::path::Path;
use std::process::Output;

use common::shell;

fn text(done: &Output) -> (String, String) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (text(&done.stdout), text(&done.stderr))
}

/// Compiles a source with these arguments; what the compiler says.
fn compile(source: &str, args: &str, dir: &Path) -> (bool, String) {
    std::fs::write(dir.join("guest.rs"), source).unwrap();
    let done = shell(&format!("mobula rustc {args} guest.rs"), dir);
    (done.status.success(), text(&done).1)
}

const COUNT: &str = r#"
use mobula::{State, Window, chain_at, wait_all};

/// Starts to count when all are there, so that they meet.
#[mobula::func]
fn count(calls: u32) {
    let window = Window::<u64>::open("counts", 3);
    let there = Window::<u32>::open("there", 1);
    there.atomic(0).fetch_add(1);
    while there.atomic(0).load() < calls {}
    for _ in 0..200_000 {
        window.atomic(0).fetch_add(1);
        window.atomic(1).fetch_update(|n| n + 1);
    }
}

#[mobula::main]
fn main() -> Result<(), mobula::CallError> {
    let state = State::new("counts");
    wait_all((0..2).map(|_| chain_at(&state, 0, count, &2)).collect::<Vec<_>>())?;
    let counts: [u64; 3] = state.get();
    println!("{counts:?}");
    Ok(())
}
"#;

#[test]
fn atomics_of_calls_that_meet_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (compiled, said) = compile(COUNT, "-o guest.wasm", dir.path());
    assert!(compiled && said.is_empty(), "{said}");
    let (out, err) = text(&shell("mobula run --threads 2 guest.wasm", dir.path()));
    assert_eq!(out, "[400000, 400000, 0]\n", "{err}");
}

#[test]
fn what_a_call_may_not_do_ends_that_call_only() {
    let source = r#"
use mobula::{CallError, Window, chain};

#[mobula::func]
fn bad(what: u8) {
    let mut window = Window::<u32>::open("numbers", 4);
    match what {
        0 => drop(Window::<u32>::part("numbers", 16, 8, 1)),
        1 => window.set(4, 1),
        2 => drop(Window::<u32>::open("others", 1 << 29)),
        _ => window.exclusive(0..4).fill(7),
    }
}

#[mobula::main]
fn main() {
    let ends: Vec<_> = (0..4).map(|what| chain(bad, &what).wait()).collect();
    assert_eq!(ends[..3], [const { Err(CallError::Trapped) }; 3]);
    assert_eq!(ends[3], Ok(()));
    println!("{:?}", Window::<u32>::open("numbers", 4).iter().collect::<Vec<_>>());
}
"#;
    let dir = tempfile::tempdir().unwrap();
    let (compiled, said) = compile(source, "-o guest.wasm", dir.path());
    assert!(compiled && said.is_empty(), "{said}");
    let (out, err) = text(&shell("mobula run guest.wasm", dir.path()));
    assert_eq!(out, "[7, 7, 7, 7]\n", "{err}");
    for reason in ["this call has a window on bytes 0..16", "none at 4", "at most 2 GiB"] {
        assert!(err.contains(reason), "{reason}: {err}");
    }
}

#[test]
fn equal_indices_and_borrowed_parameters_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |items: &str| {
        let source = format!("{items}\n#[mobula::main]\nfn main() {{}}\n");
        let (compiled, said) = compile(&source, "", dir.path());
        assert!(!compiled, "{items}");
        said
    };
    let said = refused("#[mobula::func(3)]\nfn a() {}\n#[mobula::func(3)]\nfn b() {}");
    assert!(said.contains("`_faasm_func_3` is already defined"), "{said}");
    let said = refused("#[mobula::func]\nfn a(text: &str) {}");
    assert!(said.contains("String instead of &str"), "{said}");
    let said = refused("#[mobula::func(0)]\nfn a() {}");
    assert!(said.contains("main is entry 0"), "{said}");
}

#[test]
fn arguments_that_it_does_not_know_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for args in ["--target x guest.rs", "-o", "missing.rs"] {
        let done = shell(&format!("mobula rustc {args}"), dir.path());
        assert_eq!(done.status.code(), Some(100), "{args}");
        assert!(text(&done).1.contains("mobula cargo build"), "{args}");
    }
}

/// A project as a user has it: one line for the crate.
#[test]
fn one_line_in_a_project_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib");
    let manifest = format!(
        "[package]\nname = \"project\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         mobula = {{ package = \"mobula-guest\", path = \"{}\" }}\n\n[workspace]\n",
        guest.canonicalize().unwrap().display()
    );
    std::fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    let lock = guest.join("../Cargo.lock");
    std::fs::copy(lock, dir.path().join("Cargo.lock")).unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    let source = "#[mobula::func]\nfn twice(x: u32) -> u32 {\n    2 * x\n}\n\n#[mobula::main]\n\
                  fn main() {\n    println!(\"{:?}\", mobula::chain(twice, &21).wait());\n}\n";
    std::fs::write(dir.path().join("src/main.rs"), source).unwrap();
    for run in ["mobula cargo run --quiet --release", "cargo run --quiet --release"] {
        let done = shell(run, dir.path());
        let (out, err) = text(&done);
        assert!(done.status.success() && out == "Ok(42)\n", "{run}: {out}{err}");
    }
}
