//! `mobula-graph`: prepares the graph that PageRank is measured on.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mobula_bench::graph::{GraphError, prepare};

/// The graph of the PageRank benchmark.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Turn WordNet's data files into graph.bin: synsets are vertices, pointers are edges
    Wordnet {
        /// The directory with data.noun, data.verb, data.adj and data.adv (bench/data/fetch-wordnet)
        #[arg(long, value_name = "DIR")]
        files: PathBuf,
        /// Where to write
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    let Command::Wordnet { files, out } = Cli::parse().command;
    match wordnet(&files, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mobula-graph: {error}");
            ExitCode::from(2)
        }
    }
}

fn wordnet(files: &Path, out: &Path) -> Result<(), GraphError> {
    let graph = prepare(files, out)?;
    println!(
        "{} vertices ({} without an edge out), {} edges",
        graph.vertices(),
        graph.dangling(),
        graph.sources.len()
    );
    println!("{}", out.display());
    Ok(())
}
