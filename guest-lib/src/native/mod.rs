//! The host in the process itself: a program of [`main`](crate::main) runs as an ordinary one, for
//! debuggers, sanitizers and profilers.
//!
//! ```text
//!  program   settings ─▶ proto-functions ─▶ main call ─▶ calls that nobody awaited ─▶ exit
//!  pool      chain ─▶ queue ─▶ a worker, or whoever awaits the call     number of threads fixed
//!  values    key ─▶ words that all calls share; records
//!  locks     key ─▶ writer, readers; given back when the call ends
//!  host      the functions of `sys`, made of these
//! ```
//!
//! Nothing is isolated: calls share globals. A refusal is a panic, which ends the call as a trap
//! does. Outside of any call (in a unit test) each thread counts as a call of its own.

pub(crate) mod host;
mod locks;
mod pool;
mod program;
mod values;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use program::{Registered, run_program};

/// What a mutex guards here is whole between two statements, also when a call panicked meanwhile.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A setting of the environment that is not empty.
fn setting(name: &str) -> Option<std::string::String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
