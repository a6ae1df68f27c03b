//! `mobula`: runs isolated WebAssembly functions over shared state.
//!
//! parse → prepare → run → report, visible here in one screen; what each command does is in its
//! module. No `unsafe` lives in this crate, and no policy but that of `placement`.

#![forbid(unsafe_code)]

mod clean;
mod cli;
mod compile;
mod describe;
mod doctor;
mod functions;
mod info;
mod job;
mod pages;
mod placement;
mod progress;
mod python;
mod reaper;
mod run;
mod srun;
mod store;
mod toolchain;
mod topology;
mod values;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use cli::{Cli, Command};

/// Exit codes besides the guest's own return value. `mobula run --help` lists them.
pub mod exit {
    /// Wrong usage of the command line, as clap exits.
    pub const USAGE: u8 = 2;
    /// The run could not be prepared: files, modules, memory.
    pub const SETUP: u8 = 100;
    /// The main call trapped or was refused.
    pub const TRAP: u8 = 101;
    /// The main call ran longer than `--timeout`.
    pub const TIMEOUT: u8 = 102;
    /// A rank of the job is gone, or the connection between ranks failed.
    pub const LOST: u8 = mobula_runtime::fabric::FAILED;
    /// Told to end by SIGTERM, as shells count it.
    pub const KILLED: u8 = 143;
    /// The guest returned a value that an exit code cannot hold.
    pub const WIDE: u8 = 255;
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(*args),
        Command::Invoke(args) => run::invoke(&args),
        Command::Upload(args) => functions::upload(&args),
        Command::Functions(args) => functions::list(&args),
        Command::Rm(args) => functions::remove(&args),
        Command::State(args) => values::run(&args),
        Command::Compile(args) => compile::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Clean(args) => clean::run(&args),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
        Command::Reap { dir } => Ok(reaper::reap(&dir)),
        Command::Cc(args) => cc(toolchain::Language::C, &args.args),
        Command::Cxx(args) => cc(toolchain::Language::Cxx, &args.args),
        Command::Rustc(args) => compiled(toolchain::rust::rustc(&args.args)),
        Command::Cargo(args) => compiled(toolchain::rust::cargo(&args.args)),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(err) => {
            tell(&format!("error: {err:#}"));
            ExitCode::from(exit::SETUP)
        }
    }
}

/// Says something on standard error; where that is closed, nobody wants to know. One write, so that
/// lines of processes that share it stay whole.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(format!("mobula: {text}\n").as_bytes());
}

/// Prints JSON or text on standard output.
fn say(text: impl std::fmt::Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("writing to standard output")
}

fn cc(language: toolchain::Language, args: &[std::ffi::OsString]) -> anyhow::Result<u8> {
    compiled(toolchain::run(language, args))
}

/// The exit code of a compiler is ours.
fn compiled(
    status: Result<std::process::ExitStatus, toolchain::ToolchainError>,
) -> anyhow::Result<u8> {
    Ok(status?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::SETUP))
}
