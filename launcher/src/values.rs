//! `mobula state`: the state values of the store.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cli::parse::Title;
use crate::cli::store::{StateArgs, StateCommand};
use crate::functions::{description, line};
use crate::say;
use crate::store::file::{Seal, Writer};
use crate::store::name::{Kind, Name};
use crate::store::{self, DirStore};

/// How much of a value passes through memory at a time.
const PIECE: usize = 1 << 20;

pub fn run(args: &StateArgs) -> Result<u8> {
    let store = store::open(args.store.store.as_deref())?;
    match &args.command {
        StateCommand::Put { key, file, json } => put(&store, key, file, *json)?,
        StateCommand::Get { key, file, appended, json } => {
            get(&store, key, file, *appended, *json)?;
        }
        StateCommand::Ls { user, json } => list(&store, user.as_deref(), *json)?,
        StateCommand::Rm { key, json } => remove(&store, key, *json)?,
    }
    Ok(0)
}

fn name(title: &Title, kind: Kind) -> Result<Name> {
    if title.name.contains(&0) {
        bail!("a key has no NUL");
    }
    Ok(Name::new(&title.user, &title.name, kind))
}

fn put(store: &DirStore, key: &Title, file: &Path, json: bool) -> Result<()> {
    let name = name(key, Kind::Value)?;
    let copy = |from: &mut dyn Read, what: &str| {
        store.put(&name, |writer: &mut Writer| {
            let mut piece = vec![0; PIECE];
            loop {
                match from.read(&mut piece).with_context(|| format!("cannot read {what}"))? {
                    0 => return Ok(()),
                    n => writer.write(&piece[..n])?,
                }
            }
        })
    };
    let seal = if file == Path::new("-") {
        copy(&mut std::io::stdin().lock(), "standard input")?
    } else {
        let what = file.display().to_string();
        let mut from = File::open(file).with_context(|| format!("cannot open {what}"))?;
        copy(&mut from, &what)?
    };
    if json { say(summary(&name, seal)) } else { Ok(()) }
}

fn summary(name: &Name, seal: Seal) -> Value {
    let listed = store::Listed { name: name.clone(), seal: Some(seal), changed: None };
    let mut out = description(&listed);
    if name.kind == Kind::Records {
        out["records"] = seal.records.into();
    } else {
        out["blake3"] = blake3::Hash::from_bytes(seal.sum).to_hex().as_str().into();
    }
    out
}

fn get(store: &DirStore, key: &Title, file: &Path, appended: bool, json: bool) -> Result<()> {
    let name = name(key, if appended { Kind::Records } else { Kind::Value })?;
    let Some(opened) = store.open(&name)? else {
        let other = name_of_other(store, key, appended)?;
        bail!(
            "the store {} has no {} {}{other}",
            store.root().display(),
            name.kind.word(),
            name.title()
        );
    };
    let seal = opened.seal;
    let mut from: Box<dyn Read> = if appended {
        let records = store.read_records(&name)?.unwrap_or_default();
        Box::new(std::io::Cursor::new(records.bytes))
    } else {
        Box::new(opened.reader(|| {}))
    };
    if file != Path::new("-") {
        replace(file, &mut from)
            .with_context(|| format!("{} to {}", name.title(), file.display()))?;
    } else if !json {
        let mut out = std::io::stdout().lock();
        std::io::copy(&mut from, &mut out)
            .and_then(|_| out.flush())
            .with_context(|| name.title())?;
    }
    if json { say(summary(&name, seal)) } else { Ok(()) }
}

/// A hint for who looks for the value of a key that has only records, or the other way.
fn name_of_other(store: &DirStore, key: &Title, appended: bool) -> Result<&'static str> {
    let other = name(key, if appended { Kind::Value } else { Kind::Records })?;
    Ok(match (store.open(&other).is_ok_and(|found| found.is_some()), appended) {
        (true, false) => "; it has appended records (--appended)",
        (true, true) => "; it has a value (without --appended)",
        (false, _) => "",
    })
}

/// Writes a file aside and puts it in its place; a device or pipe is written to.
fn replace(path: &Path, from: &mut dyn Read) -> Result<()> {
    if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
        std::io::copy(from, &mut file)?;
        return Ok(());
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let readable = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(dir)?;
    std::io::copy(from, &mut file)?;
    file.persist(path)?;
    Ok(())
}

fn list(store: &DirStore, user: Option<&str>, json: bool) -> Result<()> {
    let mut found = store.list(Kind::Value, user)?;
    found.extend(store.list(Kind::Records, user)?);
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let kind = |kind| if kind == Kind::Records { "appended" } else { "value" };
    if json {
        let described = found.iter().map(|found| {
            let mut out = description(found);
            out["kind"] = kind(found.name.kind).into();
            if found.name.kind == Kind::Records {
                out["records"] = found.seal.map(|seal| seal.records).into();
            }
            out
        });
        return say(described.collect::<Value>());
    }
    let shown = |found: &store::Listed| match found.name.kind {
        Kind::Records => format!("{}  (appended)", line(found)),
        _ => line(found),
    };
    found.iter().try_for_each(|found| say(shown(found)))
}

fn remove(store: &DirStore, key: &Title, json: bool) -> Result<()> {
    let value = store.remove(&name(key, Kind::Value)?)?;
    let records = store.remove(&name(key, Kind::Records)?)?;
    if !value && !records {
        let title = name(key, Kind::Value)?.title();
        bail!("the store {} has no key {title}", store.root().display());
    }
    if json { say(json!({ "value": value, "appended": records })) } else { Ok(()) }
}
