//! What is said to the commands about the store.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::parse::{self, Title};
use super::run::title;

const UPLOAD_HELP: &str = "\
The module is checked before anything is stored: what is truncated, not valid, or needs imports that
Mobula lacks is refused, and the function stays what it was. Runs that have loaded the old function
go on with it.

Examples:
  mobula cc -o counter.wasm counter.c && mobula upload demo/counter counter.wasm
  mobula invoke demo/counter";

const STATE_HELP: &str = "\
A key has 1 to 255 bytes of any kind but NUL; everything behind the first slash is the key. Names
that a terminal could not show are listed as $'…', which a shell reads back.

Examples:
  mobula state put demo/train --file train.bin
  printf 1234 | mobula state put demo/seed
  mobula state get demo/weights --file weights.bin
  mobula state ls demo
  mobula state rm demo/weights";

/// Which store.
#[derive(Debug, Args)]
pub struct StoreArg {
    /// The store [default: MOBULA_STORE, or `mobula` in the user's data directory].
    #[arg(long, value_name = "DIR", global = true)]
    pub store: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = UPLOAD_HELP)]
pub struct UploadArgs {
    /// The function: the user, a slash, the name by which it is invoked and chained.
    #[arg(value_name = "USER/NAME", value_parser = title())]
    pub function: Title,
    /// The module; `-` reads it from standard input.
    pub file: PathBuf,
    /// Print what was stored as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Args)]
pub struct FunctionsArgs {
    /// Only this user's.
    #[arg(value_parser = parse::user)]
    pub user: Option<String>,
    /// Print a JSON array.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Args)]
pub struct RmArgs {
    /// The function to remove.
    #[arg(value_name = "USER/NAME", value_parser = title())]
    pub function: Title,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Args)]
#[command(after_help = STATE_HELP, disable_help_subcommand = true)]
pub struct StateArgs {
    #[command(subcommand)]
    pub command: StateCommand,
    #[command(flatten)]
    pub store: StoreArg,
}

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Store a value.
    Put {
        /// The user, a slash, the key.
        #[arg(value_name = "USER/KEY", value_parser = title())]
        key: Title,
        /// Where the bytes come from; `-` is standard input.
        #[arg(long, default_value = "-")]
        file: PathBuf,
        /// Print what was stored as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a value, or write it to a file.
    Get {
        /// The user, a slash, the key.
        #[arg(value_name = "USER/KEY", value_parser = title())]
        key: Title,
        /// Where the bytes go; `-` is standard output.
        #[arg(long, default_value = "-")]
        file: PathBuf,
        /// The key's appended records, one behind the other, instead of its value.
        #[arg(long)]
        appended: bool,
        /// Print length and checksum as JSON; the bytes only go to a --file.
        #[arg(long)]
        json: bool,
    },
    /// List keys with their sizes.
    Ls {
        /// Only this user's.
        #[arg(value_parser = parse::user)]
        user: Option<String>,
        /// Print a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Remove a key's value and its appended records.
    Rm {
        /// The user, a slash, the key.
        #[arg(value_name = "USER/KEY", value_parser = title())]
        key: Title,
        /// Print what was removed as JSON.
        #[arg(long)]
        json: bool,
    },
}
