//! What is said to `mobula run` and `mobula invoke`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::parse::{self, DirArg, KeyValue, StateArg, Title};

pub const RUN_HELP: &str = "\
Exit code: the return value of the guest (255 when it does not fit in 0..=255); 2 wrong usage,
100 the run could not be prepared, 101 the main call trapped, 102 it timed out, 103 a rank of the job
was lost.

Started by mpirun or `srun --mpi=pmix`, all processes are ranks of one job: rank 0 runs main, every
rank runs what is chained, and state is shared by all. Only rank 0 reads files that are named here.

With --store, or MOBULA_STORE set, functions and state that the run was not given come from that
store at their first use. What the run changes is gone with it, unless --keep-state writes it back
or --save-state writes it to a file.

Examples:
  mobula run hello.wasm
  mobula run echo.wasm --input 'some text' --output -
  mobula run sgd.wasm --state demo/train=train.bin --save-state demo/weights=w.bin -- --epochs 10
  mobula run main.wasm --with worker.wasm        # main chains \"worker\" by name
  mobula run main.wasm --store jobs --keep-state # \"worker\" and the state are in the store
  mobula run tool.wasm --dir data:/data:ro -- /data/in.txt
  mobula run app.py --py-path lib -- --steps 3   # a Python function, with modules in lib
  mpirun -n 4 mobula run sgd.wasm                # one job of four ranks";

pub const INVOKE_HELP: &str = "\
Functions that are chained by name and state come from the store at their first use; nothing else
in it is read. When the main call has ended, state that changed is written back, each value whole or
not at all; if it trapped, timed out or was refused, the store stays as it was. Of two invocations
that change one value at the same time, the last one to end wins; records that both append all stay.

The output goes to standard output, behind what the function printed. Exit codes are those of
`mobula run`; 100 also when the state could not be written back.

Examples:
  mobula upload demo/counter counter.wasm
  mobula invoke demo/counter --input 5
  mobula invoke demo/counter --func 2 --threads 4 --stats -
  mobula state get demo/total | od -t d8";

#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub struct RunArgs {
    /// The module, or the Python file (`.py`), with the main function; `-` reads a module from
    /// standard input.
    pub file: PathBuf,
    /// User that the functions and the state belong to.
    #[arg(long, default_value = "demo", value_parser = parse::user)]
    pub user: String,
    /// Further modules, chained by name (default: the file's name without `.wasm`).
    #[arg(long = "with", value_name = "[NAME=]FILE")]
    pub with: Vec<String>,
    /// Where the output of the main call goes; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// State value read from a file before the run.
    #[arg(long, value_name = "USER/KEY=FILE")]
    pub state: Vec<StateArg>,
    /// State value written to a file after the run.
    #[arg(long, value_name = "USER/KEY=FILE")]
    pub save_state: Vec<StateArg>,
    /// Take functions and state that the run lacks from this store [default: MOBULA_STORE, if set].
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Write changed state back to the store (the user's own one, if none is named).
    #[arg(long)]
    pub keep_state: bool,
    #[command(flatten)]
    pub call: CallArgs,
}

#[derive(Debug, Args)]
#[command(after_help = INVOKE_HELP)]
pub struct InvokeArgs {
    /// The function: the user, a slash, the name under which it was uploaded.
    #[arg(value_name = "USER/NAME", value_parser = title())]
    pub function: Title,
    /// The store [default: MOBULA_STORE, or `mobula` in the user's data directory].
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Where the output of the main call goes [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub call: CallArgs,
}

/// How `USER/NAME` is read, whatever its bytes.
pub fn title() -> impl clap::builder::TypedValueParser<Value = Title> {
    use clap::builder::{OsStringValueParser, TypedValueParser};
    OsStringValueParser::new().try_map(|text| Title::parse(&text))
}

/// How a rank is bound to its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bind {
    /// Each thread to a CPU of the mask; memory to the NUMA node, where the rank is on one of
    /// several.
    Numa,
    /// Nothing is bound.
    None,
}

/// What every run can be told.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// Entry to start: 0 is the main function, others are FAASM_FUNC indices.
    #[arg(long = "func", value_name = "IDX", default_value_t = 0, allow_negative_numbers = true)]
    pub func: i32,
    /// Input of the main call, as text.
    #[arg(long, value_name = "STR", conflicts_with = "input_file")]
    pub input: Option<String>,
    /// Input of the main call, from a file.
    #[arg(long, value_name = "FILE")]
    pub input_file: Option<PathBuf>,
    /// Worker threads [default: one for each CPU this process may use].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Where the threads and the memory of this process are bound.
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Bind::Numa)]
    pub bind: Bind,
    /// Be a job of one rank, whatever has started this process.
    #[arg(long)]
    pub alone: bool,
    /// How long another rank may be silent before the job ends, in seconds [default: 20].
    #[arg(long, value_name = "S", value_parser = parse::seconds)]
    pub peer_timeout: Option<std::time::Duration>,
    /// Say on standard error where this rank runs: host, rank, NUMA node, cores (CPUs, as Linux
    /// numbers them), memory policy, and whether the scheduler says the same.
    #[arg(long)]
    pub report_bindings: bool,
    /// Flag for getConfFlag, on when V is 1, on or true.
    #[arg(long, value_name = "K=V")]
    pub conf: Vec<KeyValue>,
    /// Directory in which Python functions look for modules first; they may only read it.
    #[arg(long, value_name = "DIR")]
    pub py_path: Vec<PathBuf>,
    /// Directory that guests may use [default guest path: the same; read and write].
    #[arg(long, value_name = "HOST[:GUEST][:ro]")]
    pub dir: Vec<DirArg>,
    /// Environment variable of the guests.
    #[arg(long, value_name = "K=V")]
    pub env: Vec<KeyValue>,
    /// Most memory of one guest, windows not counted, e.g. 256M.
    #[arg(long, value_name = "BYTES", value_parser = parse::bytes)]
    pub max_memory: Option<usize>,
    /// Longest run of one call, in seconds; a call that runs longer fails.
    #[arg(long, value_name = "S", value_parser = parse::seconds)]
    pub timeout: Option<std::time::Duration>,
    /// Most faaslets alive at once [default: what the kernel's limit on mappings allows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_faaslets: Option<u32>,
    /// Let pushes find what was stored through windows without flags; costs a page fault a page.
    #[arg(long)]
    pub track_writes: bool,
    /// The BLAS that guests' mobulaBlas functions use: `builtin`, a library of the system (a file, or a
    /// name such as libopenblas.so.0), or `system`: whichever of the known ones is there [default:
    /// MOBULA_BLAS, or builtin].
    #[arg(long, value_name = "LIBRARY")]
    pub blas: Option<PathBuf>,
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
