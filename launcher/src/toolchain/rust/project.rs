//! A single file as a project of cargo's.
//!
//! Invariant: while the project's lock is held nobody else compiles a file of that name, so what is
//! copied to `-o` is what was compiled.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::super::{ToolchainError, embedded};
use super::road::{self, Road, Surroundings, TARGET};
use super::start;

/// What `mobula rustc` is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) source: PathBuf,
    pub(super) output: PathBuf,
    /// An ordinary program instead of a WebAssembly module.
    pub(super) native: bool,
    /// Without optimisation, with checks.
    pub(super) debug: bool,
}

/// Takes the arguments apart.
///
/// # Errors
/// [`ToolchainError::RustArgs`].
pub(super) fn parse(args: &[OsString]) -> Result<Job, ToolchainError> {
    let refused = |why: String| ToolchainError::RustArgs { why };
    let (mut source, mut output, mut native, mut debug) = (None, None, false, false);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--native" {
            native = true;
        } else if arg == "-g" {
            debug = true;
        } else if arg == "-o" {
            output = Some(rest.next().ok_or_else(|| refused("-o names a file".to_owned()))?);
        } else if arg.as_encoded_bytes().ends_with(b".rs") && source.is_none() {
            source = Some(PathBuf::from(arg));
        } else {
            return Err(refused(format!("{} is not understood", arg.display())));
        }
    }
    let source = source.ok_or_else(|| refused("there is no file F.rs".to_owned()))?;
    let suffix = if native { "" } else { "wasm" };
    let output = output.map_or_else(|| source.with_extension(suffix), PathBuf::from);
    Ok(Job { source, output, native, debug })
}

/// The name of the file as cargo takes one.
fn name_of(source: &Path) -> String {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    // Words of Rust, `test` and names that begin with a digit are none for a package.
    format!("guest-{}", stem.chars().map(plain).collect::<String>())
}

/// Text in a manifest.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

fn manifest(name: &str, source: &Path, guest: &Path) -> String {
    let (source, guest) = (quoted(source), quoted(guest));
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [[bin]]\nname = \"{name}\"\npath = {source}\n\n\
         [dependencies]\nmobula = {{ package = \"mobula-guest\", path = {guest} }}\n\
         bytemuck = {{ version = \"1\", features = [\"derive\"] }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n\n\
         [profile.release]\ndebug = \"line-tables-only\"\n\n[workspace]\n"
    )
}

/// Writes what is not written yet, so that cargo sees a change only where there is one.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    std::fs::write(path, text)
}

/// Makes the project and takes its lock.
fn prepare(dir: &Path, manifest: &str, lock: &Path) -> std::io::Result<File> {
    std::fs::create_dir_all(dir)?;
    let alone = File::create(dir.join(".lock"))?;
    alone.lock()?;
    write(&dir.join("Cargo.toml"), manifest)?;
    if !dir.join("Cargo.lock").is_file() {
        // The versions that Mobula itself was compiled with, which lie in cargo's cache then.
        std::fs::copy(lock, dir.join("Cargo.lock"))?;
    }
    Ok(alone)
}

/// Compiles the file and copies the result.
///
/// # Errors
/// [`ToolchainError`]; what the compiler says goes to stderr and shows in the status.
pub(super) fn compile(job: &Job, road: Option<&Road>) -> Result<ExitStatus, ToolchainError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ToolchainError::Write { path, source }
    };
    let source = job.source.canonicalize().map_err(|why| ToolchainError::RustArgs {
        why: format!("{}: {why}", job.source.display()),
    })?;
    let workspace = embedded::sources(super::super::eigen().ok().flatten().as_deref())?;
    let workspace = workspace.join(embedded::RUST);
    let name = name_of(&source);
    let build = embedded::rust_build();
    let dir = build.join(&name);
    let manifest = manifest(&name, &source, &workspace.join("guest-lib"));
    let alone = prepare(&dir, &manifest, &workspace.join("Cargo.lock")).map_err(failed(&dir))?;

    let target = build.join(if job.native { "native" } else { "target" });
    let mut command = Command::new(road::cargo());
    command.args(["build", "--quiet", "--manifest-path"]).arg(dir.join("Cargo.toml"));
    command.args((!job.debug).then_some("--release")).arg("--target-dir").arg(&target);
    let mut result = target;
    match road {
        Some(road) => {
            command.envs(road.settings(&Surroundings::of_process()));
            result = result.join(TARGET);
        }
        None => drop(command.env_remove("CARGO_BUILD_TARGET")),
    }
    let status = start(&mut command)?;
    if status.success() {
        let suffix = if job.native { "" } else { ".wasm" };
        let profile = if job.debug { "debug" } else { "release" };
        let made = result.join(profile).join(format!("{name}{suffix}"));
        std::fs::copy(&made, &job.output).map_err(failed(&job.output))?;
    }
    drop(alone);
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(line: &str) -> Result<Job, ToolchainError> {
        parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_in_any_order() {
        let wasm = job("-o x.wasm a/x.rs").unwrap();
        assert_eq!((wasm.source, wasm.output), ("a/x.rs".into(), "x.wasm".into()));
        assert!(!wasm.native && !wasm.debug);
        let native = job("a/x.rs --native -g").unwrap();
        assert_eq!(native.output, PathBuf::from("a/x"));
        assert!(native.native && native.debug);
        for line in ["-o x.wasm", "a.rs -o", "a.rs b.rs", "a.rs -O3"] {
            assert!(matches!(job(line), Err(ToolchainError::RustArgs { .. })), "{line}");
        }
    }

    #[test]
    fn names_are_those_of_packages() {
        assert_eq!(name_of(Path::new("/a/my file.é.rs")), "guest-my_file__");
        let text = manifest("guest-a", Path::new("/a\"b/x.rs"), Path::new("/guest"));
        assert!(text.contains(r#"path = "/a\"b/x.rs""#), "{text}");
    }
}
