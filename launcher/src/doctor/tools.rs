//! Compilers, libraries and directories; what earlier runs have left.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use super::{Check, human};
use crate::compile::cache_dir;
use crate::toolchain::{self, Language, ToolchainError};
use crate::{clean, store};

pub fn checks(named_store: Option<&Path>) -> Vec<Check> {
    vec![
        toolchain("C for WebAssembly", Language::C),
        toolchain("C++ for WebAssembly", Language::Cxx),
        rust(),
        native("native C", &["cc", "gcc", "clang"]),
        native("native C++", &["c++", "g++", "clang++"]),
        eigen(),
        cache(),
        store_directory(named_store),
        leftovers(named_store),
    ]
}

fn toolchain(name: &'static str, language: Language) -> Check {
    match toolchain::find(language) {
        Ok(found) => Check::ok(name, found.to_string()),
        Err(ToolchainError::Missing) => Check::warning(
            name,
            "no compiler found",
            "needed by mobula cc and c++ only: apt-get install clang-19 lld-19 wasi-libc \
             libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32, or pip \
             install ziglang",
        ),
        Err(err) => Check::warning(name, err.to_string(), "correct the variable, or unset it"),
    }
}

fn rust() -> Check {
    let name = "Rust for WebAssembly";
    match toolchain::rust::find() {
        Ok(found) => Check::ok(name, found.to_string()),
        Err(_) => Check::warning(
            name,
            "no cargo with a target found",
            "needed by mobula rustc and cargo only: rustup target add wasm32-wasip1, or apt-get \
             install rustc-web rust-web-src wasi-libc lld-19",
        ),
    }
}

fn native(name: &'static str, programs: &[&str]) -> Check {
    let found = programs.iter().find_map(|program| toolchain::which(OsStr::new(program)));
    found.map_or_else(
        || {
            let remedy = "needed for native builds of guests only: apt-get install g++";
            Check::warning(name, "no compiler found", remedy)
        },
        |path| Check::ok(name, path.display().to_string()),
    )
}

fn eigen() -> Check {
    let remedy = "needed by faasm/matrix.h and sgd.h only: apt-get install libeigen3-dev";
    match toolchain::eigen() {
        Ok(Some(dir)) => Check::ok("Eigen", dir.display().to_string()),
        Ok(None) => Check::warning("Eigen", "no headers found", remedy),
        Err(err) => Check::problem("Eigen", err.to_string(), remedy),
    }
}

fn cache() -> Check {
    let name = "cache";
    let Some(dir) = cache_dir() else {
        let remedy = "modules are compiled at every start: set MOBULA_CACHE or HOME";
        return Check::warning(name, "no directory", remedy);
    };
    let found = dir.display();
    if let Err(err) = writable(&dir) {
        let remedy =
            "modules are compiled at every start: set MOBULA_CACHE to a directory of yours";
        return Check::warning(name, format!("{found} cannot be written: {err}"), remedy);
    }
    let mount = statvfs(&existing(&dir)).map(|fs| fs.flags());
    if mount.is_ok_and(|flags| flags.contains(FsFlags::ST_NOEXEC)) {
        let remedy = "compiled modules cannot be mapped from there: set MOBULA_CACHE elsewhere";
        return Check::warning(name, format!("{found} is mounted noexec"), remedy);
    }
    Check::ok(name, found.to_string())
}

fn store_directory(named: Option<&Path>) -> Check {
    let name = "store";
    let dir = match store::open(named) {
        Ok(store) => store.root().to_owned(),
        Err(err) => {
            return Check::problem(
                name,
                format!("{err:#}"),
                "give --store DIR, or set MOBULA_STORE",
            );
        }
    };
    let found = dir.display();
    if dir.is_dir() && std::fs::read_dir(&dir).is_err() {
        return Check::problem(name, format!("{found} cannot be read"), "correct its permissions");
    }
    if let Err(err) = writable(&dir) {
        let remedy = "functions and state can be read but not changed";
        return Check::warning(name, format!("{found} cannot be written: {err}"), remedy);
    }
    let new = if dir.is_dir() { "" } else { " (made at the first upload)" };
    Check::ok(name, format!("{found}{new}"))
}

fn leftovers(store: Option<&Path>) -> Check {
    let found = clean::leftovers(store).all;
    if found.is_empty() {
        return Check::ok("leftovers", "none");
    }
    let bytes = human(found.iter().map(|leftover| leftover.bytes).sum());
    let dead = format!("{} that nobody needs, {bytes}", found.len());
    Check::warning("leftovers", dead, "mobula clean --dry-run, then mobula clean")
}

/// The directory, or the nearest one above it that there is.
fn existing(dir: &Path) -> PathBuf {
    let nearest =
        dir.ancestors().find(|dir| dir.exists()).filter(|dir| !dir.as_os_str().is_empty());
    nearest.unwrap_or(Path::new(".")).to_owned()
}

/// Tries to write a file in a directory, or where it would be made.
fn writable(dir: &Path) -> std::io::Result<()> {
    tempfile::tempfile_in(existing(dir)).map(drop)
}
