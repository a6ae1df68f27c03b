//! Guests as WebAssembly modules: whichever compiler is installed, with our flags.
//!
//! The user's arguments come after ours, so that theirs win; only libraries come last, where
//! linkers want them. `-mrelaxed-simd` lets the compiler use instructions whose last bit depends on
//! the machine (a fused or an unfused multiply-add): who needs the same bits everywhere passes
//! `-mno-relaxed-simd`. Without `-matomics` the compiler makes plain loads and stores of atomics,
//! and calls that share a window lose updates. With it thread-local variables are no longer made
//! plain ones by the compiler: see `libc/__errno.h` and `tls_base.s`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::archive::archive;
use super::find::{Toolchain, find, which};
use super::options::{Options, links};
use super::{Language, ToolchainError, eigen, embedded};

const TARGET: &str = "wasm32-wasi";
/// Without -matomics clang makes plain loads and stores of atomic ones: it believes in one thread.
const FLAGS: [&str; 5] = ["-O3", "-msimd128", "-mrelaxed-simd", "-mbulk-memory", "-matomics"];
const EMULATIONS: [&str; 4] = ["mman", "signal", "process-clocks", "getpid"];
/// From this version on the linker gets the addresses of thread-local variables right.
const TLS_CORRECT: u32 = 20;
/// What Faasm defines for its guests; programs ask for it.
const DEFINE: &str = "-D__faasm";
/// The stack lies below the data, so that an overflow traps.
const STACK_FIRST: &str = "-Wl,--stack-first";

/// Compiles with the first toolchain found.
///
/// # Errors
/// [`ToolchainError`] when there is none or it cannot be started; what the compiler itself says
/// goes to stderr and shows in the status.
pub(super) fn run(language: Language, options: &Options) -> Result<ExitStatus, ToolchainError> {
    let toolchain = find(language)?;
    let eigen = eigen::find()?;
    let sources = embedded::sources(eigen.as_deref())?;
    let posix = if links(&options.args) { Some(posix(&sources)?) } else { None };
    let support = Support { sources, posix, eigen, tls_base: needs_tls_base(&toolchain) };
    let line = command_line(&toolchain, language, &support, options);
    let failed = |source| ToolchainError::Run { program: line[0].display().to_string(), source };
    let mut command = Command::new(program(&line[0]));
    command.args(&line[1..]);
    if let Some(dir) = own_directory(&toolchain, &line[0]) {
        command.env("PATH", dir);
    }
    command.status().map_err(failed)
}

/// What of ours takes part in a compilation.
struct Support {
    sources: PathBuf,
    posix: Option<PathBuf>,
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

fn program(name: &OsStr) -> PathBuf {
    let found = which(name).unwrap_or_else(|| PathBuf::from(name));
    std::path::absolute(&found).unwrap_or(found)
}

/// The library for what WASI's libc leaves out.
fn posix(sources: &Path) -> Result<PathBuf, ToolchainError> {
    let toolchain = find(Language::C)?;
    let mut line = compiler(&toolchain, Language::C);
    let path = own_directory(&toolchain, &line[0]);
    let program = program(&line.remove(0));
    line.extend(common());
    line.push("-D_GNU_SOURCE".into());
    line.extend(libc_correction(&toolchain, sources));
    line.extend(["-I".into(), sources.join(embedded::POSIX_INCLUDE).into()]);
    let sources = embedded::posix_sources(sources);
    let (name, suffix, program) = ("posix", "a", &program);
    embedded::Library { name, suffix, program, line, sources, path }.file(archive)
}

/// What all objects of a guest are compiled with, our library's included: optimisation, features
/// of the machine, definitions that switch on what the libc emulates.
fn common() -> impl Iterator<Item = OsString> {
    let name = |name: &str| name.to_uppercase().replace('-', "_");
    let emulated =
        EMULATIONS.into_iter().map(move |text| format!("-D_WASI_EMULATED_{}", name(text)));
    FLAGS.into_iter().map(OsString::from).chain(emulated.map(OsString::from))
}

/// Headers that make a libc compiled without atomics right for objects compiled with them. zig compiles
/// its libc with our flags and needs none.
fn libc_correction(toolchain: &Toolchain, sources: &Path) -> impl Iterator<Item = OsString> {
    let wanted = !matches!(toolchain, Toolchain::Zig(_));
    let words: [OsString; 2] = ["-isystem".into(), sources.join(embedded::LIBC).into()];
    words.into_iter().filter(move |_| wanted)
}

/// A PATH for the system's clang: only its own directory. There it finds no `wasm-opt`, which it
/// would run after linking and which, in the versions that distributions ship, stops at relaxed
/// SIMD instructions. The linker is named by its whole path instead.
fn own_directory(toolchain: &Toolchain, clang: &OsStr) -> Option<PathBuf> {
    if !matches!(toolchain, Toolchain::Clang { .. }) {
        return None;
    }
    Some(which(clang)?.canonicalize().ok()?.parent()?.to_owned())
}

/// The compiler, its target, and where its headers and libraries are.
fn compiler(toolchain: &Toolchain, language: Language) -> Vec<OsString> {
    let cxx = language == Language::Cxx;
    match toolchain {
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
    }
}

/// The whole command: compiler, our flags, the user's arguments, libraries.
fn command_line(
    toolchain: &Toolchain,
    language: Language,
    support: &Support,
    options: &Options,
) -> Vec<OsString> {
    let mut line = compiler(toolchain, language);
    line.extend(common());
    line.push(DEFINE.into());
    if language == Language::Cxx {
        // The system's C++ library for WASI is built without exceptions.
        line.push("-fno-exceptions".into());
    }
    let sources = &support.sources;
    let zig = matches!(toolchain, Toolchain::Zig(_));
    let late = zig || matches!(toolchain, Toolchain::Named(_));
    let posix_include = sources.join(embedded::POSIX_INCLUDE);
    line.extend(libc_correction(toolchain, sources));
    line.extend(["-isystem".into(), sources.join("include").into()]);
    if let Some(eigen) = &support.eigen {
        // Only this directory: beside it are native headers.
        line.extend(["-isystem".into(), eigen.into()]);
    }
    if !late {
        line.extend(["-isystem".into(), posix_include.clone().into()]);
    }
    let links = links(&options.args);
    if links {
        line.extend(link_options(toolchain, options.stack));
    }
    line.extend(options.args.iter().cloned());
    if late {
        // zig, which may be who is named, has its libc's headers before all that is -isystem.
        line.extend(["-I".into(), posix_include.into()]);
    }
    if links {
        if !zig {
            // zig's libc does without a main.
            line.extend(["-x", "assembler"].map(OsString::from));
            line.push(sources.join(embedded::NO_MAIN).into());
            line.extend(support.tls_base.then(|| sources.join(embedded::TLS_BASE).into()));
        }
        // Libraries come after the objects that need them.
        line.extend(["-x", "none"].map(OsString::from));
        line.extend(support.posix.iter().map(OsString::from));
        line.extend(EMULATIONS.map(|name| format!("-lwasi-emulated-{name}").into()));
    }
    line
}

fn link_options(toolchain: &Toolchain, stack: usize) -> Vec<OsString> {
    let mut line = vec![OsString::from(format!("-Wl,-z,stack-size={stack}"))];
    match toolchain {
        // zig puts the stack first by itself and refuses to be told so.
        Toolchain::Zig(_) => {}
        Toolchain::Clang { linker, .. } => {
            line.extend([STACK_FIRST.into(), format!("-fuse-ld={}", linker.display()).into()]);
        }
        _ => line.push(STACK_FIRST.into()),
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(toolchain: &Toolchain, language: Language, args: &[&str]) -> String {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        let options = crate::toolchain::options::parse(&args).unwrap();
        let eigen = Some("/lib/eigen3".into());
        let posix = Some("/posix.a".into()).filter(|_| links(&args));
        let support = Support { sources: "/src".into(), posix, eigen, tls_base: true };
        let line = command_line(toolchain, language, &support, &options);
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
        let headers = " -isystem /src/include/faasm/libc -isystem /src/include \
                       -isystem /lib/eigen3 -isystem /src/posix/include -Wl,-z,stack-size=";
        assert!(ours.contains(headers), "{line}");
        assert!(ours.ends_with(" -fuse-ld=/bin/wasm-ld-19"), "{line}");
        let objects = "-x assembler /src/include/faasm/no_main.s /src/include/faasm/tls_base.s";
        let libraries = rest.strip_prefix(objects).expect(&line);
        assert!(libraries.starts_with(" -x none /posix.a -lwasi-emulated-mman "), "{line}");
    }

    #[test]
    fn zig_places_the_stack_itself() {
        let line = line(&Toolchain::Zig(vec!["zig".into()]), Language::C, &["x.c"]);
        assert!(line.contains("stack-size=1048576") && !line.contains("stack-first"), "{line}");
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
    fn compiling_without_linking_has_no_link_flags() {
        let zig = Toolchain::Zig(vec!["python3".into(), "-m".into(), "ziglang".into()]);
        let line = line(&zig, Language::Cxx, &["-c", "x.cpp"]);
        assert!(line.starts_with("python3 -m ziglang c++ -target wasm32-wasi -O3 "), "{line}");
        assert!(!line.contains("-lwasi") && !line.contains("-Wl"), "{line}");
        assert!(line.contains("-fno-exceptions"), "{line}");
    }
}
