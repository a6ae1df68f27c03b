//! The command line: what can be said, and the help that teaches it.

use clap::{Parser, Subcommand};

pub mod node;
pub mod parse;
pub mod run;
pub mod store;

/// Runs isolated WebAssembly functions that share state without copying.
///
/// Compile a guest, run it, look at what happened:
///
///   mobula cc -o hello.wasm hello.c
///   mobula run hello.wasm
///   mobula run --stats stats.json --threads 2 hello.wasm -- --epochs 3
///
/// Or keep functions and state, and invoke them by name:
///
///   mobula upload demo/hello hello.wasm
///   mobula invoke demo/hello --input 'some text'
///   mobula state ls demo
///
/// Something is slow or fails: mobula doctor
#[derive(Debug, Parser)]
#[command(name = "mobula", version, verbatim_doc_comment, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a function, or any WASI command module, and everything it chains.
    Run(Box<run::RunArgs>),
    /// Run a function of the store and keep the state that it changes.
    Invoke(Box<run::InvokeArgs>),
    /// Put a function into the store.
    Upload(store::UploadArgs),
    /// List the functions of the store.
    Functions(store::FunctionsArgs),
    /// Remove a function from the store.
    Rm(store::RmArgs),
    /// Put, get, list and remove state values of the store.
    State(store::StateArgs),
    /// Compile a module ahead of time, so that the first run starts at once.
    Compile(node::CompileArgs),
    /// Remove a directory when the process that started this one has ended.
    #[command(name = crate::reaper::COMMAND, hide = true)]
    Reap {
        /// The directory.
        dir: std::path::PathBuf,
    },
    /// Compile C for Mobula with whichever toolchain is installed.
    #[command(name = "cc", after_help = node::CC_HELP)]
    Cc(node::CcArgs),
    /// Compile C++ for Mobula with whichever toolchain is installed.
    #[command(name = "c++", after_help = node::CC_HELP)]
    Cxx(node::CcArgs),
    /// Compile a single file of Rust for Mobula, together with the guest crate.
    #[command(name = "rustc", after_help = node::RUSTC_HELP)]
    Rustc(node::CcArgs),
    /// Run cargo for Mobula: with whichever Rust for WebAssembly is installed.
    #[command(name = "cargo", after_help = node::CARGO_HELP)]
    Cargo(node::CcArgs),
    /// Say what a module offers, what it wants, and whether it can run here.
    Info(node::InfoArgs),
    /// Check this node: kernel, limits, memory, compilers, directories.
    Doctor(node::DoctorArgs),
    /// Remove what runs that were killed have left.
    Clean(node::CleanArgs),
    /// Print a completion script for a shell.
    Completions(node::CompletionsArgs),
    /// Print or write the manual pages.
    Man(node::ManArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
