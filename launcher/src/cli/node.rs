//! What is said to the commands about this node, about modules, and about Mobula itself.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

pub const CC_HELP: &str = "\
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

pub const RUSTC_HELP: &str = "\
  -o OUT      the result [default: the file's name with .wasm, or without a suffix]
  --native    an ordinary program, for debuggers and comparisons
  -g          not optimised, with checks of overflows

The file is compiled by cargo in a project of its own, which has the crates mobula, serde and
bytemuck. The first one takes a minute where the standard library has to be compiled.

  mobula rustc -o hello.wasm hello.rs && mobula run hello.wasm
  mobula rustc --native -g hello.rs && MOBULA_INPUT=text MOBULA_OUTPUT=- ./hello";

pub const CARGO_HELP: &str = "\
All arguments go to cargo. Its environment is set so that it compiles for wasm32-wasip1, with
vectors, and that cargo run is mobula run. Looked for, in this order: the target wasm32-wasip1 of
the compiler (RUSTC, or rustc); /usr/bin/rustc with the source of its library and wasi-libc, as
Debian's rustc-web, rust-web-src and wasi-libc install them.

  mobula cargo build --release        # target/wasm32-wasip1/release/NAME.wasm
  mobula cargo run --release
  cargo run --release                 # the same program natively";

const DOCTOR_HELP: &str = "\
Run it inside the job or container whose runs matter: limits differ between a login node and a
compute node. Each check says ok, warning (it works, slower or with less) or problem (runs will
fail), what was found, and what to do. Exit code: 1 when there is a problem, else 0.

Examples:
  mobula doctor
  srun --ntasks-per-node=1 mobula doctor --json";

const CLEAN_HELP: &str = "\
Runs clean up behind themselves; only what kill -9 or a power cut stopped leaves something. Nothing
of a living process is touched. Where containers share a temporary directory but not their process
numbers, look with --dry-run first.

Examples:
  mobula clean --dry-run
  mobula clean --cache        # compiled modules too; they are compiled again when needed";

const INFO_HELP: &str = "\
Works for any WebAssembly module, also for one that cannot run here, and says what it lacks. A Python
file is loaded by the interpreter, in the sandbox; none of its functions is called but decorators.

Examples:
  mobula info hello.wasm
  mobula info app.py --py-path lib
  mobula info --json hello.wasm | jq '.imports[] | select(.offered | not)'";

const COMPLETIONS_HELP: &str = "\
Examples:
  mobula completions bash > ~/.local/share/bash-completion/completions/mobula
  mobula completions fish > ~/.config/fish/completions/mobula.fish
  mobula completions zsh > \"${fpath[1]}/_mobula\"";

const MAN_HELP: &str = "\
Examples:
  mobula man | man -l -
  mobula man ~/.local/share/man/man1      # then: man mobula-run";

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

#[derive(Debug, Args)]
#[command(after_help = DOCTOR_HELP)]
pub struct DoctorArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// The store to look at [default: MOBULA_STORE, or `mobula` in the user's data directory].
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = CLEAN_HELP)]
pub struct CleanArgs {
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Remove all compiled modules and headers from the cache, too.
    #[arg(long)]
    pub cache: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// The store to look at [default: MOBULA_STORE, or `mobula` in the user's data directory].
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = INFO_HELP)]
pub struct InfoArgs {
    /// The module or Python file; `-` reads a module from standard input.
    pub file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Directory in which a Python file finds modules first.
    #[arg(long, value_name = "DIR")]
    pub py_path: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = MAN_HELP)]
pub struct ManArgs {
    /// Directory for one page a command; without it, the main page goes to standard output.
    pub dir: Option<PathBuf>,
}
