//! Sources that guests are compiled with: headers and libraries, built into this program, and the
//! cache they are written to.
//!
//! ```text
//!  CACHE/guest-KEY/include/faasm/*.h   headers of guests; KEY is a hash of all of it
//!                 /include/eigen3      link to the system's Eigen, if there is one
//!                 /native/*            the host for native builds
//!                 /posix/*             what WASI's libc leaves out, and its headers
//!                 /rust/               a workspace of the guest crate, with its lock file
//!  CACHE/NAME-KEY.SUFFIX               a library compiled once; KEY: compiler, flags, sources
//!  CACHE/rust-build/                   what cargo makes of single files
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
    "Cargo.toml",
    "build.rs",
    "include/faasm/array.h",
    "include/faasm/blas.h",
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
    "macros/Cargo.toml",
    "macros/src/lib.rs",
    "native/base.h",
    "native/blas.h",
    "native/calls.h",
    "native/host.h",
    "native/locks.h",
    "native/merge.h",
    "native/mobula_native.c",
    "native/modules.h",
    "native/pool.h",
    "native/program.h",
    "native/state.h",
    "posix/break.c",
    "posix/descriptors.c",
    "posix/files.c",
    "posix/include/arpa/inet.h",
    "posix/include/dlfcn.h",
    "posix/include/grp.h",
    "posix/include/netdb.h",
    "posix/include/pthread.h",
    "posix/include/pwd.h",
    "posix/include/signal.h",
    "posix/include/spawn.h",
    "posix/include/stdio.h",
    "posix/include/stdlib.h",
    "posix/include/sys/file.h",
    "posix/include/sys/mman.h",
    "posix/include/sys/random.h",
    "posix/include/sys/resource.h",
    "posix/include/sys/socket.h",
    "posix/include/sys/stat.h",
    "posix/include/sys/statvfs.h",
    "posix/include/sys/time.h",
    "posix/include/sys/wait.h",
    "posix/include/syslog.h",
    "posix/include/termios.h",
    "posix/include/time.h",
    "posix/include/unistd.h",
    "posix/memory.c",
    "posix/posix.h",
    "posix/process.c",
    "posix/signals.c",
    "posix/sockets.c",
    "posix/system.c",
    "posix/threads.c",
    "posix/users.c",
    "src/abi.rs",
    "src/call.rs",
    "src/entry.rs",
    "src/io.rs",
    "src/lib.rs",
    "src/lock.rs",
    "src/native/host.rs",
    "src/native/locks.rs",
    "src/native/mod.rs",
    "src/native/pool.rs",
    "src/native/program.rs",
    "src/native/values.rs",
    "src/python.rs",
    "src/state.rs",
    "src/sys/atomic.rs",
    "src/sys/memory.rs",
    "src/sys/mod.rs",
    "src/sys/views.rs",
    "src/sys/wasm.rs",
    "src/window.rs",
    "src/wire.rs",
];

/// The guest crate's workspace, below [`sources`].
pub(super) const RUST: &str = "rust";
/// What makes the guest crate a workspace.
const WORKSPACE: [(&str, &str); 2] = [
    ("Cargo.toml", include_str!("../../../Cargo.toml")),
    ("Cargo.lock", include_str!("../../../Cargo.lock")),
];

/// The workspace's manifest with only the members that are there.
fn workspace(name: &str, text: &str) -> String {
    let own = |line: &str| {
        let members = line.starts_with("members = ");
        if members { r#"members = ["guest-lib", "guest-lib/macros"]"#.into() } else { line.into() }
    };
    if name == "Cargo.toml" {
        text.lines().map(own).collect::<Vec<String>>().join("\n") + "\n"
    } else {
        text.into()
    }
}

/// Where a file of `guest-lib/` lies below [`sources`]: the crate is a member of its workspace.
fn place(name: &str) -> PathBuf {
    let parts = ["include/", "native/", "posix/"];
    if parts.iter().any(|part| name.starts_with(part)) {
        PathBuf::from(name)
    } else {
        Path::new(RUST).join("guest-lib").join(name)
    }
}

/// Where cargo compiles single files.
pub(super) fn rust_build() -> PathBuf {
    cache_root().join("rust-build")
}

fn cache_root() -> PathBuf {
    crate::compile::cache_dir().unwrap_or_else(std::env::temp_dir)
}

fn hash_of_files() -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    for (name, text) in FILES.iter().chain(&WORKSPACE) {
        hasher.update(name.as_bytes()).update(b"\0").update(text.as_bytes()).update(b"\0");
    }
    hasher
}

fn short(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..16].to_owned()
}

/// What the directory with this version's files is called.
pub fn sources_name(eigen: Option<&Path>) -> String {
    let mut hasher = hash_of_files();
    hasher.update(eigen.map_or(&[], |path| path.as_os_str().as_encoded_bytes()));
    format!("guest-{}", short(&hasher))
}

/// What a file or directory of the cache is to `mobula cc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {
    /// The embedded files.
    Sources,
    /// A library compiled of them.
    Library,
    /// Either of them, not finished.
    Unfinished,
}

/// What a name in the cache means; `None` when it is not of this module's making.
pub fn cached(name: &str) -> Option<Cached> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match () {
        () if starts(&[".guest-", ".lib-", ".include-"]) => Some(Cached::Unfinished),
        () if starts(&["guest-", "include-"]) => Some(Cached::Sources),
        () if starts(&["native-", "posix-", "rust-"]) => Some(Cached::Library),
        () => None,
    }
}

/// Writes the embedded files below the user's cache, once for each version of them, and beside them
/// a link to Eigen, which programs written for Faasm include as `eigen3/Eigen/Core`.
///
/// # Errors
/// [`ToolchainError::Write`].
pub(super) fn sources(eigen: Option<&Path>) -> Result<PathBuf, ToolchainError> {
    let root = cache_root();
    let dir = root.join(sources_name(eigen));
    let failed = |source| ToolchainError::Write { path: dir.clone(), source };
    if dir.is_dir() {
        return Ok(dir);
    }
    std::fs::create_dir_all(&root).map_err(failed)?;
    let fresh = tempfile::Builder::new().prefix(".guest-").tempdir_in(&root).map_err(failed)?;
    for (name, text) in FILES {
        let file = fresh.path().join(place(name));
        std::fs::create_dir_all(file.parent().unwrap_or(fresh.path())).map_err(failed)?;
        std::fs::write(file, text).map_err(failed)?;
    }
    for (name, text) in WORKSPACE {
        let file = fresh.path().join(RUST).join(name);
        std::fs::write(file, workspace(name, text)).map_err(failed)?;
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

/// Where the headers for what WASI leaves out are, below [`sources`].
pub(super) const POSIX_INCLUDE: &str = "posix/include";

/// The sources of the library for what WASI leaves out.
pub(super) fn posix_sources(sources: &Path) -> Vec<PathBuf> {
    let own = FILES.iter().map(|(name, _)| *name);
    let own = own.filter(|name| name.starts_with("posix/") && name.ends_with(".c"));
    own.map(|name| sources.join(name)).collect()
}

/// A compiled file: its name and its bytes.
pub(super) type Object = (String, Vec<u8>);

/// A compilation of embedded sources; objects are written to where the program runs.
#[derive(Debug)]
pub(super) struct Library<'a> {
    /// How the file is called, without and with its suffix.
    pub(super) name: &'a str,
    pub(super) suffix: &'a str,
    pub(super) program: &'a Path,
    pub(super) line: Vec<OsString>,
    /// One object is compiled of each.
    pub(super) sources: Vec<PathBuf>,
    /// PATH of the compiler, if it is not ours.
    pub(super) path: Option<PathBuf>,
}

impl Library<'_> {
    /// The library's file; `pack` makes it of the objects by their names. Compiled at most once for
    /// each program, line and version of the sources.
    ///
    /// # Errors
    /// [`ToolchainError::Write`], [`ToolchainError::Run`] or [`ToolchainError::Library`].
    pub(super) fn file(
        &self,
        pack: fn(&[Object]) -> Result<Vec<u8>, String>,
    ) -> Result<PathBuf, ToolchainError> {
        let root = cache_root();
        let file = root.join(format!("{}-{}.{}", self.name, short(&self.hash()), self.suffix));
        if file.is_file() {
            return Ok(file);
        }
        let failed = |source| ToolchainError::Write { path: file.clone(), source };
        let dir = tempfile::Builder::new().prefix(".lib-").tempdir_in(&root).map_err(failed)?;
        self.compile(dir.path())?;
        let objects = read_objects(dir.path()).map_err(failed)?;
        let packed = pack(&objects).map_err(|why| self.refused(why))?;
        let made = dir.path().join("packed");
        std::fs::write(&made, packed).map_err(failed)?;
        std::fs::rename(&made, &file).map_err(failed)?;
        Ok(file)
    }

    fn hash(&self) -> blake3::Hasher {
        let mut hasher = hash_of_files();
        for word in
            std::iter::once(self.program.as_os_str()).chain(self.line.iter().map(AsRef::as_ref))
        {
            hasher.update(word.as_encoded_bytes()).update(b"\0");
        }
        if let Ok(meta) = self.program.metadata() {
            // Another version of the compiler under the same name.
            hasher.update(format!("{} {:?}", meta.len(), meta.modified().ok()).as_bytes());
        }
        hasher
    }

    /// Source by source: not every compiler takes several at once.
    fn compile(&self, dir: &Path) -> Result<(), ToolchainError> {
        for source in &self.sources {
            let mut command = Command::new(self.program);
            command.args(&self.line).arg("-c").arg(source).current_dir(dir);
            if let Some(path) = &self.path {
                command.env("PATH", path);
            }
            let said = command.output().map_err(|source| {
                let program = self.program.display().to_string();
                ToolchainError::Run { program, source }
            })?;
            if !said.status.success() {
                return Err(self.refused(String::from_utf8_lossy(&said.stderr).into_owned()));
            }
        }
        Ok(())
    }

    fn refused(&self, said: String) -> ToolchainError {
        let (name, program) = (self.name.to_owned(), self.program.display().to_string());
        ToolchainError::Library { name, program, said }
    }
}

/// The objects in a directory by their names, in order.
fn read_objects(dir: &Path) -> std::io::Result<Vec<Object>> {
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if let Some(name) = name.filter(|name| name.ends_with(".o")) {
            objects.push((name, std::fs::read(&path)?));
        }
    }
    objects.sort();
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_in_the_tree_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib");
        let mut names = vec!["Cargo.toml".to_owned(), "build.rs".to_owned()];
        let mut dirs = ["include", "macros", "native", "posix", "src"].map(PathBuf::from).to_vec();
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
