//! `--native`: the guest as an ordinary program, by the system's own compiler.
//!
//! The library that stands for the host is compiled once by the same compiler. Only flags that
//! change how objects fit together (sanitizers, `-m32`) go into it, and never `-march=native`: a
//! cache may be shared by machines of different kinds.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::find::which;
use super::options::{Options, links};
use super::{Language, ToolchainError, eigen, embedded};

/// Compiles with `$CC` or cc, `$CXX` or c++.
///
/// # Errors
/// [`ToolchainError`] when there is no compiler or the library cannot be compiled; what the
/// compiler says of the guest goes to stderr and shows in the status.
pub(super) fn run(language: Language, options: &Options) -> Result<ExitStatus, ToolchainError> {
    let (program, words) = compiler(language)?;
    let eigen = eigen::find()?;
    let sources = embedded::sources(eigen.as_deref())?;
    let library = if links_program(&options.args) {
        let line = library_line(&words, &sources, &options.args);
        let library = embedded::Library {
            name: "native",
            suffix: "o",
            program: &program,
            line,
            sources: vec![sources.join(embedded::NATIVE)],
            path: None,
        };
        Some(library.file(only)?)
    } else {
        None
    };
    let mut line = words.clone();
    if let Some(eigen) = eigen {
        line.extend(["-isystem".into(), eigen.into()]);
    }
    line.extend(command_line(&sources, library.as_deref(), &options.args));
    let done = Command::new(&program).args(line).status();
    done.map_err(|source| ToolchainError::Run { program: program.display().to_string(), source })
}

/// The one object there is: with it, main stays weak and everything is exported.
fn only(objects: &[embedded::Object]) -> Result<Vec<u8>, String> {
    match objects {
        [(_, object)] => Ok(object.clone()),
        _ => Err(format!("it gave {} objects instead of one", objects.len())),
    }
}

/// The compiler's file, and further words of the variable that names it.
fn compiler(language: Language) -> Result<(PathBuf, Vec<OsString>), ToolchainError> {
    let (var, default) = if language == Language::C { ("CC", "cc") } else { ("CXX", "c++") };
    let named = std::env::var(var).ok().filter(|text| !text.trim().is_empty());
    let named = named.unwrap_or_else(|| default.to_owned());
    let mut words = named.split_whitespace().map(OsString::from);
    let program = words.next().unwrap_or_default();
    let found = if Path::new(&program).components().count() > 1 {
        Some(PathBuf::from(&program)).filter(|path| path.is_file())
    } else {
        which(&program)
    };
    let missing = || ToolchainError::NoNative { var, program: program.display().to_string() };
    let found = found.and_then(|path| std::path::absolute(path).ok());
    Ok((found.ok_or_else(missing)?, words.collect()))
}

fn links_program(args: &[OsString]) -> bool {
    links(args) && !args.iter().any(|arg| arg == "-shared")
}

/// Flags with which all objects of a program have to be compiled.
fn common(args: &[OsString]) -> impl Iterator<Item = &OsString> {
    let all = [OsStr::new("-m32"), OsStr::new("-m64"), OsStr::new("-g")];
    args.iter().filter(move |arg| {
        arg.as_encoded_bytes().starts_with(b"-fsanitize") || all.contains(&arg.as_os_str())
    })
}

fn library_line(words: &[OsString], sources: &Path, args: &[OsString]) -> Vec<OsString> {
    let mut line = words.to_vec();
    line.extend(["-O3", "-fPIC", "-pthread", "-DFAASM_NATIVE", "-x", "c"].map(OsString::from));
    line.extend(common(args).cloned());
    line.extend(["-I".into(), sources.join("include").into()]);
    line
}

/// Our flags, the user's arguments, the library.
fn command_line(sources: &Path, library: Option<&Path>, args: &[OsString]) -> Vec<OsString> {
    let mut line = Vec::new();
    line.extend(["-O3", "-march=native", "-pthread", "-DFAASM_NATIVE"].map(OsString::from));
    line.extend(["-isystem".into(), sources.join("include").into()]);
    if args.iter().any(|arg| arg == "-shared") {
        // Its own functions, not those of the same names in the executable.
        line.extend(["-fPIC", "-Wl,-Bsymbolic"].map(OsString::from));
    }
    line.extend(args.iter().cloned());
    if let Some(library) = library {
        // The executable answers what shared objects ask of the host.
        line.extend(["-rdynamic", "-x", "none"].map(OsString::from));
        line.extend([library.into(), "-ldl".into()]);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &str) -> String {
        let args: Vec<_> = args.split(' ').map(OsString::from).collect();
        let library = links_program(&args).then_some(Path::new("/lib.o"));
        let line = command_line(Path::new("/src"), library, &args);
        line.iter().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_program_gets_the_library_behind_the_users_arguments() {
        let line = line("-O1 -o a a.c");
        assert!(line.contains(" -isystem /src/include -O1 -o a a.c -rdynamic "), "{line}");
        assert!(line.ends_with("-x none /lib.o -ldl"), "{line}");
    }

    #[test]
    fn a_shared_object_leaves_the_host_to_the_executable() {
        let line = line("-shared -o a.so a.c");
        assert!(line.contains("-fPIC -Wl,-Bsymbolic -shared"), "{line}");
        assert!(!line.contains("/lib.o") && !line.contains("-rdynamic"), "{line}");
    }

    #[test]
    fn sanitizers_cover_the_library() {
        let args = ["-fsanitize=thread", "-O2", "a.c"].map(OsString::from);
        let line = library_line(&[], Path::new("/src"), &args);
        assert!(line.contains(&"-fsanitize=thread".into()) && !line.contains(&"-O2".into()));
    }
}
