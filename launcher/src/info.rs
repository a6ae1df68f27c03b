//! `mobula info`: what a module offers and wants, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};
use mobula_runtime::{ImportInfo, Inspection, inspect};

use crate::cli::node::InfoArgs;
use crate::compile::{cache, read_module};
use crate::say;

pub fn run(args: &InfoArgs) -> Result<u8> {
    if crate::python::is_python(&args.file) {
        return crate::describe::run(args);
    }
    let wasm = read_module(&args.file)?;
    let seen = inspect(&wasm, &cache()).with_context(|| format!("{}", args.file.display()))?;
    if args.json {
        say(serde_json::to_string_pretty(&seen)?)?;
    } else {
        say(text(&seen).trim_end())?;
    }
    Ok(0)
}

fn text(seen: &Inspection) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "{name:<16} {value}");
    };
    row("size", &format!("{} bytes", seen.bytes));
    row("runs here", seen.refusal.as_ref().map_or("yes", |_| "no"));
    if let Some(why) = &seen.refusal {
        row("", why);
    }
    row("entries", &if seen.entries.is_empty() { "none".to_owned() } else { String::new() });
    for entry in &seen.entries {
        let name = entry.name.as_ref().map_or_else(String::new, |name| format!("  ({name})"));
        row("", &format!("{:>4}  {}{name}", entry.index, entry.export));
    }
    row("proto-function", if seen.proto_function { "yes" } else { "no" });
    let none = || "none".to_owned();
    let list = |items: &[String]| if items.is_empty() { none() } else { items.join(", ") };
    row("constructors", &list(&seen.constructors));
    row(
        "memory",
        &seen.memory.as_ref().map_or_else(none, |memory| {
            let from = if memory.imported { ", imported" } else { "" };
            format!("{} pages of 64 KiB at the start{from}", memory.pages)
        }),
    );
    let globals = &seen.globals;
    row("globals", &format!("{} mutable, {} constant", globals.mutable, globals.constant));
    row(
        "reset",
        seen.unresettable.as_deref().unwrap_or(match seen.refusal {
            None => "from a snapshot after each call",
            Some(_) => "unknown, since it cannot run",
        }),
    );
    if seen.unresettable.is_some() {
        row("", "so it is instantiated anew for each call");
    }
    let cached = match (seen.cached, seen.cached_for_timeout) {
        (false, false) => "no",
        (true, false) => "yes (not for --timeout)",
        (false, true) => "only for --timeout",
        (true, true) => "yes, also for --timeout",
    };
    row("compiled", cached);
    imports(&mut out, &seen.imports);
    out
}

fn imports(out: &mut String, imports: &[ImportInfo]) {
    let mut modules: BTreeMap<&str, Vec<&ImportInfo>> = BTreeMap::new();
    for import in imports {
        modules.entry(&import.module).or_default().push(import);
    }
    let _ = writeln!(out, "{:<16} {}", "imports", if imports.is_empty() { "none" } else { "" });
    for (module, imports) in modules {
        let lacking = imports.iter().filter(|import| !import.offered).count();
        let lacks = if lacking == 0 { String::new() } else { format!(", Mobula lacks {lacking}") };
        let _ = writeln!(out, "  {module} ({}{lacks})", imports.len());
        for import in imports {
            let mark = if import.offered { ' ' } else { '!' };
            let _ = writeln!(out, "  {mark} {:<8} {}", import.kind, import.name);
        }
    }
}
