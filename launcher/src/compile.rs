//! `mobula compile`, and where compiled modules are kept.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mobula_runtime::{Cache, Config, ProcessStdio, Runtime, limits};

use crate::cli::node::CompileArgs;
use crate::progress::compiling;
use crate::python::module_of;

/// The user's cache directory: `MOBULA_CACHE`, or `mobula` in the XDG cache directory.
pub fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("MOBULA_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("mobula")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache").join("mobula")))
}

/// The cache of compiled modules, if there is a place for it.
pub fn cache() -> Cache {
    cache_dir().map_or_else(Cache::none, Cache::in_dir)
}

/// Reads a module; `-` is standard input.
pub fn read_module(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = limits::MODULE_BYTES + 1;
    if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .context("reading the module")?;
    } else {
        refuse_source(path)?;
        let file = std::fs::File::open(path);
        let file = file.with_context(|| format!("cannot open module {}", path.display()))?;
        let read = file.take(limit).read_to_end(&mut bytes);
        read.with_context(|| format!("cannot read module {}", path.display()))?;
    }
    Ok(bytes)
}

/// A source has to be compiled first; what else is a text is taken for Python.
fn refuse_source(path: &Path) -> Result<()> {
    let compiler = match path.extension().and_then(|extension| extension.to_str()) {
        Some("c") => "cc",
        Some("cc" | "cpp" | "cxx" | "C") => "c++",
        Some("rs") => "rustc",
        _ => return Ok(()),
    };
    let (file, module) = (path.display(), path.with_extension("wasm"));
    bail!("{file} is a source: mobula {compiler} -o {} {file}", module.display())
}

/// The name under which a module is registered when none is given: its file's stem.
pub fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(|| "main".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Code for time-outs is the same whatever their length.
const ANY_TIMEOUT: Duration = Duration::from_secs(1);

pub fn run(args: &CompileArgs) -> Result<u8> {
    if cache_dir().is_none() {
        bail!("there is no cache directory: set MOBULA_CACHE, XDG_CACHE_HOME or HOME");
    }
    let timeouts: &[Option<Duration>] =
        if args.timeout { &[None, Some(ANY_TIMEOUT)] } else { &[None] };
    for path in &args.files {
        let wasm = read_module(path)?;
        for &timeout in timeouts {
            let python = crate::python::find();
            let config =
                Config { cache: cache(), threads: 1, timeout, python, ..Config::default() };
            let runtime = Runtime::new(config, Arc::new(ProcessStdio))?;
            let start = Instant::now();
            let name = name_of(path);
            let module = || module_of(wasm.clone());
            let compiled = compiling(&name, module, || runtime.register("demo", &name, &wasm));
            compiled.with_context(|| format!("{}", path.display()))?;
            let cached = runtime.report().module_cached;
            say(args.json, path, cached, start.elapsed(), timeout.is_some())?;
        }
    }
    Ok(0)
}

fn say(json: bool, path: &Path, cached: bool, took: Duration, timeout: bool) -> Result<()> {
    let (seconds, mut out) = (took.as_secs_f64(), std::io::stdout().lock());
    if json {
        let line = serde_json::json!({
            "module": path, "cached": cached, "seconds": seconds, "timeout": timeout,
        });
        writeln!(out, "{line}").context("writing to standard output")
    } else {
        let what = if cached { "was in the cache" } else { "compiled" };
        let kind = if timeout { " (for --timeout)" } else { "" };
        writeln!(out, "{}: {what}{kind}, {seconds:.2} s", path.display())
            .context("writing to standard output")
    }
}
