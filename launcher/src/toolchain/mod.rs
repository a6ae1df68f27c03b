//! `mobula cc` and `mobula c++`: a compiler for WebAssembly or, with `--native`, the system's own;
//! `mobula cargo` and `mobula rustc` are in `rust`.
//!
//! ```text
//!  arguments ─▶ options ─┬▶ wasm:   find() ─▶ Toolchain ─▶ command_line() (pure) ─▶ run
//!                        └▶ native: $CC or cc            ─▶ command_line() (pure) ─▶ run
//!                           embedded: headers and libraries that both are given, in a cache
//! ```

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;

mod archive;
mod eigen;
mod embedded;
mod find;
mod native;
mod options;
pub mod rust;
mod wasm;

pub use eigen::find as eigen;
pub use embedded::{Cached, cached, sources_name};
pub use find::{find, which};

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
    #[error("cannot write headers and libraries to {path}: {source}; MOBULA_CACHE names a place")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("--stack-size {size}: {why}; write it as BYTES, 64K or 4M")]
    StackSize { size: String, why: String },
    #[error("no compiler {program} for native builds; install one or name it in {var}")]
    NoNative { var: &'static str, program: String },
    #[error(
        "no Rust for WebAssembly found. Install one:\n  \
         with rustup:      rustup target add wasm32-wasip1\n  \
         Debian, Ubuntu:   apt-get install rustc-web rust-web-src wasi-libc lld-19"
    )]
    NoRust,
    #[error("no cargo found; install Rust (rustup.rs, or your distribution's cargo)")]
    NoCargo,
    #[error(
        "rustc: {why}; write it as: mobula rustc [--native] [-g] [-o OUT] F.rs. What needs more is a \
         project of cargo's: mobula cargo build --release"
    )]
    RustArgs { why: String },
    #[error("{program} cannot compile the {name} library that comes with mobula:\n{said}")]
    Library { name: String, program: String, said: String },
}

/// Compiles as the arguments say.
///
/// # Errors
/// [`ToolchainError`] when there is no compiler, it cannot be started, or an option of ours is
/// wrong; what the compiler itself says goes to stderr and shows in the status.
pub fn run(language: Language, args: &[OsString]) -> Result<ExitStatus, ToolchainError> {
    let options = options::parse(args)?;
    if options.native { native::run(language, &options) } else { wasm::run(language, &options) }
}
