//! A native program from its start to its end, and what it is made of.
//!
//! Settings of the environment are those of native builds in C; see `guest-lib/README.md`.

use std::collections::HashMap;
use std::ffi::CString;
use std::format;
use std::path::PathBuf;
use std::process::Command;
use std::string::{String, ToString};
use std::sync::OnceLock;
use std::vec::Vec;

use super::pool::{self, Call, Job};
use super::{locked, setting, values};
use crate::abi;

/// Exit codes of `mobula run`: not prepared, trapped, a result too wide for an exit code.
const EXIT_SETUP: i32 = 100;
const EXIT_TRAP: i32 = 101;
const EXIT_WIDE: i32 = 255;

/// Something that the attributes put into the program.
#[derive(Debug, Clone, Copy)]
pub struct Registered {
    index: Option<u32>,
    name: &'static str,
    run: fn() -> i32,
}

impl Registered {
    /// An entry.
    #[must_use]
    pub const fn entry(index: u32, name: &'static str, run: fn() -> i32) -> Self {
        Self { index: Some(index), name, run }
    }

    /// A proto-function.
    #[must_use]
    pub const fn proto(run: fn() -> i32) -> Self {
        Self { index: None, name: "proto", run }
    }
}

inventory::collect!(Registered);

type Entries = HashMap<u32, Registered>;

fn entries() -> &'static Entries {
    static ENTRIES: OnceLock<Entries> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        let mut all = Entries::new();
        for &one in inventory::iter::<Registered> {
            let Some(index) = one.index else { continue };
            if let Some(other) = all.insert(index, one) {
                // Within a crate the compiler has refused it.
                fail(&format!("{} and {} are both entry {index}", other.name, one.name));
            }
        }
        all
    })
}

/// What entry `index` runs.
pub(super) fn entry(index: u32) -> fn() -> i32 {
    match entries().get(&index) {
        Some(found) => found.run,
        None => panic!("chain: this program has no entry {index}"),
    }
}

/// Ends the program before its first call, or when it cannot be ended as asked.
fn fail(why: &str) -> ! {
    std::eprintln!("mobula: error: {why}");
    std::process::exit(EXIT_SETUP);
}

/// Whether the list `MOBULA_CONF` of `KEY=V,…` switches the flag on.
pub(super) fn conf_flag(key: &CString) -> bool {
    let key = key.to_string_lossy();
    match &*key {
        "ALWAYS_ON" => return true,
        "ALWAYS_OFF" => return false,
        _ => {}
    }
    let list = setting("MOBULA_CONF").unwrap_or_default();
    // The last one counts.
    let mut values = list.split(',').filter_map(|item| item.split_once('='));
    let last = values.rfind(|(name, _)| *name == key);
    last.is_some_and(|(_, value)| ["1", "on", "true"].contains(&value))
}

/// Another program, which stands for a module that is chained by name.
pub(super) struct Named {
    program: PathBuf,
}

/// Looks in the directories of `MOBULA_NATIVE_PATH`, else beside this program.
pub(super) fn named(name: &CString) -> Named {
    let name = name.to_string_lossy();
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_path_buf()));
    let dirs: Vec<PathBuf> = match std::env::var_os("MOBULA_NATIVE_PATH") {
        Some(list) => std::env::split_paths(&list).collect(),
        None => beside.into_iter().collect(),
    };
    let plain = !name.contains('/');
    let files = dirs.iter().map(|dir| dir.join(&*name));
    let found = files.into_iter().find(|file| plain && file.is_file());
    match found {
        Some(program) => Named { program },
        None => panic!("chain_named: there is no program {name:?} in {dirs:?}"),
    }
}

impl Named {
    /// Runs it as a call: its output is this call's, its exit code the result. Its state is its
    /// own.
    pub(super) fn run(&self, input: &[u8]) -> i32 {
        let call = pool::current();
        let file = |what: &str| {
            let name = format!("mobula-{}-{}-{what}", std::process::id(), call.number);
            std::env::temp_dir().join(name)
        };
        let (from, to) = (file("input"), file("output"));
        std::fs::write(&from, input).expect("the directory for temporary files can be written");
        let mut command = Command::new(&self.program);
        command.env("MOBULA_INPUT_FILE", &from).env("MOBULA_OUTPUT", &to);
        for other in ["MOBULA_INPUT", "MOBULA_STATE", "MOBULA_SAVE_STATE", "MOBULA_FUNC"] {
            command.env_remove(other);
        }
        let status = command.status();
        let output = std::fs::read(&to);
        for file in [&from, &to] {
            // What is left in the temporary directory hurts nobody.
            let _ = std::fs::remove_file(file);
        }
        let status = status.unwrap_or_else(|why| panic!("cannot run {:?}: {why}", self.program));
        locked(&call.own).output = output.unwrap_or_default();
        match status.code() {
            Some(EXIT_TRAP) | None => abi::RC_TRAP,
            Some(code) => code,
        }
    }
}

fn input() -> Vec<u8> {
    if let Some(file) = setting("MOBULA_INPUT_FILE") {
        return read("MOBULA_INPUT_FILE", &file);
    }
    setting("MOBULA_INPUT").unwrap_or_default().into_bytes()
}

fn read(name: &str, file: &str) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|why| fail(&format!("{name}: cannot read {file}: {why}")))
}

fn write(name: &str, file: &str, bytes: &[u8]) {
    use std::io::Write;
    let done = if file == "-" {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    } else {
        std::fs::write(file, bytes)
    };
    done.unwrap_or_else(|why| fail(&format!("{name}: cannot write {file}: {why}")));
}

/// Items `USER/KEY=FILE` of a setting that belong to this program's user.
fn state_files(name: &str) -> Vec<(CString, String)> {
    let user = setting("MOBULA_USER").unwrap_or_else(|| "demo".to_string());
    let list = setting(name).unwrap_or_default();
    let mut files = Vec::new();
    for item in list.split(',').filter(|item| !item.is_empty()) {
        let parts = item.split_once('=').and_then(|(key, file)| {
            let (owner, key) = key.split_once('/')?;
            Some((owner, CString::new(key).ok().filter(|key| !key.is_empty())?, file))
        });
        let Some((owner, key, file)) = parts else {
            fail(&format!("{name}: {item}: write it as USER/KEY=FILE"));
        };
        if owner == user {
            files.push((key, file.to_string()));
        }
    }
    files
}

fn save_state() {
    for (key, file) in state_files("MOBULA_SAVE_STATE") {
        let Some(value) = values::get(&key) else {
            fail(&format!("MOBULA_SAVE_STATE: key {key:?} has no value"));
        };
        let mut bytes = std::vec![0; value.len()];
        value.read("save", &key, 0, &mut bytes);
        write("MOBULA_SAVE_STATE", &file, &bytes);
    }
}

/// The main call, and all that is before and after it.
fn run(main: fn() -> i32) -> i32 {
    for (key, file) in state_files("MOBULA_STATE") {
        values::write_whole(&key, &read("MOBULA_STATE", &file));
    }
    for one in inventory::iter::<Registered>.into_iter().filter(|one| one.index.is_none()) {
        if (one.run)() != 0 {
            fail("the proto-function failed");
        }
    }
    let index = setting("MOBULA_FUNC").and_then(|text| text.parse().ok()).unwrap_or(0);
    let job = if index == 0 { main } else { entry(index) };
    let (code, output) = pool::run_main(Call::new(index, input(), Job::Entry(job)));
    pool::drain();
    if let Some(file) = setting("MOBULA_OUTPUT") {
        write("MOBULA_OUTPUT", &file, &output);
    }
    save_state();
    match code {
        abi::RC_TRAP => EXIT_TRAP,
        0..=255 => code,
        _ => EXIT_WIDE,
    }
}

/// Runs a program whose main call is this; ends the process with its exit code.
pub fn run_program(main: fn() -> i32) {
    entries();
    // The stack of the process's own thread may be small.
    let main = pool::spawn("main", move || std::process::exit(run(main)));
    // Only a panic in our own code comes back.
    drop(main.join());
    std::process::exit(EXIT_TRAP);
}
