//! Mobula's runtime: isolated calls ("faaslets") over shared state, on one rank.
//!
//! ```no_run
//! use std::sync::Arc;
//! use mobula_runtime::{Config, ProcessStdio, Runtime};
//!
//! let runtime = Runtime::new(Config::default(), Arc::new(ProcessStdio))?;
//! runtime.register("demo", "hello", &std::fs::read("hello.wasm")?)?;
//! let finished = runtime.call("demo", "hello", 0, b"input".to_vec())?;
//! println!("{:?}: {} bytes of output", finished.outcome, finished.output.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Read in this order: [`Runtime`] (the composition root), `hostcalls` (what guests may ask),
//! `sched` (which worker runs which call), `pool` and `faaslet` (the way of a call through one
//! faaslet), `snapshot` and `memory` (what a reset does), `state` (named values, windows, locks).
//! `ARCHITECTURE.md` at the top of the repository follows one chained call through all of them.
//!
//! Limits are in [`limits`]; nothing here knows Slurm, hwloc or MPI.

pub mod config;
pub mod error;
pub mod fabric;
pub mod limits;

mod blas;
mod call;
mod children;
mod faaslet;
mod function;
mod functions;
mod host;
mod hostcalls;
mod inspect;
pub mod node;
mod pool;
mod python;
mod remote;
mod runtime;
mod scratch;
mod snapshot;
mod state;
mod stats;
mod stdio;
mod store;

#[allow(unsafe_code, reason = "wasmtime's memory traits are unsafe; see the module head")]
mod memory;
mod module;
mod sched;

pub use call::Outcome;
pub use config::{Config, Dir};
pub use error::{ModuleError, RuntimeError, StateError};
pub use inspect::{EntryInfo, Globals, ImportInfo, Inspection, MemoryInfo, inspect};
pub use module::{Artifact, Cache, ModuleInfo};
pub use python::Interpreter;
pub use runtime::{Finished, Runtime, awaited, has_begun};
pub use scratch::OnScratch;
pub use state::{StateTable, UserState, Value};
pub use stats::Report;
pub use stdio::{ProcessStdio, Sink, Stream};
pub use store::{Records, Store, StoreError, StoredValue};
