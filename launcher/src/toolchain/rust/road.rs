//! Where a Rust for WebAssembly is: the installed target, or a distribution's compiler together with
//! the source of its standard library.
//!
//! All that cargo has to know is given in its environment, so that every subcommand and every
//! argument is its own.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::{ToolchainError, which};

/// The target of guests.
pub(super) const TARGET: &str = "wasm32-wasip1";
/// Vectors; what else the target needs is on by default.
const FEATURES: &str = "-Ctarget-feature=+simd128";
const FLAGS_OF_TARGET: &str = "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS";
/// The compiler of distributions, whose standard library is compiled here.
const DISTRIBUTION: &str = "/usr/bin/rustc";
const LIBC: &str = "/usr/lib/wasm32-wasi";
const LINKERS: [&str; 6] =
    ["wasm-ld", "wasm-ld-22", "wasm-ld-21", "wasm-ld-20", "wasm-ld-19", "wasm-ld-18"];

/// How guests are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Road {
    /// The compiler has the target's standard library.
    Installed { rustc: PathBuf },
    /// The standard library is compiled, too, and linked with wasi-libc.
    Distribution { rustc: PathBuf, linker: PathBuf },
}

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed { rustc } => write!(f, "{} with {TARGET}", rustc.display()),
            Self::Distribution { rustc, .. } => {
                write!(f, "{} with the source of its library", rustc.display())
            }
        }
    }
}

/// What of the environment decides on the settings.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    flags: Option<OsString>,
    flags_of_target: Option<OsString>,
    program: Option<PathBuf>,
}

impl Surroundings {
    pub(super) fn of_process() -> Self {
        Self {
            flags: env::var_os("RUSTFLAGS"),
            flags_of_target: env::var_os(FLAGS_OF_TARGET),
            program: env::current_exe().ok(),
        }
    }
}

/// Looks for the target, then for the distribution's way.
///
/// # Errors
/// [`ToolchainError::NoRust`], [`ToolchainError::NoCargo`].
pub fn find() -> Result<Road, ToolchainError> {
    let cargo = cargo();
    if which(&cargo).is_none() && !Path::new(&cargo).is_file() {
        return Err(ToolchainError::NoCargo);
    }
    let named = env::var_os("RUSTC").filter(|name| !name.is_empty());
    let rustc = PathBuf::from(named.unwrap_or_else(|| "rustc".into()));
    if has_target(&rustc) {
        return Ok(Road::Installed { rustc });
    }
    distribution().ok_or(ToolchainError::NoRust)
}

/// cargo, or what stands for it.
pub(super) fn cargo() -> OsString {
    env::var_os("CARGO").filter(|name| !name.is_empty()).unwrap_or_else(|| "cargo".into())
}

/// What a compiler says to `--print`.
fn printed(rustc: &Path, args: &[&str]) -> Option<PathBuf> {
    let said = Command::new(rustc).args(args).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(said.stdout).ok().filter(|_| said.status.success())?;
    Some(PathBuf::from(text.trim()))
}

fn has_target(rustc: &Path) -> bool {
    let libraries = printed(rustc, &["--print", "target-libdir", "--target", TARGET]);
    let files = libraries.and_then(|dir| dir.read_dir().ok()).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.file_name().as_encoded_bytes().starts_with(b"libstd-"))
}

fn distribution() -> Option<Road> {
    let rustc = PathBuf::from(DISTRIBUTION);
    let source = printed(&rustc, &["--print", "sysroot"])?.join("lib/rustlib/src/rust/library/std");
    let linker = LINKERS.iter().find_map(|name| which(OsStr::new(name)))?;
    let complete = source.is_dir() && Path::new(LIBC).join("libc.a").is_file();
    complete.then_some(Road::Distribution { rustc, linker })
}

/// Flags after others, which may be none.
fn with_flags(others: Option<&OsString>, ours: &str) -> OsString {
    let mut all = others.cloned().unwrap_or_default();
    if !all.is_empty() {
        all.push(" ");
    }
    all.push(ours);
    all
}

impl Road {
    /// Variables that send cargo down this road.
    pub(super) fn settings(&self, around: &Surroundings) -> Vec<(&'static str, OsString)> {
        let mut all = vec![("CARGO_BUILD_TARGET", OsString::from(TARGET))];
        let mut flags = FEATURES.to_owned();
        if let Self::Distribution { rustc, linker } = self {
            flags += &format!(" -L{LIBC}");
            all.extend([
                ("RUSTC", rustc.into()),
                // Compiling the standard library is not a stable option of cargo.
                ("RUSTC_BOOTSTRAP", "1".into()),
                ("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort".into()),
                ("CARGO_TARGET_WASM32_WASIP1_LINKER", linker.into()),
            ]);
        }
        // Where RUSTFLAGS are set, cargo looks at no others.
        all.push(match &around.flags {
            Some(others) => ("RUSTFLAGS", with_flags(Some(others), &flags)),
            None => (FLAGS_OF_TARGET, with_flags(around.flags_of_target.as_ref(), &flags)),
        });
        if let Some(program) = &around.program {
            let mut runner = program.clone().into_os_string();
            runner.push(" run");
            all.push(("CARGO_TARGET_WASM32_WASIP1_RUNNER", runner));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(road: &Road, around: &Surroundings, name: &str) -> Option<String> {
        let all = road.settings(around);
        let found = all.into_iter().find(|(known, _)| *known == name)?;
        Some(found.1.to_string_lossy().into_owned())
    }

    #[test]
    fn an_installed_target_needs_only_its_name_and_features() {
        let road = Road::Installed { rustc: "rustc".into() };
        let plain = Surroundings { program: Some("/bin/mobula".into()), ..Surroundings::default() };
        assert_eq!(of(&road, &plain, "CARGO_BUILD_TARGET").unwrap(), TARGET);
        assert_eq!(of(&road, &plain, FLAGS_OF_TARGET).unwrap(), FEATURES);
        let runner = of(&road, &plain, "CARGO_TARGET_WASM32_WASIP1_RUNNER");
        assert_eq!(runner.unwrap(), "/bin/mobula run");
        assert_eq!(of(&road, &plain, "RUSTC_BOOTSTRAP"), None);
    }

    #[test]
    fn the_users_flags_stay_and_ours_are_where_cargo_looks() {
        let road =
            Road::Distribution { rustc: "/usr/bin/rustc".into(), linker: "/bin/wasm-ld".into() };
        let around = Surroundings { flags: Some("-g".into()), ..Surroundings::default() };
        let flags = of(&road, &around, "RUSTFLAGS").unwrap();
        assert_eq!(flags, format!("-g {FEATURES} -L{LIBC}"));
        assert_eq!(of(&road, &around, FLAGS_OF_TARGET), None);
        assert_eq!(of(&road, &around, "CARGO_UNSTABLE_BUILD_STD").unwrap(), "std,panic_abort");
    }
}
