//! Ahead-of-time artifacts on disk, and the one place where compiled code becomes a module.
//!
//! ```text
//!  <cache>/modules/<key>.mobula
//!  ┌──────────── ELF from wasmtime ────────────┬── info (JSON) ──┬─ footer (64 bytes) ─┐
//!  │ 0                                         │ code_len        │ magic, lengths, sum │
//!  └───────────────────────────────────────────┴─────────────────┴─────────────────────┘
//!  key  = BLAKE3 of (wasm bytes, wasmtime's compatibility hash: version, CPU features, settings)
//!  sum  = BLAKE3 of everything before it
//! ```
//!
//! Invariants: a file appears under its name only whole (written aside, then renamed); it is loaded
//! only when it belongs to this user, nobody else may write it, and footer and sum agree. Anything
//! else is rebuilt. A large file's sum is computed once a boot: see `stamp`.
//!
//! JUSTIFICATION for `unsafe`: `Module::deserialize_open_file` runs whatever code the file holds, so
//! wasmtime cannot offer it as a safe function. The checks above are what makes it sound.

use std::fs::{File, Metadata};
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use wasmtime::{Engine, Module};

use super::rewrite::{ModuleInfo, rewrite};
use super::stamp::{Identity, Stamp, is_ours};
use crate::error::ModuleError;

const MAGIC: &[u8; 8] = b"MOBULA2\n";
const FOOTER_BYTES: usize = 64;
/// From this length on an artifact is hashed once a boot and not at each start: hashing is 1.3 ms a MiB.
const LARGE_BYTES: u64 = 4 << 20;

/// A compiled module with what is known about it.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The compiled code.
    pub module: Module,
    /// What the rewriting found.
    pub info: ModuleInfo,
    /// Whether it came from the cache.
    pub cached: bool,
}

/// A directory of compiled modules, or none.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: Option<PathBuf>,
}

impl Cache {
    /// A cache in `dir`; it is made when something is first written.
    #[must_use]
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()) }
    }

    /// No cache: every load compiles.
    #[must_use]
    pub fn none() -> Self {
        Self { dir: None }
    }

    /// Loads the artifact of `wasm` from the cache, or compiles it and fills the cache.
    ///
    /// A cache that cannot be written costs only the next compilation.
    ///
    /// # Errors
    /// [`ModuleError`] when the module is invalid or wants something that Mobula does not offer.
    pub fn load(&self, engine: &Engine, wasm: &[u8]) -> Result<Artifact, ModuleError> {
        self.load_from(engine, self.path(engine, wasm), || Ok(wasm))
    }

    fn load_from<W: AsRef<[u8]>>(
        &self,
        engine: &Engine,
        path: Option<PathBuf>,
        wasm: impl FnOnce() -> Result<W, ModuleError>,
    ) -> Result<Artifact, ModuleError> {
        if let Some(artifact) = path.as_deref().and_then(|path| open(engine, path)) {
            return Ok(artifact);
        }
        let rewritten = rewrite(wasm()?.as_ref())?;
        let code = engine
            .precompile_module(&rewritten.wasm)
            .map_err(|err| ModuleError::Compile(format!("{err:#}")))?;
        if let Some(path) = &path
            && write(path, &code, &rewritten.info).is_ok()
            && let Some(artifact) = open(engine, path)
        {
            return Ok(Artifact { cached: false, ..artifact });
        }
        Ok(Artifact { module: from_compiler(engine, &code)?, info: rewritten.info, cached: false })
    }

    /// As [`load`](Self::load) for a large module in a file, which is only read when it has to be
    /// compiled: it is known by device, inode, size and the time of its last change.
    ///
    /// # Errors
    /// As `load`, and [`ModuleError::Read`].
    pub(crate) fn load_file(&self, engine: &Engine, file: &Path) -> Result<Artifact, ModuleError> {
        let failed = |source| ModuleError::Read { path: file.into(), source };
        let meta = std::fs::metadata(file).map_err(failed)?;
        let known_by = format!(
            "{} {} {} {} {}",
            meta.dev(),
            meta.ino(),
            meta.len(),
            meta.mtime(),
            meta.mtime_nsec()
        );
        let path = self.path_of(engine, &blake3::hash(known_by.as_bytes()));
        self.load_from(engine, path, || std::fs::read(file).map_err(failed))
    }

    /// Where the artifact of `wasm` lies for this engine; `None` without a cache.
    #[must_use]
    pub fn path(&self, engine: &Engine, wasm: &[u8]) -> Option<PathBuf> {
        self.path_of(engine, &blake3::hash(wasm))
    }

    fn path_of(&self, engine: &Engine, identity: &blake3::Hash) -> Option<PathBuf> {
        let mut hasher = Blake(blake3::Hasher::new());
        hasher.0.update(MAGIC).update(env!("CARGO_PKG_VERSION").as_bytes());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.0.update(identity.as_bytes());
        let key = hasher.0.finalize().to_hex();
        self.dir.as_ref().map(|dir| dir.join("modules").join(format!("{key}.mobula")))
    }
}

/// Lets std's `Hash` feed BLAKE3, because 64 bits are too few to name code by.
struct Blake(blake3::Hasher);

impl Hasher for Blake {
    fn finish(&self) -> u64 {
        unreachable!("only the BLAKE3 digest is read")
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

fn footer(code: &[u8], info: &[u8]) -> [u8; FOOTER_BYTES] {
    let mut out = [0; FOOTER_BYTES];
    out[..8].copy_from_slice(MAGIC);
    out[8..16].copy_from_slice(&(code.len() as u64).to_le_bytes());
    out[16..24].copy_from_slice(&(info.len() as u64).to_le_bytes());
    let mut sum = blake3::Hasher::new();
    sum.update(code).update(info).update(&out[..32]);
    out[32..].copy_from_slice(sum.finalize().as_bytes());
    out
}

fn write(path: &Path, code: &[u8], info: &ModuleInfo) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let info = serde_json::to_vec(info)?;
    let mut file = tempfile::Builder::new().prefix(".artifact-").tempfile_in(dir)?;
    // So that others can tell whether its writer lives; a file system without locks does not matter.
    let _ = file.as_file().lock();
    for part in [code, &info, &footer(code, &info)] {
        file.write_all(part)?;
    }
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

/// Opens, checks and loads an artifact; `None` when it is absent, damaged or foreign.
fn open(engine: &Engine, path: &Path) -> Option<Artifact> {
    let mut file = File::open(path).ok()?;
    let meta = file.metadata().ok()?;
    if !is_ours(&meta) {
        return None;
    }
    let stamp = if meta.len() < LARGE_BYTES { None } else { Stamp::of(path) };
    let info = checked_info(&mut file, &meta, stamp)?;
    let module = from_checked_file(engine, file)?;
    Some(Artifact { module, info, cached: true })
}

impl Artifact {
    /// Its bytes, as a file of the cache holds them; for another rank of the job.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut bytes = self.module.serialize().map_err(|err| format!("{err:#}"))?;
        let info = serde_json::to_vec(&self.info).map_err(|err| err.to_string())?;
        let footer = footer(&bytes, &info);
        bytes.extend_from_slice(&info);
        bytes.extend_from_slice(&footer);
        Ok(bytes)
    }

    /// The artifact of which another rank of the job sent the bytes; `None` when they are damaged or
    /// for another engine.
    pub(crate) fn from_bytes(engine: &Engine, bytes: &[u8]) -> Option<Self> {
        let (code, info) = checked(bytes)?;
        Some(Self { module: from_compiler(engine, code).ok()?, info, cached: false })
    }
}

/// Verifies footer and sum of the whole file, or finds that this was done, and returns the info part.
fn checked_info(file: &mut File, meta: &Metadata, stamp: Option<Stamp>) -> Option<ModuleInfo> {
    let before = Identity::of(meta);
    let tail = tail(file, meta.len())?;
    if stamp.as_ref().is_some_and(|stamp| stamp.holds(&before, &tail)) {
        return serde_json::from_slice(&tail[..tail.len() - FOOTER_BYTES]).ok();
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).ok()?);
    file.read_to_end(&mut bytes).ok()?;
    let (_, info) = checked(&bytes)?;
    if let Some(stamp) = stamp.filter(|_| bytes.ends_with(&tail)) {
        stamp.note(&before, &Identity::of(&file.metadata().ok()?), &tail);
    }
    Some(info)
}

/// Info and footer of an artifact of that length.
fn tail(file: &File, len: u64) -> Option<Vec<u8>> {
    let mut found = [0; FOOTER_BYTES];
    file.read_exact_at(&mut found, len.checked_sub(FOOTER_BYTES as u64)?).ok()?;
    let [code, info] = lengths(&found);
    let tail = info.checked_add(FOOTER_BYTES as u64)?;
    let fits = &found[..8] == MAGIC && code.checked_add(tail) == Some(len);
    let mut bytes = vec![0; usize::try_from(tail).ok().filter(|_| fits)?];
    file.read_exact_at(&mut bytes, code).ok()?;
    Some(bytes)
}

/// Lengths of code and info as a footer says them.
fn lengths(footer: &[u8; FOOTER_BYTES]) -> [u64; 2] {
    [8, 16].map(|at| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&footer[at..at + 8]);
        u64::from_le_bytes(bytes)
    })
}

/// Verifies footer and sum; code and info.
fn checked(bytes: &[u8]) -> Option<(&[u8], ModuleInfo)> {
    let (body, found) = bytes.split_at_checked(bytes.len().checked_sub(FOOTER_BYTES)?)?;
    let code_len = u64::from_le_bytes(found[8..16].try_into().ok()?);
    let (code, info) = body.split_at_checked(usize::try_from(code_len).ok()?)?;
    if footer(code, info) != *found {
        return None;
    }
    Some((code, serde_json::from_slice(info).ok()?))
}

#[allow(unsafe_code, reason = "loading compiled code cannot be safe; see JUSTIFICATION above")]
fn from_checked_file(engine: &Engine, file: File) -> Option<Module> {
    // SAFETY: the file was written by `write` from this compiler's output (the sum agrees, or did so
    // before this file, unchanged since), belongs to this user and nobody else may write to it; it is
    // never modified in place.
    unsafe { Module::deserialize_open_file(engine, file) }.ok()
}

#[allow(unsafe_code, reason = "loading compiled code cannot be safe; see JUSTIFICATION above")]
fn from_compiler(engine: &Engine, code: &[u8]) -> Result<Module, ModuleError> {
    // SAFETY: `code` is what `precompile_module` or `serialize` returned, in this process or in another
    // rank of this job (same user, same version, the sum agrees); wasmtime refuses another engine's.
    unsafe { Module::deserialize(engine, code) }
        .map_err(|err| ModuleError::Compile(format!("{err:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAT: &str = r#"(module (func (export "_faasm_func_0") (result i32) i32.const 5))"#;

    fn load(cache: &Cache, engine: &Engine) -> Artifact {
        cache.load(engine, &wat::parse_str(WAT).unwrap()).unwrap()
    }

    #[test]
    fn second_load_comes_from_the_cache_and_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, engine) = (Cache::in_dir(dir.path()), Engine::default());
        let first = load(&cache, &engine);
        let second = load(&cache, &engine);
        assert!(!first.cached && second.cached);
        assert_eq!(first.info, second.info);
    }

    #[test]
    fn damaged_truncated_and_foreign_entries_are_rebuilt() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, engine) = (Cache::in_dir(dir.path()), Engine::default());
        load(&cache, &engine);
        let path = cache.path(&engine, &wat::parse_str(WAT).unwrap()).unwrap();
        let good = std::fs::read(&path).unwrap();
        let mut bad = vec![good[..good.len() / 2].to_vec(), Vec::new(), vec![0; 64]];
        for at in [0, good.len() / 2, good.len() - 100, good.len() - 1] {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            bad.push(flipped);
        }
        for bytes in bad {
            std::fs::write(&path, &bytes).unwrap();
            assert!(!load(&cache, &engine).cached, "{} bytes loaded", bytes.len());
            assert!(load(&cache, &engine).cached, "not rebuilt");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(!load(&cache, &engine).cached, "an entry that others may write was loaded");
    }

    #[test]
    fn a_large_artifact_is_hashed_once_and_again_when_it_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, engine) = (Cache::in_dir(dir.path()), Engine::default());
        let info = load(&cache, &engine).info;
        let path = cache.path(&engine, &wat::parse_str(WAT).unwrap()).unwrap();
        let mut file = File::options().read(true).write(true).open(&path).unwrap();
        let mut check = || {
            let meta = file.metadata().unwrap();
            checked_info(&mut file, &meta, Stamp::of(&path))
        };
        // A stamp as of a file that was verified.
        let (bytes, meta) = (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap());
        let tail = tail(&File::open(&path).unwrap(), meta.len()).unwrap();
        assert!(bytes.ends_with(&tail));
        Stamp::of(&path).unwrap().write(&Identity::of(&meta), &tail).unwrap();
        assert_eq!(check().as_ref(), Some(&info));
        std::thread::sleep(std::time::Duration::from_millis(30));
        File::options().write(true).open(&path).unwrap().write_all_at(b"\0", 1).unwrap();
        assert_eq!(check(), None, "it was changed");
    }

    #[test]
    fn other_settings_have_another_entry() {
        let cache = Cache::in_dir("/nowhere");
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let other = Engine::new(&config).unwrap();
        assert_ne!(cache.path(&Engine::default(), b"x"), cache.path(&other, b"x"));
    }

    #[test]
    fn unwritable_cache_still_loads() {
        let cache = Cache::in_dir("/proc/nowhere");
        assert!(!load(&cache, &Engine::default()).cached);
    }
}
