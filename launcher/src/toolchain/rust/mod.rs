//! `mobula cargo` and `mobula rustc`: guests in Rust, by cargo.
//!
//! ```text
//!  mobula cargo ARGS… ─▶ find() ─▶ Road ─▶ settings() (pure) ─▶ cargo ARGS…
//!  mobula rustc F.rs  ─▶ a project of its own, with the guest crate ─▶ the same ─▶ copied to -o
//!        --native     ─▶ … ─▶ plain cargo
//!
//!  CACHE/guest-KEY/rust/    the guest crate, as a workspace       (see `embedded`)
//!       /rust-build/NAME/   the project of a single file; its lock serves one compilation at a time
//!                  /target  what all of them share, so that the second example compiles fast
//! ```

mod project;
mod road;

use std::ffi::OsString;
use std::process::{Command, ExitStatus};

use super::ToolchainError;
pub use road::find;

/// Runs cargo for guests.
///
/// # Errors
/// [`ToolchainError`] when there is no target for WebAssembly or cargo cannot be started; what cargo
/// says goes to stderr and shows in the status.
pub fn cargo(args: &[OsString]) -> Result<ExitStatus, ToolchainError> {
    let road = find()?;
    let mut command = Command::new(road::cargo());
    command.args(args).envs(road.settings(&road::Surroundings::of_process()));
    start(&mut command)
}

/// Compiles a single file.
///
/// # Errors
/// [`ToolchainError`] as [`cargo`], or when the arguments are not understood.
pub fn rustc(args: &[OsString]) -> Result<ExitStatus, ToolchainError> {
    let job = project::parse(args)?;
    let road = if job.native { None } else { Some(find()?) };
    project::compile(&job, road.as_ref())
}

fn start(command: &mut Command) -> Result<ExitStatus, ToolchainError> {
    let program = command.get_program().display().to_string();
    command.status().map_err(|source| ToolchainError::Run { program, source })
}
