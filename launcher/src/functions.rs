//! `mobula upload`, `functions` and `rm`: the functions of the store.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use mobula_runtime::{Cache, inspect};
use serde_json::{Value, json};

use crate::cli::parse::Title;
use crate::cli::store::{FunctionsArgs, RmArgs, UploadArgs};
use crate::compile::read_module;
use crate::describe;
use crate::python::is_python;
use crate::say;
use crate::store::name::{Kind, Name};
use crate::store::{self, Listed};

/// The name part of a function's title, which guests and messages can spell.
pub fn function_name(title: &Title) -> Result<&str> {
    std::str::from_utf8(&title.name).context("a function's name is UTF-8")
}

pub fn upload(args: &UploadArgs) -> Result<u8> {
    let wasm = read_module(&args.file)?;
    let (user, name) = (args.function.user.as_str(), function_name(&args.function)?);
    let file = || format!("{} was not stored", args.file.display());
    let entries = if is_python(&args.file) {
        // Which others it has only the interpreter knows.
        describe::check_syntax(&args.file, &wasm).with_context(file)?;
        vec![0]
    } else {
        entries_of(&wasm).with_context(file)?
    };
    let store = store::open(args.store.store.as_deref())?;
    let name = Name::new(user, name.as_bytes(), Kind::Function);
    store.put(&name, |writer| Ok(writer.write(&wasm)?))?;
    if args.json {
        say(json!({ "user": user, "name": function_name(&args.function)?, "bytes": wasm.len(),
            "entries": entries, "store": store.root() }))?;
    } else {
        say(format_args!("{}: {} bytes", name.title(), wasm.len()))?;
    }
    Ok(0)
}

/// The entries of a module that can run.
fn entries_of(wasm: &[u8]) -> Result<Vec<i32>> {
    let seen = inspect(wasm, &Cache::none())?;
    if let Some(why) = seen.refusal {
        bail!(why);
    }
    if seen.entries.is_empty() {
        bail!("it has no entry (FAASM_MAIN_FUNC, FAASM_FUNC, main or _start)");
    }
    Ok(seen.entries.iter().map(|entry| entry.index).collect())
}

pub fn list(args: &FunctionsArgs) -> Result<u8> {
    let store = store::open(args.store.store.as_deref())?;
    let found = store.list(Kind::Function, args.user.as_deref())?;
    if args.json {
        say(found.iter().map(description).collect::<Value>())?;
    } else {
        found.iter().try_for_each(|found| say(line(found)))?;
    }
    Ok(0)
}

pub fn remove(args: &RmArgs) -> Result<u8> {
    let store = store::open(args.store.store.as_deref())?;
    let name = Name::new(&args.function.user, &args.function.name, Kind::Function);
    if !store.remove(&name)? {
        bail!("the store {} has no function {}", store.root().display(), name.title());
    }
    Ok(0)
}

/// One line of a list.
pub fn line(found: &Listed) -> String {
    let size = found.bytes().map_or_else(|| "damaged".to_owned(), |bytes| bytes.to_string());
    format!("{size:>12}  {}", found.name.title())
}

/// One thing of a list, for programs.
pub fn description(found: &Listed) -> Value {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|t| t.as_secs());
    let mut out = json!({
        "user": found.name.user,
        "name": String::from_utf8_lossy(&found.name.name),
        "bytes": found.bytes(),
        "changed": found.changed.and_then(seconds),
        "damaged": found.seal.is_none(),
    });
    if std::str::from_utf8(&found.name.name).is_err() {
        let hex: String = found.name.name.iter().map(|byte| format!("{byte:02x}")).collect();
        out["name_hex"] = hex.into();
    }
    out
}
