//! Looking at a Python file, for `mobula info` and `upload`: the interpreter loads or parses it, and says what
//! it has. A program of ours does so in one call, in the sandbox, with the file as a text in it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use mobula_runtime::{Config, Outcome, ProcessStdio, Runtime};
use serde::{Deserialize, Serialize};

use crate::cli::node::InfoArgs;
use crate::compile::{cache, name_of, read_module};
use crate::progress::compiling;
use crate::python::{find, module_of, with_paths};
use crate::say;

/// What `mobula._describe` answers.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    entries: Vec<(i32, String)>,
    proto_functions: Vec<String>,
    missing: Vec<String>,
    failure: Option<String>,
}

pub fn run(args: &InfoArgs) -> Result<u8> {
    let seen = describe(args).with_context(|| format!("{}", args.file.display()))?;
    if args.json {
        say(serde_json::to_string_pretty(&seen)?)?;
    } else {
        say(text(&seen).trim_end())?;
    }
    Ok(0)
}

fn describe(args: &InfoArgs) -> Result<Description> {
    let bytes = read_module(&args.file)?;
    let found = ask("describe", &args.file, &bytes, &args.py_path)?;
    serde_json::from_slice(&found).context("no answer")
}

/// Refuses what is no Python; whatever is one where there is no interpreter.
pub fn check_syntax(file: &Path, bytes: &[u8]) -> Result<()> {
    std::str::from_utf8(bytes).context("not UTF-8")?;
    if find().is_none() {
        return Ok(());
    }
    let wrong: Option<String> = serde_json::from_slice(&ask("syntax", file, bytes, &[])?)?;
    wrong.map_or(Ok(()), |why| bail!(why))
}

/// What a function of `mobula._describe` finds in a file, as JSON.
fn ask(look: &str, file: &Path, bytes: &[u8], py_path: &[PathBuf]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(bytes).context("not UTF-8")?;
    // JSON's strings are literals of Python.
    let (file, text) = (format!("{}.py", name_of(file)), serde_json::to_string(text)?);
    let file = serde_json::to_string(&file)?;
    let program = format!(
        "from mobula._describe import {look}, main_of\nmain_func = main_of({look}, {file}, {text})\n"
    );
    let (python, dirs) = with_paths(py_path)?;
    let config = Config { cache: cache(), threads: 1, python, dirs, ..Config::default() };
    let runtime = Runtime::new(config, Arc::new(ProcessStdio))?;
    const NAME: &str = "info";
    let module = || module_of(program.clone().into_bytes());
    compiling(NAME, module, || runtime.register("demo", NAME, program.as_bytes()))?;
    let finished = runtime.call("demo", NAME, 0, Vec::new())?;
    match finished.outcome {
        Outcome::Returned(0) => Ok(finished.output),
        outcome => bail!("the interpreter could not look at it: {outcome:?}"),
    }
}

fn text(seen: &Description) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "{name:<16} {value}");
    };
    row("language", "Python");
    row("loads here", seen.failure.as_ref().map_or("yes", |_| "no"));
    if let Some(why) = &seen.failure {
        row("", why);
    }
    let none = || "none".to_owned();
    row("entries", &if seen.entries.is_empty() { none() } else { String::new() });
    for (index, name) in &seen.entries {
        row("", &format!("{index:>4}  {name}"));
    }
    let list = |items: &[String]| if items.is_empty() { none() } else { items.join(", ") };
    row("proto-functions", &list(&seen.proto_functions));
    row("missing modules", &list(&seen.missing));
    out
}
