//! What a store carries: the faaslet's side of the host, and the call that runs in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use mobula_shm::PageBytes;
use wasmtime::{Func, Memory, ResourceLimiter};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::call::{Slot, Title};
use crate::children::Children;
use crate::function::{Entry, Function};
use crate::memory::GuestMemory;
use crate::memory::window::Windows;
use crate::runtime::Rank;
use crate::sched::with_worker;
use crate::scratch::ScratchDir;
use crate::snapshot::KnownPages;
use crate::state::{HeldLock, Mode, Value};
use crate::stdio::{CallStream, Stream};

/// Most elements a guest's table may grow to.
const TABLE_ELEMENTS: usize = 10_000_000;

/// Data of a faaslet's store.
pub(crate) struct Host {
    pub(crate) rank: Arc<Rank>,
    pub(crate) function: Arc<Function>,
    pub(crate) memory: Option<GuestSide>,
    pub(crate) call: CallState,
    /// Host functions that the interpreter has asked for by name.
    pub(crate) functions: HashMap<Box<str>, Func>,
    wasi: Option<Box<Wasi>>,
}

/// The memory of a faaslet and what the runtime keeps about it.
pub(crate) struct GuestSide {
    pub(crate) bytes: Arc<GuestMemory>,
    pub(crate) wasm: Memory,
    pub(crate) windows: Windows,
    pub(crate) known: KnownPages,
    /// Bytes below the memory's end at the start of a call that are neither image nor window: what
    /// heaps of earlier calls left below windows. They are not this call's.
    pub(crate) gap: usize,
}

impl GuestSide {
    /// Watches stores to windows of `values` that are not watched yet, if the run wants it. Where the
    /// system refuses, all that they show counts as stored to.
    pub(crate) fn watch(&mut self, rank: &Rank, values: &[Arc<Value>]) {
        let Some(tracking) = &rank.tracking else { return };
        let reservation = self.bytes.reservation();
        self.windows.guard(|value, at, chunks| {
            let value = values.iter().find(|open| open.id() == value)?;
            if !rank.config.track_writes && !value.sends_any(&chunks) {
                return None;
            }
            let watch = tracking.as_ref().and_then(|tracker| {
                let (at, len) = (PageBytes::new(at.start)?, PageBytes::new(at.len())?);
                tracker.watch(reservation, at, len).ok()
            });
            Some(value.watch(watch, chunks))
        });
    }
}

/// What belongs to one call and is gone with it.
#[derive(Default)]
pub(crate) struct CallState {
    /// `None` while constructors and the proto-function run.
    pub(crate) slot: Option<Slot>,
    pub(crate) entry: Entry,
    pub(crate) serial: u64,
    pub(crate) input: Vec<u8>,
    pub(crate) output: Vec<u8>,
    /// The return code that a Python function has told.
    pub(crate) code: Option<i32>,
    pub(crate) children: Children,
    pub(crate) locks: Vec<(HeldLock, Mode)>,
    /// This call's number for locks that other ranks serve; 0 until it asks for one.
    pub(crate) lock_id: u64,
    pub(crate) opened: Vec<Arc<Value>>,
    /// When its time is over.
    pub(crate) deadline: Option<Instant>,
    is_main: bool,
}

struct Wasi {
    ctx: WasiP1Ctx,
    streams: [CallStream; 2],
    /// Dropped after the context, which has files open there.
    _tmp: Option<ScratchDir>,
}

impl Host {
    pub(crate) fn new(rank: Arc<Rank>, function: Arc<Function>) -> Self {
        let (call, functions) = (CallState::default(), HashMap::new());
        Self { rank, function, memory: None, call, functions, wasi: None }
    }

    /// Starts a call.
    pub(crate) fn begin(&mut self, slot: Slot, entry: Entry, input: Vec<u8>) {
        let call = &mut self.call;
        call.slot = Some(slot);
        call.entry = entry;
        call.serial += 1;
        call.input = input;
        call.code = None;
        call.is_main = self.rank.is_main(slot);
        // Faaslets differ in their slots' numbers, calls of a faaslet in their serial.
        call.children.begin((u64::from(slot) << 32) ^ call.serial);
    }

    /// What runs, for messages.
    pub(crate) fn title(&self) -> Title {
        Title::new(self.function.id, self.call.entry)
    }

    /// Ends the call, whatever it left open, and returns its output.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        let call = &mut self.call;
        if let Some(slot) = call.slot.take() {
            for (lock, mode) in call.locks.drain(..) {
                match lock {
                    HeldLock::Here(lock) => {
                        let released = lock.release(u64::from(slot), mode);
                        debug_assert!(released.is_ok(), "a call's list holds what it holds");
                    }
                    HeldLock::There(server, name) => {
                        let Some(spread) = self.rank.state.spread() else { continue };
                        let (on, id) = (spread.clone(), call.lock_id);
                        spread.spawn(async move {
                            // A server that is gone ends the job.
                            on.unlock_there(server, name, mode, id).await.ok();
                        });
                    }
                }
            }
            if std::mem::take(&mut call.lock_id) != 0 {
                self.rank.calls.set_lock_id(slot, 0);
            }
        }
        for value in call.opened.drain(..) {
            value.closed();
        }
        let rank = &self.rank;
        call.children.end(|child| {
            rank.with_free_slots(|free| rank.calls.release(free, child));
        });
        call.input = Vec::new();
        self.end_wasi();
        std::mem::take(&mut self.call.output)
    }

    /// Drops the WASI context: open files, and stream buffers after handing them on.
    pub(crate) fn end_wasi(&mut self) {
        if let Some(wasi) = self.wasi.take() {
            wasi.streams.iter().for_each(CallStream::finish);
        }
    }

    /// The WASI context of this call, made when the guest first needs it.
    pub(crate) fn wasi(&mut self) -> &mut WasiP1Ctx {
        let (rank, function, is_main) = (&self.rank, &self.function, self.call.is_main);
        &mut self.wasi.get_or_insert_with(|| Box::new(Wasi::new(rank, function, is_main))).ctx
    }

    /// Notes that the running call has a window on `value`; false where the value is being replaced.
    pub(crate) fn note_open(&mut self, value: &Arc<Value>) -> bool {
        if self.call.opened.iter().any(|open| open.id() == value.id()) {
            return true;
        }
        let opened = value.try_open();
        if opened {
            self.call.opened.push(value.clone());
        }
        opened
    }

    /// Watches stores to this call's windows that are not watched yet, if the run wants it.
    pub(crate) fn watch_windows(&mut self) {
        if let Some(side) = &mut self.memory {
            side.watch(&self.rank, &self.call.opened);
        }
    }

    /// Gives the address space of the window at `ptr` back.
    ///
    /// # Errors
    /// When this call has no window there, or the proto-function opened it.
    pub(crate) fn close_window(&mut self, ptr: u32) -> wasmtime::Result<()> {
        let serial = self.call.serial;
        let Some(side) = &mut self.memory else { wasmtime::bail!("the module has no memory") };
        let value = side.windows.unmap(&side.bytes, ptr as usize, serial)?;
        if !side.windows.uses(value, serial)
            && let Some(at) = self.call.opened.iter().position(|open| open.id() == value)
        {
            self.call.opened.swap_remove(at).closed();
        }
        Ok(())
    }

    /// Takes the values with windows over, which stay open; for the snapshot.
    pub(crate) fn take_opened(&mut self) -> Vec<Arc<Value>> {
        std::mem::take(&mut self.call.opened)
    }

    pub(crate) fn count(
        &self,
        counter: impl Fn(&crate::stats::WorkerStats) -> &std::sync::atomic::AtomicU64,
    ) {
        with_worker(|worker| {
            if let Some(worker) = worker {
                crate::stats::add(counter(self.rank.stats.worker(worker.index)), 1);
            }
        });
    }
}

impl Wasi {
    fn new(rank: &Rank, function: &Function, is_main: bool) -> Self {
        let config = &rank.config;
        let streams = [Stream::Stdout, Stream::Stderr]
            .map(|stream| CallStream::new(rank.stdio.clone(), stream, is_main));
        let mut builder = WasiCtxBuilder::new();
        builder.stdout(streams[0].clone()).stderr(streams[1].clone()).args(&config.args);
        if is_main {
            builder.inherit_stdin();
        }
        for (key, value) in &config.env {
            builder.env(key, value);
        }
        for dir in &config.dirs {
            let perms = if dir.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
            // Checked when the runtime started; a directory removed since is simply not there.
            let _ = builder.preopened_dir(&dir.host, &dir.guest, perms);
        }
        if let (Some(_), Some(python)) = (&function.script, &config.python) {
            for (key, value) in crate::python::ENVIRONMENT {
                builder.env(key, value);
            }
            let library = crate::python::LIBRARY_DIR;
            let _ = builder.preopened_dir(&python.library, library, FsPerms::ReadOnly);
        }
        let scratch = rank.scratch.as_ref().filter(|_| function.artifact.info.opens_files());
        // Without room for it the guest finds no /tmp, which its own calls tell it.
        let tmp = scratch.and_then(|scratch| scratch.dir().ok());
        if let Some(dir) = &tmp {
            let _ = builder.preopened_dir(dir.path(), "/tmp", FsPerms::ReadWrite);
        }
        Self { ctx: builder.build_p1(), streams, _tmp: tmp }
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let others = self.memory.as_ref().map_or(0, |side| side.windows.reserved() + side.gap);
        Ok(desired.saturating_sub(others) <= self.rank.config.max_memory)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}
