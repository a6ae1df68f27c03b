//! Where the interpreter of Python functions is: a directory that `guest-lib/python/fetch` fills.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use mobula_runtime::{Dir, Interpreter};

use crate::compile::cache_dir;

/// The interpreter and the standard library in the directory.
const MODULE: &str = "python.wasm";
const LIBRARY: &str = "lib";

/// The directory: `MOBULA_PYTHON`, or `python` in the cache.
fn dir() -> Option<PathBuf> {
    let named = std::env::var_os("MOBULA_PYTHON").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    named.or_else(|| cache_dir().map(|cache| cache.join("python")))
}

/// The interpreter, if it is there.
pub fn find() -> Option<Interpreter> {
    let dir = dir()?;
    let (module, library) = (dir.join(MODULE), dir.join(LIBRARY));
    let there = module.is_file() && library.join("python315.zip").is_file();
    there.then(|| Interpreter { module, library, paths: Vec::new() })
}

/// Whether a file is a Python function.
pub fn is_python(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "py")
}

/// What has to be compiled before a function can run: itself, or the interpreter.
pub fn module_of(function: Vec<u8>) -> Option<Vec<u8>> {
    if function.starts_with(b"\0asm") {
        return Some(function);
    }
    std::fs::read(find()?.module).ok()
}

/// The interpreter with directories of the user's in which it looks for modules first, and how guests see
/// these.
///
/// # Errors
/// When there are such directories and no interpreter.
pub fn with_paths(paths: &[PathBuf]) -> Result<(Option<Interpreter>, Vec<Dir>)> {
    let mut found = find();
    let Some(python) = &mut found else {
        match paths {
            [] => return Ok((None, Vec::new())),
            _ => bail!("--py-path: there is no Python interpreter: guest-lib/python/fetch gets it"),
        }
    };
    let mut dirs = Vec::new();
    for (index, host) in paths.iter().enumerate() {
        let guest = format!("/py/{index}");
        python.paths.push(guest.clone());
        dirs.push(Dir { host: host.clone(), guest, read_only: true });
    }
    Ok((found, dirs))
}
