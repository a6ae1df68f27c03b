//! `mobula cc` and `mobula c++`: whichever compiler for WebAssembly is installed, with our flags.
//!
//! ```text
//!  find() ─▶ Toolchain ─┐
//!  the user's arguments ─┴▶ command_line() (pure) ─▶ run()      headers: embedded, written to a cache
//! ```
//!
//! The user's arguments come after ours, so that theirs win; only libraries come last, where linkers
//! want them. `-mrelaxed-simd` lets the compiler use instructions whose last bit depends on the
//! machine (a fused or an unfused multiply-add): who needs the same bits everywhere passes
//! `-mno-relaxed-simd`. Without `-matomics` the compiler makes plain loads and stores of atomics,
//! and calls that share a window lose updates. With it thread-local variables are no longer made
//! plain ones by the compiler: see `libc/__errno.h` and `tls_base.s`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The language to compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    C,
    Cxx,
}

/// Why a guest could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    #[error(
        "no C/C++ compiler for WebAssembly found. Install one:\n  \
         Debian, Ubuntu:  apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 \
         libc++-19-dev-wasm32 libc++abi-19-dev-wasm32\n  \
         without root:    pip install ziglang\n  \
         or set WASI_SDK_PATH to a wasi-sdk, or MOBULA_CC and MOBULA_CXX to a compiler"
    )]
    Missing,
    #[error("{var} names {path}, which cannot be run: {source}")]
    Named { var: &'static str, path: PathBuf, source: std::io::Error },
    #[error("cannot run {program}: {source}")]
    Run { program: String, source: std::io::Error },
    #[error("MOBULA_EIGEN names {path}, which has no Eigen/Core: name the directory that has it")]
    Eigen { path: PathBuf },
    #[error("cannot write the headers to {path}: {source}")]
    Headers { path: PathBuf, source: std::io::Error },
}

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

const TARGET: &str = "wasm32-wasi";
const CLANG_SUFFIXES: [&str; 9] = ["", "-23", "-22", "-21", "-20", "-19", "-18", "-17", "-16"];
const SYSROOTS: [&str; 3] = ["/usr", "/usr/share/wasi-sysroot", "/opt/wasi-sysroot"];
const EMULATIONS: [&str; 4] = ["mman", "signal", "process-clocks", "getpid"];
const STACK_SIZE: &str = "-Wl,-z,stack-size=1048576";
/// The stack lies below the data, so that an overflow traps.
const STACK_FIRST: &str = "-Wl,--stack-first";

/// Stands in for main where a module has none.
const NO_MAIN: &str = "no_main.s";

/// Our replacements of headers of libc.
const LIBC: &str = "libc";
/// Corrects the addresses of thread-local variables, for linkers before this version.
const TLS_BASE: &str = "tls_base.s";
const TLS_CORRECT: u32 = 20;

/// What Faasm defines for its guests; programs ask for it.
const DEFINE: &str = "-D__faasm";

const EIGEN_HEADER: &str = "Eigen/Core";
/// Where distributions put Eigen.
const EIGEN: [&str; 2] = ["/usr/include/eigen3", "/usr/local/include/eigen3"];

/// Headers by name, sorted.
macro_rules! headers {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../guest-lib/include/faasm/", $name)))),*]
    };
}

const HEADERS: [(&str, &str); 27] = headers![
    "array.h",
    "checked.h",
    "compare.h",
    "compat.h",
    "core.h",
    "counter.h",
    "faasm.h",
    "files.h",
    "func.h",
    "host_interface.h",
    "input.h",
    "libc/__errno.h",
    "matrix.h",
    "matrix_dense.h",
    "matrix_sparse.h",
    "memory.h",
    "mobula.h",
    "no_main.s",
    "pool.h",
    "print.h",
    "random.h",
    "sgd.h",
    "sgd_update.h",
    "state.h",
    "time.h",
    "tls_base.s",
    "write_state_from_file.h",
];

/// Compiles with the first toolchain found.
///
/// # Errors
/// [`ToolchainError`] when there is none or it cannot be started; what the compiler itself says goes
/// to stderr and shows in the status.
pub fn run(language: Language, args: &[OsString]) -> Result<ExitStatus, ToolchainError> {
    let toolchain = find(language)?;
    let eigen = eigen()?;
    let include = headers(eigen.as_deref())?;
    let support = Support { include, eigen, tls_base: needs_tls_base(&toolchain) };
    let line = command_line(&toolchain, language, &support, args);
    let failed = |source| ToolchainError::Run { program: line[0].display().to_string(), source };
    let program = which(&line[0]).unwrap_or_else(|| PathBuf::from(&line[0]));
    let mut command = Command::new(program);
    command.args(&line[1..]);
    if let Some(dir) = own_directory(&toolchain, &line[0]) {
        command.env("PATH", dir);
    }
    command.status().map_err(failed)
}

/// A PATH for the system's clang: only its own directory. There it finds no `wasm-opt`, which it
/// would run after linking and which, in the versions that distributions ship, stops at relaxed SIMD
/// instructions. The linker is named by its whole path instead.
fn own_directory(toolchain: &Toolchain, clang: &OsStr) -> Option<PathBuf> {
    if !matches!(toolchain, Toolchain::Clang { .. }) {
        return None;
    }
    Some(which(clang)?.canonicalize().ok()?.parent()?.to_owned())
}

fn which(program: &OsStr) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// The directory that has `Eigen/Core`: what the user names, or the system's.
fn eigen() -> Result<Option<PathBuf>, ToolchainError> {
    if let Some(path) = std::env::var_os("MOBULA_EIGEN").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return match path.canonicalize() {
            Ok(path) if path.join(EIGEN_HEADER).is_file() => Ok(Some(path)),
            _ => Err(ToolchainError::Eigen { path }),
        };
    }
    Ok(EIGEN.iter().map(PathBuf::from).find(|path| path.join(EIGEN_HEADER).is_file()))
}

/// What of ours takes part in a compilation.
struct Support {
    include: PathBuf,
    eigen: Option<PathBuf>,
    tls_base: bool,
}

/// Whether the linker is one that gets the addresses of thread-local variables wrong. A compiler
/// named by the user links with a linker of its own version.
fn needs_tls_base(toolchain: &Toolchain) -> bool {
    let program = match toolchain {
        Toolchain::Named(path) => path.clone(),
        Toolchain::WasiSdk(sdk) => sdk.join("bin/wasm-ld"),
        Toolchain::Clang { linker, .. } => linker.clone(),
        Toolchain::Zig(_) => return false,
    };
    let said = Command::new(program).arg("--version").stderr(Stdio::null()).output();
    said.is_ok_and(|out| {
        version(&String::from_utf8_lossy(&out.stdout)).is_some_and(|version| version < TLS_CORRECT)
    })
}

/// The first number with a point after it: 19 of `Debian LLD 19.1.7`.
fn version(said: &str) -> Option<u32> {
    said.split_whitespace().find_map(|word| word.split_once('.')?.0.parse().ok())
}

/// Looks for a toolchain: what the user names, wasi-sdk, clang with wasi-libc, zig.
fn find(language: Language) -> Result<Toolchain, ToolchainError> {
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

/// The whole command: compiler, our flags, the user's arguments.
fn command_line(
    toolchain: &Toolchain,
    language: Language,
    support: &Support,
    args: &[OsString],
) -> Vec<OsString> {
    let cxx = language == Language::Cxx;
    let mut line: Vec<OsString> = match toolchain {
        Toolchain::Named(path) => vec![path.into()],
        Toolchain::WasiSdk(sdk) => {
            let name = if cxx { "bin/clang++" } else { "bin/clang" };
            vec![sdk.join(name).into(), format!("--target={TARGET}").into()]
        }
        Toolchain::Clang { suffix, sysroot, .. } => {
            let name = if cxx { "clang++" } else { "clang" };
            let root = format!("--sysroot={}", sysroot.display());
            vec![format!("{name}{suffix}").into(), format!("--target={TARGET}").into(), root.into()]
        }
        Toolchain::Zig(way) => {
            let mut line: Vec<OsString> = way.iter().map(OsString::from).collect();
            line.extend([if cxx { "c++" } else { "cc" }, "-target", TARGET].map(OsString::from));
            line
        }
    };
    let features = ["-O3", "-msimd128", "-mrelaxed-simd", "-mbulk-memory", "-matomics"];
    line.extend(features.map(OsString::from));
    line.push(DEFINE.into());
    if cxx {
        // The system's C++ library for WASI is built without exceptions.
        line.push("-fno-exceptions".into());
    }
    for name in EMULATIONS {
        let name = name.to_uppercase().replace('-', "_");
        line.push(format!("-D_WASI_EMULATED_{name}").into());
    }
    let faasm = support.include.join("faasm");
    if !matches!(toolchain, Toolchain::Zig(_)) {
        // zig compiles its libc with our flags, so it needs no correction.
        line.extend(["-isystem".into(), faasm.join(LIBC).into()]);
    }
    line.extend(["-isystem".into(), support.include.clone().into()]);
    if let Some(eigen) = &support.eigen {
        // Only this directory: beside it are native headers.
        line.extend(["-isystem".into(), eigen.into()]);
    }
    let links = links(args);
    if links {
        line.extend(link_options(toolchain));
    }
    line.extend(args.iter().cloned());
    if links {
        if !matches!(toolchain, Toolchain::Zig(_)) {
            // zig's libc does without a main.
            line.extend(["-x".into(), "assembler".into(), faasm.join(NO_MAIN).into()]);
            line.extend(support.tls_base.then(|| faasm.join(TLS_BASE).into()));
        }
        // Libraries come after the objects that need them.
        line.extend(EMULATIONS.map(|name| format!("-lwasi-emulated-{name}").into()));
    }
    line
}

/// Whether these arguments link something: there are inputs, and nothing says to stop before.
fn links(args: &[OsString]) -> bool {
    let stops = ["-c", "-S", "-E", "-fsyntax-only", "-M", "-MM", "--version", "--help"];
    let with_value = ["-o", "-x", "-I", "-D", "-U", "-L", "-isystem", "-include", "-MF", "-MT"];
    let mut values = 0;
    let mut inputs = 0;
    for arg in args {
        let option = arg.as_encoded_bytes().starts_with(b"-") && arg != "-";
        if values > 0 {
            values -= 1;
        } else if !option {
            inputs += 1;
        } else if stops.iter().any(|flag| arg == flag) {
            return false;
        } else if with_value.iter().any(|flag| arg == flag) {
            values = 1;
        }
    }
    inputs > 0
}

fn link_options(toolchain: &Toolchain) -> Vec<OsString> {
    match toolchain {
        // zig puts the stack first by itself and refuses to be told so.
        Toolchain::Zig(_) => vec![STACK_SIZE.into()],
        Toolchain::Clang { linker, .. } => {
            let linker = format!("-fuse-ld={}", linker.display());
            vec![STACK_SIZE.into(), STACK_FIRST.into(), linker.into()]
        }
        _ => vec![STACK_SIZE.into(), STACK_FIRST.into()],
    }
}

/// Writes the embedded headers below the user's cache, once for each version of them, and beside
/// them a link to Eigen, which programs written for Faasm include as `eigen3/Eigen/Core`.
fn headers(eigen: Option<&Path>) -> Result<PathBuf, ToolchainError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(eigen.map_or(&[], |path| path.as_os_str().as_encoded_bytes()));
    for (name, text) in HEADERS {
        hasher.update(name.as_bytes()).update(text.as_bytes());
    }
    let key = &hasher.finalize().to_hex()[..16];
    let root = crate::compile::cache_dir().unwrap_or_else(std::env::temp_dir);
    let include = root.join(format!("include-{key}"));
    let failed = |source| ToolchainError::Headers { path: include.clone(), source };
    if include.is_dir() {
        return Ok(include);
    }
    std::fs::create_dir_all(&root).map_err(failed)?;
    let fresh = tempfile::Builder::new().prefix(".include-").tempdir_in(&root).map_err(failed)?;
    let faasm = fresh.path().join("faasm");
    std::fs::create_dir(&faasm).map_err(failed)?;
    for (name, text) in HEADERS {
        let file = faasm.join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(&faasm)).map_err(failed)?;
        std::fs::write(file, text).map_err(failed)?;
    }
    if let Some(eigen) = eigen {
        std::os::unix::fs::symlink(eigen, fresh.path().join("eigen3")).map_err(failed)?;
    }
    match std::fs::rename(fresh.path(), &include) {
        Ok(()) => drop(fresh.keep()),
        // Another process was faster; its headers are the same.
        Err(_) if include.is_dir() => {}
        Err(source) => return Err(failed(source)),
    }
    Ok(include)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(toolchain: &Toolchain, language: Language, args: &[&str]) -> String {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        let eigen = Some("/lib/eigen3".into());
        let support = Support { include: "/inc".into(), eigen, tls_base: true };
        let line = command_line(toolchain, language, &support, &args);
        line.iter().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn users_arguments_come_after_ours_and_before_libraries() {
        let (suffix, linker) = ("-19".into(), "/bin/wasm-ld-19".into());
        let clang = Toolchain::Clang { suffix, sysroot: "/usr".into(), linker };
        let line = line(&clang, Language::C, &["-O1", "-o", "x.wasm", "x.c"]);
        assert!(line.starts_with("clang-19 --target=wasm32-wasi --sysroot=/usr -O3 "), "{line}");
        let (ours, rest) = line.split_once(" -O1 -o x.wasm x.c ").expect(&line);
        assert!(ours.contains(" -matomics "), "{line}");
        let headers =
            " -isystem /inc/faasm/libc -isystem /inc -isystem /lib/eigen3 -Wl,-z,stack-size=";
        assert!(ours.contains(headers), "{line}");
        assert!(ours.ends_with(" -fuse-ld=/bin/wasm-ld-19"), "{line}");
        let ours = "-x assembler /inc/faasm/no_main.s /inc/faasm/tls_base.s -lwasi-emulated-";
        assert!(rest.starts_with(ours), "{line}");
    }

    #[test]
    fn zig_places_the_stack_itself() {
        let line = line(&Toolchain::Zig(vec!["zig".into()]), Language::C, &["x.c"]);
        assert!(line.contains("stack-size") && !line.contains("stack-first"), "{line}");
        assert!(!line.contains("no_main") && !line.contains("tls_base"), "{line}");
        assert!(!line.contains("faasm/libc"), "{line}");
    }

    #[test]
    fn versions_of_linkers_and_compilers() {
        assert_eq!(version("Debian LLD 19.1.7\n"), Some(19));
        assert_eq!(version("LLD 22.1.8 (compatible with GNU linkers)"), Some(22));
        assert_eq!(version("Debian clang version 19.1.7 (3~deb12u1)\nTarget: wasm32"), Some(19));
        assert_eq!(version("no number"), None);
    }

    #[test]
    fn what_links_and_what_only_asks() {
        let links = |args: &str| links(&args.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(links("a.c") && links("-o a -O2 a.o") && links("-x c -"));
        assert!(!links("-v") && !links("--version") && !links("-c a.c") && !links("-D A -o a"));
    }

    #[test]
    fn compiling_without_linking_has_no_link_flags() {
        let zig = Toolchain::Zig(vec!["python3".into(), "-m".into(), "ziglang".into()]);
        let line = line(&zig, Language::Cxx, &["-c", "x.cpp"]);
        assert!(line.starts_with("python3 -m ziglang c++ -target wasm32-wasi -O3 "), "{line}");
        assert!(!line.contains("-lwasi") && !line.contains("-Wl"), "{line}");
        assert!(line.contains("-fno-exceptions"), "{line}");
    }

    #[test]
    fn every_header_in_the_tree_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/include/faasm");
        let mut names = Vec::new();
        for dir in ["", LIBC] {
            for entry in std::fs::read_dir(root.join(dir)).unwrap() {
                let entry = entry.unwrap();
                if entry.path().is_file() {
                    let name = Path::new(dir).join(entry.file_name());
                    names.push(name.into_os_string().into_string().unwrap());
                }
            }
        }
        names.sort();
        assert_eq!(names, HEADERS.map(|(name, _)| name));
    }
}
