//! The command line: what can be said, and the help that teaches it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

/// Runs isolated WebAssembly functions that share state without copying.
///
/// Compile a guest, run it, look at what happened:
///
///   mobula cc -o hello.wasm hello.c
///   mobula run hello.wasm
///   mobula run --stats stats.json --threads 2 hello.wasm -- --epochs 3
#[derive(Debug, Parser)]
#[command(name = "mobula", version, verbatim_doc_comment, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a function, or any WASI command module, and everything it chains.
    Run(Box<RunArgs>),
    /// Compile a module ahead of time, so that the first run starts at once.
    Compile(CompileArgs),
    /// Compile C for Mobula with whichever toolchain is installed.
    #[command(name = "cc", after_help = CC_HELP)]
    Cc(CcArgs),
    /// Compile C++ for Mobula with whichever toolchain is installed.
    #[command(name = "c++", after_help = CC_HELP)]
    Cxx(CcArgs),
}

const CC_HELP: &str = "\
Options of Mobula's, anywhere among the arguments:
  --stack-size BYTES[K|M]   stack of the guest [default: 1M]
  --native                  an ordinary program, for debuggers and comparisons, by $CC / $CXX
                            or cc / c++; with -shared a function to be chained by name

All other arguments go to the compiler, after Mobula's own: WebAssembly target, -O3 -msimd128
-mrelaxed-simd, the WASI emulations and the faasm/*.h headers. Looked for, in this order:
MOBULA_CC / MOBULA_CXX, wasi-sdk (WASI_SDK_PATH or /opt/wasi-sdk), clang with wasi-libc,
zig cc, python3 -m ziglang.

  mobula cc -o hello.wasm hello.c
  mobula c++ -std=c++20 -DN=100 -o sgd.wasm sgd.cpp
  mobula cc --native -g -o hello hello.c && MOBULA_INPUT=text MOBULA_OUTPUT=- ./hello";

const RUN_HELP: &str = "\
Exit code: the return value of the guest (255 when it does not fit in 0..=255); 2 wrong usage,
100 the run could not be prepared, 101 the main call trapped, 102 it timed out.

Examples:
  mobula run hello.wasm
  mobula run echo.wasm --input 'some text' --output -
  mobula run sgd.wasm --state demo/train=train.bin --save-state demo/weights=w.bin -- --epochs 10
  mobula run main.wasm --with worker.wasm        # main chains \"worker\" by name
  mobula run tool.wasm --dir data:/data:ro -- /data/in.txt";

#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub struct RunArgs {
    /// The module with the main function; `-` reads it from standard input.
    pub file: PathBuf,
    /// User that the functions and the state belong to.
    #[arg(long, default_value = "demo", value_parser = parse_user)]
    pub user: String,
    /// Entry to start: 0 is the main function, others are FAASM_FUNC indices.
    #[arg(long = "func", value_name = "IDX", default_value_t = 0, allow_negative_numbers = true)]
    pub func: i32,
    /// Further modules, chained by name (default: the file's name without `.wasm`).
    #[arg(long = "with", value_name = "[NAME=]FILE")]
    pub with: Vec<String>,
    /// Input of the main call, as text.
    #[arg(long, value_name = "STR", conflicts_with = "input_file")]
    pub input: Option<String>,
    /// Input of the main call, from a file.
    #[arg(long, value_name = "FILE")]
    pub input_file: Option<PathBuf>,
    /// Where the output of the main call goes; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Worker threads [default: one for each CPU this process may use].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Flag for getConfFlag, on when V is 1, on or true.
    #[arg(long, value_name = "K=V")]
    pub conf: Vec<KeyValue>,
    /// Directory that guests may use [default guest path: the same; read and write].
    #[arg(long, value_name = "HOST[:GUEST][:ro]")]
    pub dir: Vec<DirArg>,
    /// Environment variable of the guests.
    #[arg(long, value_name = "K=V")]
    pub env: Vec<KeyValue>,
    /// State value read from a file before the run.
    #[arg(long, value_name = "USER/KEY=FILE")]
    pub state: Vec<StateArg>,
    /// State value written to a file after the run.
    #[arg(long, value_name = "USER/KEY=FILE")]
    pub save_state: Vec<StateArg>,
    /// Most memory of one guest, windows not counted, e.g. 256M.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub max_memory: Option<usize>,
    /// Longest run of one call, in seconds; a call that runs longer fails.
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub timeout: Option<std::time::Duration>,
    /// Most faaslets alive at once [default: what the kernel's limit on mappings allows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_faaslets: Option<u32>,
    /// Write statistics of the run as JSON; `-` is standard error.
    #[arg(long, value_name = "FILE.json")]
    pub stats: Option<PathBuf>,
    /// Compile without looking at or filling the cache.
    #[arg(long)]
    pub no_cache: bool,
    /// Arguments of the guest.
    #[arg(last = true)]
    pub args: Vec<String>,
}

#[derive(Debug, Args)]
pub struct CompileArgs {
    /// Modules to compile into the cache.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Also for runs with --timeout, which need other code.
    #[arg(long)]
    pub timeout: bool,
    /// Print one JSON object a module.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CcArgs {
    /// Arguments of the compiler.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub args: Vec<OsString>,
}

/// `K=V`.
#[derive(Debug, Clone)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

impl FromStr for KeyValue {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("write it as NAME=VALUE".to_owned()),
        }
    }
}

/// `USER/KEY=FILE`.
#[derive(Debug, Clone)]
pub struct StateArg {
    pub user: String,
    pub key: String,
    pub file: PathBuf,
}

impl FromStr for StateArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(name, file)| {
            let (user, key) = name.split_once('/')?;
            (!user.is_empty() && !key.is_empty() && !file.is_empty()).then_some((user, key, file))
        });
        let (user, key, file) = parts.ok_or("write it as USER/KEY=FILE")?;
        Ok(Self { user: user.to_owned(), key: key.to_owned(), file: file.into() })
    }
}

/// `HOST[:GUEST][:ro]`.
#[derive(Debug, Clone)]
pub struct DirArg {
    pub host: PathBuf,
    pub guest: String,
    pub read_only: bool,
}

impl FromStr for DirArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (text, read_only) = match text.strip_suffix(":ro") {
            Some(rest) => (rest, true),
            None => (text.strip_suffix(":rw").unwrap_or(text), false),
        };
        let (host, guest) = text.split_once(':').unwrap_or((text, text));
        if host.is_empty() || guest.is_empty() {
            return Err("write it as HOST, HOST:GUEST or HOST:GUEST:ro".to_owned());
        }
        Ok(Self { host: host.into(), guest: guest.to_owned(), read_only })
    }
}

fn parse_user(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['/', '=', '\0']) {
        return Err("a user's name is not empty and has no / or =".to_owned());
    }
    Ok(text.to_owned())
}

pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib") {
        "" | "b" => 1usize,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        other => return Err(format!("unknown unit {other:?}; use K, M or G")),
    };
    let number: usize = digits.parse().map_err(|_| "not a number of bytes".to_owned())?;
    number.checked_mul(unit).filter(|&n| n > 0).ok_or_else(|| "out of range".to_owned())
}

fn parse_seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match std::time::Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("give a time greater than 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(parse_bytes("64K"), Ok(64 << 10));
        assert_eq!(parse_bytes("2GiB"), Ok(2 << 30));
        assert!(
            parse_bytes("0").is_err() && parse_bytes("5X").is_err() && parse_bytes("").is_err()
        );
        assert!(parse_seconds("-1").is_err() && parse_seconds("0").is_err());
        assert_eq!(parse_seconds("0.5").unwrap().as_millis(), 500);
    }

    #[test]
    fn directories_and_state() {
        let dir: DirArg = "/a:/b:ro".parse().unwrap();
        assert!(dir.read_only && dir.guest == "/b");
        let dir: DirArg = "/a".parse().unwrap();
        assert!(!dir.read_only && dir.guest == "/a");
        let state: StateArg = "u/k/x=f=g".parse().unwrap();
        assert_eq!((&*state.user, &*state.key, state.file.to_str()), ("u", "k/x", Some("f=g")));
        assert!("u=f".parse::<StateArg>().is_err() && "/k=f".parse::<StateArg>().is_err());
    }
}
