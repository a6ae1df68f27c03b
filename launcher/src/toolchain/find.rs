//! Which compiler for WebAssembly there is.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Language, ToolchainError};

/// A compiler for WebAssembly with WASI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// Named by the user; gets our flags but no target.
    Named(PathBuf),
    /// A wasi-sdk, whose clang knows its own target and libraries.
    WasiSdk(PathBuf),
    /// clang and clang++ of the system, with wasi-libc below this root, and their linker.
    Clang { suffix: String, sysroot: PathBuf, linker: PathBuf },
    /// zig as a compiler: the command that starts it.
    Zig(Vec<String>),
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(path) => write!(f, "{}", path.display()),
            Self::WasiSdk(sdk) => write!(f, "wasi-sdk in {}", sdk.display()),
            Self::Clang { suffix, sysroot, .. } => {
                write!(f, "clang{suffix} with wasi-libc in {}", sysroot.display())
            }
            Self::Zig(way) => write!(f, "{}", way.join(" ")),
        }
    }
}

const CLANG_SUFFIXES: [&str; 9] = ["", "-23", "-22", "-21", "-20", "-19", "-18", "-17", "-16"];
const SYSROOTS: [&str; 3] = ["/usr", "/usr/share/wasi-sysroot", "/opt/wasi-sysroot"];

/// Looks for a toolchain: what the user names, wasi-sdk, clang with wasi-libc, zig.
pub fn find(language: Language) -> Result<Toolchain, ToolchainError> {
    let var = if language == Language::C { "MOBULA_CC" } else { "MOBULA_CXX" };
    if let Some(path) = std::env::var_os(var).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return match works(&path, &["--version"]) {
            Ok(()) => Ok(Toolchain::Named(path)),
            Err(source) => Err(ToolchainError::Named { var, path, source }),
        };
    }
    let named = std::env::var_os("WASI_SDK_PATH").map(PathBuf::from);
    for sdk in named.into_iter().chain([PathBuf::from("/opt/wasi-sdk")]) {
        if sdk.join("bin/clang").is_file() {
            return Ok(Toolchain::WasiSdk(sdk));
        }
    }
    clang().or_else(zig).ok_or(ToolchainError::Missing)
}

/// The newest clang that finds everything it needs to link a program.
fn clang() -> Option<Toolchain> {
    let sysroot = SYSROOTS.iter().map(Path::new);
    let sysroot = sysroot.into_iter().find(|root| root.join("lib/wasm32-wasi/libc.a").is_file())?;
    let usable = |suffix: &&'static str| {
        let clang = format!("clang{suffix}");
        let builtins = Command::new(&clang)
            .args(["--target=wasm32-wasi", "--print-libgcc-file-name"])
            .stderr(Stdio::null())
            .output();
        // clang prints a path whether or not the library is there.
        let found = builtins.is_ok_and(|out| {
            out.status.success() && Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_file()
        });
        let linkers = [format!("wasm-ld{suffix}"), "wasm-ld".to_owned()];
        let linker = linkers.iter().find_map(|ld| which(OsStr::new(ld)))?;
        found.then(|| (suffix.to_owned(), linker))
    };
    let (suffix, linker) = CLANG_SUFFIXES.iter().find_map(usable)?;
    Some(Toolchain::Clang { suffix: suffix.to_owned(), sysroot: sysroot.to_owned(), linker })
}

fn zig() -> Option<Toolchain> {
    let ways: [&[&str]; 2] = [&["zig"], &["python3", "-m", "ziglang"]];
    let usable = |way: &&&[&str]| {
        let args: Vec<_> = way[1..].iter().copied().chain(["version"]).collect();
        works(way[0], &args).is_ok()
    };
    let way = ways.iter().find(usable)?;
    Some(Toolchain::Zig(way.iter().map(|word| (*word).to_owned()).collect()))
}

fn works(program: impl AsRef<OsStr>, args: &[&str]) -> std::io::Result<()> {
    let done =
        Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if done.success() { Ok(()) } else { Err(std::io::Error::other(done.to_string())) }
}

/// The file that a command's name means.
pub fn which(program: &OsStr) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
