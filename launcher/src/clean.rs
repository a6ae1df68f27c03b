//! `mobula clean`: what runs that were killed have left, and removing it.
//!
//! ```text
//!  where            what                        whose process is gone when
//!  ─────────────────────────────────────────────────────────────────────────────────────────
//!  temporary dir    mobula-<pid>-*              there is no process <pid>
//!  /dev/shm         mobula-<pid>-*              there is no process <pid>
//!  cache            modules being written       nobody holds their lock
//!  store            files being written         nobody holds a share of the store's lock
//!  cache            headers being written       older than a quarter of an hour
//!  cache            headers of other versions   no process names them
//! ```
//!
//! Invariant: what might belong to a living process stays. A number that was given to another
//! process meanwhile keeps its leftovers until that one has ended, too. Only what belongs to this
//! user and is closed to all others is looked at, as runs make it: a folder of the user's own that
//! happens to be called so is usually open to others.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::cli::node::CleanArgs;
use crate::compile::cache_dir;
use crate::store;
use crate::toolchain::Cached;
use crate::{say, tell, toolchain};

/// Writing the headers takes milliseconds; after this time nobody is at it.
const HEADERS_TIME: Duration = Duration::from_mins(15);
/// A file is locked a moment after it is made.
const LOCK_TIME: Duration = Duration::from_secs(2);

/// Something that nobody needs any more.
#[derive(Debug)]
pub struct Leftover {
    pub path: PathBuf,
    pub bytes: u64,
    pub what: &'static str,
}

pub fn run(args: &CleanArgs) -> Result<u8> {
    let mut found = leftovers(args.store.as_deref());
    if args.cache {
        found.all.extend(compiled());
    }
    let (mut freed, mut failed, mut gone) = (0, 0, Vec::new());
    for leftover in found.all.drain(..) {
        if !args.dry_run
            && let Err(err) = remove(&leftover.path)
        {
            tell(&format!("cannot remove {}: {err}", leftover.path.display()));
            failed += 1;
            continue;
        }
        freed += leftover.bytes;
        gone.push(leftover);
    }
    report(args, &gone, freed)?;
    Ok(u8::from(failed > 0))
}

fn report(args: &CleanArgs, gone: &[Leftover], freed: u64) -> Result<()> {
    if args.json {
        let gone = gone.iter().map(|leftover| {
            json!({ "path": leftover.path.to_string_lossy(), "bytes": leftover.bytes,
                "what": leftover.what })
        });
        let gone = gone.collect::<Vec<_>>();
        return say(json!({ "dry_run": args.dry_run, "bytes": freed, "removed": gone }));
    }
    for leftover in gone {
        let (path, what) = (leftover.path.display(), leftover.what);
        say(format_args!("{:>12}  {path}  ({what})", leftover.bytes))?;
    }
    let verb = if args.dry_run { "would free" } else { "freed" };
    say(format_args!("{verb} {freed} bytes in {} places", gone.len()))
}

/// Everything that dead processes of this user have left. No writer begins in the store as long as
/// this is kept.
pub struct Leftovers {
    pub all: Vec<Leftover>,
    _alone_in_store: Option<File>,
}

pub fn leftovers(named_store: Option<&Path>) -> Leftovers {
    let mut all = of_dead(&std::env::temp_dir(), "temporary directory of a dead run");
    all.extend(of_dead(Path::new("/dev/shm"), "shared memory of a dead run"));
    if let Some(cache) = cache_dir() {
        all.extend(unfinished_modules(&cache.join("modules")));
        all.extend(old_sources(&cache));
    }
    let in_store = store::open(named_store).ok().and_then(|store| store.unfinished());
    let (alone, paths) = in_store.unzip();
    let what = "half-written file of the store";
    all.extend(paths.into_iter().flatten().map(|path| leftover(path, what)));
    Leftovers { all, _alone_in_store: alone }
}

/// Entries of a directory that belong to this user.
fn mine(dir: &Path) -> Vec<(PathBuf, std::fs::Metadata)> {
    let user = nix::unistd::geteuid().as_raw();
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let known = entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    known.filter(|(_, meta)| meta.uid() == user).collect()
}

fn named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(prefix.as_bytes()))
}

fn older(meta: &std::fs::Metadata, than: Duration) -> bool {
    meta.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age > than))
}

fn leftover(path: PathBuf, what: &'static str) -> Leftover {
    Leftover { bytes: bytes(&path), path, what }
}

fn of_dead(dir: &Path, what: &'static str) -> Vec<Leftover> {
    let private = mine(dir).into_iter().filter(|(_, meta)| meta.mode() & 0o077 == 0);
    let paths = private.map(|(path, _)| path);
    let dead = paths.filter(|path| path.file_name().and_then(pid_of).is_some_and(is_dead));
    dead.map(|path| leftover(path, what)).collect()
}

/// The process that `mobula-<pid>-…` belongs to.
pub fn pid_of(name: &OsStr) -> Option<u32> {
    let (pid, _) = name.to_str()?.strip_prefix("mobula-")?.split_once('-')?;
    pid.parse().ok()
}

fn is_dead(pid: u32) -> bool {
    Path::new("/proc/self").exists() && !Path::new("/proc").join(pid.to_string()).exists()
}

fn unfinished_modules(dir: &Path) -> Vec<Leftover> {
    let unfinished = |(path, meta): &(PathBuf, std::fs::Metadata)| {
        named(path, ".artifact-") && older(meta, LOCK_TIME) && unlocked(path)
    };
    let found = mine(dir).into_iter().filter(unfinished);
    found.map(|(path, _)| leftover(path, "half-written module")).collect()
}

/// Whether nobody is writing the file: a writer holds its lock as long as it lives.
fn unlocked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Sources for guests of another version of Mobula or of Eigen, and what was never finished.
fn old_sources(cache: &Path) -> Vec<Leftover> {
    let current = current_sources();
    let mut found = Vec::new();
    for (path, meta) in mine(cache) {
        match toolchain_file(&path) {
            Some(Cached::Sources) if !path.ends_with(&current) && !in_use(&path) => {
                found.push(leftover(path, "headers of another version"));
            }
            Some(Cached::Unfinished) if older(&meta, HEADERS_TIME) => {
                found.push(leftover(path, "half-written headers or library"));
            }
            _ => {}
        }
    }
    found
}

fn toolchain_file(path: &Path) -> Option<Cached> {
    toolchain::cached(path.file_name()?.to_str()?)
}

fn current_sources() -> String {
    toolchain::sources_name(toolchain::eigen().ok().flatten().as_deref())
}

/// Whether the command line of a process names the path, as that of a compiler does.
fn in_use(path: &Path) -> bool {
    let wanted = path.as_os_str().as_bytes();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.windows(wanted.len()).any(|part| part == wanted))
}

/// All that is compiled. Processes that use it have it mapped and keep it.
fn compiled() -> Vec<Leftover> {
    let Some(cache) = cache_dir() else { return Vec::new() };
    let modules = mine(&cache.join("modules")).into_iter().map(|(path, _)| path);
    let modules = modules.filter(|path| path.extension().is_some_and(|ext| ext == "mobula"));
    let ours = mine(&cache).into_iter().map(|(path, _)| path);
    let ours = ours.filter(|path| match toolchain_file(path) {
        Some(Cached::Sources) => path.ends_with(current_sources()) && !in_use(path),
        Some(Cached::Library) => !in_use(path),
        Some(Cached::Unfinished) | None => false,
    });
    let modules = modules.map(|path| leftover(path, "compiled module"));
    modules.chain(ours.map(|path| leftover(path, "headers or library"))).collect()
}

/// Bytes that a file, or everything below a directory, takes.
fn bytes(path: &Path) -> u64 {
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    if !meta.is_dir() {
        return meta.blocks() * 512;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| bytes(&entry.path())).sum()
}

fn remove(path: &Path) -> std::io::Result<()> {
    let is_dir = path.symlink_metadata()?.is_dir();
    if is_dir { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_leftover_is() {
        assert_eq!(pid_of(OsStr::new("mobula-12-x")), Some(12));
        for other in ["mobula-12", "mobula-x-1", "xmobula-1-2", "mobula--1", "mobula-99999999999-1"]
        {
            assert_eq!(pid_of(OsStr::new(other)), None, "{other}");
        }
        assert!(!is_dead(std::process::id()));
    }
}
