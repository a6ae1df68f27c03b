//! `mobula`: runs isolated WebAssembly functions over shared state.
//!
//! parse → prepare → run → report, visible here in one screen; what each command does is in its
//! module. No policy and no `unsafe` live in this crate.

#![forbid(unsafe_code)]

mod cli;
mod compile;
mod reaper;
mod run;
mod toolchain;

use std::io::Write;
use std::process::ExitCode;

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
    /// The guest returned a value that an exit code cannot hold.
    pub const WIDE: u8 = 255;
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(*args),
        Command::Compile(args) => compile::run(&args),
        Command::Reap { dir } => Ok(reaper::reap(&dir)),
        Command::Cc(args) => cc(toolchain::Language::C, &args.args),
        Command::Cxx(args) => cc(toolchain::Language::Cxx, &args.args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(err) => {
            tell(&format!("error: {err:#}"));
            ExitCode::from(exit::SETUP)
        }
    }
}

/// Says something on standard error; where that is closed, nobody wants to know.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "mobula: {text}");
}

fn cc(language: toolchain::Language, args: &[std::ffi::OsString]) -> anyhow::Result<u8> {
    let status = toolchain::run(language, args)?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::SETUP))
}
