//! Sources that guests are compiled with: headers and libraries, built into this program, and the
//! cache they are written to.
//!
//! ```text
//!  CACHE/guest-KEY/include/faasm/*.h   headers of guests; KEY is a hash of all of it
//!                 /include/eigen3      link to the system's Eigen, if there is one
//!                 /native/*            the host for native builds
//!  CACHE/NAME-KEY.o                    a library compiled once; KEY: compiler, flags, sources
//! ```
//!
//! Invariant: what lies there under its final name is complete; it is written elsewhere and
//! renamed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ToolchainError;

/// Names the embedded files below `guest-lib/`.
macro_rules! embed {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../../guest-lib/", $path)))),*]
    };
}

/// Stands in for main where a module has none.
pub(super) const NO_MAIN: &str = "include/faasm/no_main.s";
/// Corrects the addresses of thread-local variables, for linkers that get them wrong.
pub(super) const TLS_BASE: &str = "include/faasm/tls_base.s";
/// Our replacements of headers of libc.
pub(super) const LIBC: &str = "include/faasm/libc";
/// The host for native builds; includes the other files beside it.
pub(super) const NATIVE: &str = "native/mobula_native.c";

const FILES: &[(&str, &str)] = &embed![
    "include/faasm/array.h",
    "include/faasm/checked.h",
    "include/faasm/compare.h",
    "include/faasm/compat.h",
    "include/faasm/core.h",
    "include/faasm/counter.h",
    "include/faasm/entry.h",
    "include/faasm/faasm.h",
    "include/faasm/files.h",
    "include/faasm/func.h",
    "include/faasm/host_interface.h",
    "include/faasm/input.h",
    "include/faasm/libc/__errno.h",
    "include/faasm/matrix.h",
    "include/faasm/matrix_dense.h",
    "include/faasm/matrix_sparse.h",
    "include/faasm/memory.h",
    "include/faasm/mobula.h",
    "include/faasm/no_main.s",
    "include/faasm/pool.h",
    "include/faasm/print.h",
    "include/faasm/random.h",
    "include/faasm/sgd.h",
    "include/faasm/sgd_update.h",
    "include/faasm/state.h",
    "include/faasm/time.h",
    "include/faasm/tls_base.s",
    "include/faasm/write_state_from_file.h",
    "native/base.h",
    "native/calls.h",
    "native/host.h",
    "native/locks.h",
    "native/merge.h",
    "native/mobula_native.c",
    "native/modules.h",
    "native/pool.h",
    "native/program.h",
    "native/state.h",
];

fn cache_root() -> PathBuf {
    crate::compile::cache_dir().unwrap_or_else(std::env::temp_dir)
}

fn hash_of_files() -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    for (name, text) in FILES {
        hasher.update(name.as_bytes()).update(b"\0").update(text.as_bytes()).update(b"\0");
    }
    hasher
}

fn short(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Writes the embedded files below the user's cache, once for each version of them, and beside them
/// a link to Eigen, which programs written for Faasm include as `eigen3/Eigen/Core`.
///
/// # Errors
/// [`ToolchainError::Write`].
pub(super) fn sources(eigen: Option<&Path>) -> Result<PathBuf, ToolchainError> {
    let root = cache_root();
    let mut hasher = hash_of_files();
    hasher.update(eigen.map_or(&[], |path| path.as_os_str().as_encoded_bytes()));
    let dir = root.join(format!("guest-{}", short(&hasher)));
    let failed = |source| ToolchainError::Write { path: dir.clone(), source };
    if dir.is_dir() {
        return Ok(dir);
    }
    std::fs::create_dir_all(&root).map_err(failed)?;
    let fresh = tempfile::Builder::new().prefix(".guest-").tempdir_in(&root).map_err(failed)?;
    for (name, text) in FILES {
        let file = fresh.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(fresh.path())).map_err(failed)?;
        std::fs::write(file, text).map_err(failed)?;
    }
    if let Some(eigen) = eigen {
        let link = fresh.path().join("include/eigen3");
        std::os::unix::fs::symlink(eigen, link).map_err(failed)?;
    }
    match std::fs::rename(fresh.path(), &dir) {
        Ok(()) => drop(fresh.keep()),
        // Another process was faster; its files are the same.
        Err(_) if dir.is_dir() => {}
        Err(source) => return Err(failed(source)),
    }
    Ok(dir)
}

/// The object that `line` compiles of the sources when `-o FILE` is put behind it; compiled at most
/// once for each `line`, program and version of the sources. `prepare` changes the command's
/// environment.
///
/// # Errors
/// [`ToolchainError::Write`], [`ToolchainError::Run`] or [`ToolchainError::Library`].
pub(super) fn object(
    name: &str,
    program: &Path,
    line: &[OsString],
    prepare: impl FnOnce(&mut Command),
) -> Result<PathBuf, ToolchainError> {
    let mut hasher = hash_of_files();
    for word in std::iter::once(program.as_os_str()).chain(line.iter().map(AsRef::as_ref)) {
        hasher.update(word.as_encoded_bytes()).update(b"\0");
    }
    if let Ok(meta) = program.metadata() {
        // Another version of the compiler under the same name.
        hasher.update(format!("{} {:?}", meta.len(), meta.modified().ok()).as_bytes());
    }
    let root = cache_root();
    let object = root.join(format!("{name}-{}.o", short(&hasher)));
    if object.is_file() {
        return Ok(object);
    }
    let failed = |source| ToolchainError::Write { path: object.clone(), source };
    let fresh = tempfile::Builder::new().prefix(".object-").tempdir_in(&root).map_err(failed)?;
    let made = fresh.path().join("made.o");
    let mut command = Command::new(program);
    command.args(line).arg("-o").arg(&made);
    prepare(&mut command);
    let said = command.output().map_err(|source| {
        let program = program.display().to_string();
        ToolchainError::Run { program, source }
    })?;
    if !said.status.success() {
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        let (name, program) = (name.to_owned(), program.display().to_string());
        return Err(ToolchainError::Library { name, program, said });
    }
    std::fs::rename(&made, &object).map_err(failed)?;
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_in_the_tree_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib");
        let mut names = Vec::new();
        let mut dirs = ["include", "native"].map(PathBuf::from).to_vec();
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(root.join(&dir)).unwrap() {
                let entry = entry.unwrap();
                let path = dir.join(entry.file_name());
                if entry.path().is_dir() {
                    dirs.push(path);
                } else {
                    names.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        names.sort();
        let embedded: Vec<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names, embedded);
    }
}
