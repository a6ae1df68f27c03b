//! The import table: decode, check bounds, one call inward, nothing else.
//!
//! Every function here is named in `mobula_guest::abi`; what each means to a guest author is in the
//! headers. A refusal is an error, which traps the calling guest with its message and nobody else.
//!
//! Invariant: no pointer, length, index or id from a guest is used before it was checked.

use std::sync::Arc;

use wasmtime::{Caller, Engine, Linker, Module, Result, bail, format_err};

use crate::error::RuntimeError;
use crate::host::Host;
use crate::limits;
use crate::memory::GuestMemory;

mod blas;
mod call;
mod several;
mod state;

/// All host functions, WASI preview 1 included. In a job of `several` ranks those on state may wait.
pub(crate) fn linker(engine: &Engine, several: bool) -> Result<Linker<Host>, RuntimeError> {
    let mut linker = Linker::new(engine);
    let added = call::add(&mut linker)
        .and_then(|()| state::add(&mut linker, several))
        .and_then(|()| blas::add(&mut linker))
        .and_then(|()| wasmtime_wasi::p1::add_to_linker_async(&mut linker, Host::wasi))
        .and_then(|()| add_proc_exit(&mut linker));
    added.map_err(|err| RuntimeError::Engine(format!("{err:#}")))?;
    Ok(linker)
}

/// WASI's `exit` with any code; the library's own refuses codes from 126 on.
fn add_proc_exit(linker: &mut Linker<Host>) -> Result<()> {
    linker.allow_shadowing(true);
    linker.func_wrap("wasi_snapshot_preview1", "proc_exit", |code: i32| -> Result<()> {
        Err(wasmtime_wasi::I32Exit(code).into())
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Imports of the module that no host function answers, as `module.name`.
pub(crate) fn missing(linker: &Linker<Host>, module: &Module) -> Vec<String> {
    let mut probe = linker.clone();
    // Without a store only the names can be asked for: what is unknown can still be defined.
    probe.allow_shadowing(false);
    let unknown = |import: &wasmtime::ImportType<'_>| {
        let never = |_: Caller<'_, Host>| ();
        probe.func_wrap(import.module(), import.name(), never).is_ok()
    };
    module.imports().filter(unknown).map(|i| format!("{}.{}", i.module(), i.name())).collect()
}

/// The caller's memory.
pub(crate) fn memory(host: &Host) -> Result<&Arc<GuestMemory>> {
    match &host.memory {
        Some(side) => Ok(&side.bytes),
        None => bail!("the module has no memory for pointers to point into"),
    }
}

/// A length that a guest passed as a 32-bit `long`.
fn length(len: i32, what: &str) -> Result<usize> {
    usize::try_from(len).map_err(|_| format_err!("{what} is negative: {len}"))
}

/// The bytes of a NUL-terminated key, not yet checked as a key.
fn key(caller: &Caller<'_, Host>, ptr: u32) -> Result<Vec<u8>> {
    match memory(caller.data())?.read_c_string(ptr, limits::KEY_BYTES)? {
        Some(key) => Ok(key),
        None => bail!("a key has 1 to {} bytes; this one has no end there", limits::KEY_BYTES),
    }
}

/// Copies of input and output pass through the host; their size is bounded.
fn payload(caller: &Caller<'_, Host>, ptr: u32, len: i32, what: &str) -> Result<Vec<u8>> {
    let len = length(len, what)?;
    if len == 0 {
        return Ok(Vec::new());
    }
    if len > limits::PAYLOAD_BYTES {
        bail!("{what} is {len} bytes; at most {} are possible", limits::PAYLOAD_BYTES);
    }
    Ok(memory(caller.data())?.read(ptr, len)?)
}

/// Puts the name of the host function in front of a refusal.
fn named(name: &'static str) -> impl Fn(wasmtime::Error) -> wasmtime::Error {
    move |err| format_err!("{}: {err:#}", name.trim_start_matches('_'))
}
