//! The store: functions and state in a directory, for runs that are not one process.
//!
//! ```text
//!  <root>/functions/<user>@/<name>.function      a module
//!        /state/<user>@/<key>.value              a state value
//!        /state/<user>@/<key>.records            appended records: u64 length, bytes, and so on
//!        /lock                                   shared by writers; clean takes it alone
//!        /lock-records                           held while records of two runs are put together
//! ```
//!
//! `name` says how names become file names, `file` what is in a file and how it changes, `keep`
//! what a run writes back.
//!
//! Invariants: a value under its name is whole, the old one or the new one, whatever is killed
//! when. Reading takes no lock. Two runs that change one value: the last one wins; records of both
//! stay.

pub mod file;
pub mod keep;
pub mod name;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result};
use mobula_runtime::{Records, Store, StoreError, StoredValue};
use nix::errno::Errno;

use file::{Seal, Writer};
use name::{Kind, Name};

/// What the runtime found when it asked for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Absent,
    Loaded(Seal),
}

/// A user and a key.
type Key = (String, Vec<u8>);

/// A directory with functions and state, and what this run has read of it.
#[derive(Debug)]
pub struct DirStore {
    root: PathBuf,
    values: Arc<Mutex<HashMap<Key, Origin>>>,
    records: Mutex<HashMap<Key, Records>>,
    /// Our share of the lock, from the first file that we write on.
    writing: Mutex<Option<File>>,
}

/// A thing in the store, for lists.
#[derive(Debug)]
pub struct Listed {
    pub name: Name,
    /// What it holds; `None` when the file is damaged or cannot be read.
    pub seal: Option<Seal>,
    pub changed: Option<SystemTime>,
}

impl Listed {
    /// Bytes of a value or a module, or of all records together.
    pub fn bytes(&self) -> Option<u64> {
        self.seal.map(|seal| seal.len.saturating_sub(8 * seal.records))
    }
}

/// The store that the environment names: `MOBULA_STORE`.
pub fn named_by_environment() -> Option<PathBuf> {
    std::env::var_os("MOBULA_STORE").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// The user's store: `MOBULA_STORE`, or `mobula` in the XDG data directory.
pub fn default_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    named_by_environment()
        .or_else(|| set("XDG_DATA_HOME").map(|dir| dir.join("mobula")))
        .or_else(|| set("HOME").map(|dir| dir.join(".local/share/mobula")))
}

/// Opens the store that a command names, or the user's.
pub fn open(named: Option<&Path>) -> Result<DirStore> {
    let dir = named.map(Path::to_owned).or_else(default_dir);
    let dir = dir.context("there is no store: give --store DIR, or set MOBULA_STORE or HOME")?;
    if dir.exists() && !dir.is_dir() {
        anyhow::bail!("the store {} is not a directory", dir.display());
    }
    Ok(DirStore::new(std::path::absolute(&dir).unwrap_or(dir)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DirStore {
    /// A store in `root`; it is made when something is first written.
    pub fn new(root: PathBuf) -> Self {
        let (records, writing) = (Mutex::default(), Mutex::default());
        Self { root, values: Arc::default(), records, writing }
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.root.join(name.path())
    }

    /// Opens a thing for reading.
    pub fn open(&self, name: &Name) -> Result<Option<file::Opened>> {
        file::open(&self.path(name)).with_context(|| self.what(name))
    }

    /// `user/name in DIR`, for messages.
    fn what(&self, name: &Name) -> String {
        format!("{} {} in {}", name.kind.word(), name.title(), self.path(name).display())
    }

    /// Begins to write a thing anew.
    pub fn writer(&self, name: &Name) -> Result<Writer> {
        let path = self.path(name);
        let dir = path.parent().unwrap_or(&self.root);
        let begin = || {
            file::make_dirs(dir)?;
            self.note_writing()?;
            Writer::new(dir)
        };
        begin().with_context(|| self.cannot(name))
    }

    /// Says to `clean`, as long as this store is open, that unfinished files have a living writer.
    fn note_writing(&self) -> io::Result<()> {
        let mut writing = lock(&self.writing);
        if writing.is_none() {
            *writing = Some(lock_file(&self.root.join("lock"), File::lock_shared)?);
        }
        Ok(())
    }

    /// Files that writers have left that are no more, and the lock that keeps new writers waiting;
    /// `None` while anybody writes.
    pub fn unfinished(&self) -> Option<(File, Vec<PathBuf>)> {
        let alone = File::open(self.root.join("lock")).ok()?;
        alone.try_lock().ok()?;
        let mut found = Vec::new();
        // What cannot be listed cannot be cleaned; the other commands say why.
        let _ = self.walk(&self.root, &mut |path| {
            let name = path.file_name().map(|name| name.as_encoded_bytes());
            if name.is_some_and(|name| name.starts_with(file::UNFINISHED.as_bytes())) {
                found.push(path.to_owned());
            }
        });
        Some((alone, found))
    }

    fn cannot(&self, name: &Name) -> String {
        format!("cannot write {}; the store has what it had before", self.what(name))
    }

    /// Replaces a thing by what `write` writes; the old one stays until the new one is whole.
    pub fn put(&self, name: &Name, write: impl FnOnce(&mut Writer) -> Result<()>) -> Result<Seal> {
        let mut writer = self.writer(name)?;
        write(&mut writer).with_context(|| self.cannot(name))?;
        let sealed = writer.seal().with_context(|| self.cannot(name))?;
        let seal = sealed.seal;
        sealed.place(&self.path(name)).with_context(|| self.cannot(name))?;
        Ok(seal)
    }

    /// Removes a thing; tells whether it was there.
    pub fn remove(&self, name: &Name) -> Result<bool> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(err) => {
                return Err(err).with_context(|| format!("cannot remove {}", self.what(name)));
            }
        }
        file::sync_dir(path.parent().unwrap_or(&self.root)).with_context(|| self.what(name))?;
        Ok(true)
    }

    /// Everything of a kind, of one user or of all, in order.
    pub fn list(&self, kind: Kind, user: Option<&str>) -> Result<Vec<Listed>> {
        let below = match user {
            Some(user) => Name::folder(user, kind),
            None => PathBuf::from(kind.folder()),
        };
        let mut found = Vec::new();
        self.walk(&self.root.join(below), &mut |path| {
            let relative = path.strip_prefix(&self.root).ok();
            let Some(name) = relative.and_then(Name::of_path) else { return };
            if name.kind == kind {
                let seal = file::open(path).ok().flatten().map(|opened| opened.seal);
                let changed = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
                found.push(Listed { name, seal, changed });
            }
        })?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Calls `see` for every file below `dir`, which need not exist.
    pub fn walk(&self, dir: &Path, see: &mut dyn FnMut(&Path)) -> Result<()> {
        let entries = match std::fs::read_dir(dir) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(|| format!("cannot list {}", dir.display()))?,
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.walk(&entry.path(), see)?;
            } else {
                see(&entry.path());
            }
        }
        Ok(())
    }

    /// Excludes other processes that put records together, until the file is dropped.
    fn exclusive(&self) -> Result<File> {
        let path = self.root.join("lock-records");
        file::make_dirs(&self.root)
            .and_then(|()| lock_file(&path, File::lock))
            .with_context(|| format!("cannot lock {}", path.display()))
    }

    /// The appended records of a key now.
    pub fn read_records(&self, name: &Name) -> Result<Option<Records>> {
        let Some(opened) = self.open(name)? else { return Ok(None) };
        let bytes = opened.read().with_context(|| self.what(name))?;
        decode_records(&bytes).map(Some).with_context(|| format!("{}: damaged", self.what(name)))
    }

    fn refusal(what: &Name, err: &anyhow::Error) -> StoreError {
        StoreError {
            what: format!("{} {}", what.kind.word(), what.title()),
            reason: format!("{err:#}"),
        }
    }
}

impl Store for DirStore {
    fn function(&self, user: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let name = Name::new(user, name.as_bytes(), Kind::Function);
        let read = || -> Result<_> {
            let Some(opened) = self.open(&name)? else { return Ok(None) };
            opened.read().map(Some).with_context(|| self.what(&name))
        };
        read().map_err(|err| Self::refusal(&name, &err))
    }

    fn function_names(&self, user: &str) -> Vec<String> {
        let list = self.list(Kind::Function, Some(user)).unwrap_or_default();
        list.into_iter().map(|found| name::readable(&found.name.name)).collect()
    }

    fn value(&self, user: &str, key: &[u8]) -> Result<Option<StoredValue>, StoreError> {
        let name = Name::new(user, key, Kind::Value);
        let opened = self.open(&name).map_err(|err| Self::refusal(&name, &err))?;
        let (key, values) = ((user.to_owned(), key.to_owned()), self.values.clone());
        let Some(opened) = opened else {
            lock(&values).insert(key, Origin::Absent);
            return Ok(None);
        };
        let seal = opened.seal;
        let whole = move || {
            lock(&values).insert(key, Origin::Loaded(seal));
        };
        Ok(Some(StoredValue { len: seal.len, bytes: Box::new(opened.reader(whole)) }))
    }

    fn records(&self, user: &str, key: &[u8]) -> Result<Option<Records>, StoreError> {
        let name = Name::new(user, key, Kind::Records);
        let records = self.read_records(&name).map_err(|err| Self::refusal(&name, &err))?;
        let seen = records.clone().unwrap_or_default();
        lock(&self.records).insert((user.to_owned(), key.to_owned()), seen);
        Ok(records)
    }
}

/// Opens and locks a file. A file system without locks gets none: there, records that two runs
/// append at the same moment may be lost, and `clean` removes nothing.
fn lock_file(path: &Path, how: fn(&File) -> io::Result<()>) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match how(&file) {
        Err(err) if err.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(err) if err.raw_os_error() == Some(Errno::ENOLCK as i32) => Ok(file),
        locked => locked.map(|()| file),
    }
}

fn decode_records(mut bytes: &[u8]) -> Option<Records> {
    let mut records = Records::default();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_at_checked(8)?;
        let len = u64::from_le_bytes(len.try_into().ok()?);
        let (record, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
        records.push(record);
        bytes = rest;
    }
    Some(records)
}
