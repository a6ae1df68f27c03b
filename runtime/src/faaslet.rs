//! The faaslet: one store, instance and memory that runs calls one after the other.
//!
//! ```text
//!  instantiate, snapshot ─▶ Clean ─run─▶ Running ─ended─▶ Dirty ─reset─▶ Unproven ─prove─▶ Clean
//!                                          │               └─reset with a scan─▶ Clean
//!                                          └─trap, time-out, failed reset─▶ Unknown ─▶ dropped
//! ```
//!
//! *Unproven* means: every known page was put back, but a page that became private during the last
//! call would still be there. A page can only become private by a page fault, and every fault of a
//! thread moves its counter. So if the call ran on one thread without suspending, and that thread's
//! counter stands where it stood before, nothing escaped; one look at the counter proves a whole batch.
//! Otherwise the page map is scanned.
//!
//! Invariant: a faaslet is handed out only when Clean.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use wasmtime::{Global, Instance, Store, Trap, TypedFunc, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::call::{Outcome, Slot};
use crate::error::ModuleError;
use crate::function::{Entry, Function};
use crate::host::{GuestSide, Host};
use crate::limits;
use crate::memory::window::Windows;
use crate::module::rewrite::MEMORY_EXPORT;
use crate::python::Turns;
use crate::runtime::Rank;
use crate::snapshot::{KnownPages, Restored, Snapshot};
use crate::state::Value;

/// Where a faaslet is in its life. See the module head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Clean,
    Running,
    Dirty,
    Unproven,
    Unknown,
}

/// The thread and its fault epoch when a call started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) worker: usize,
    pub(crate) epoch: u64,
}

/// See the module head.
pub(crate) struct Faaslet {
    store: Store<Host>,
    instance: Instance,
    globals: Vec<Global>,
    /// Code that was looked up before, by entry index; `None` for what calls addresses.
    codes: Vec<(Option<i32>, Code)>,
    snapshot: Option<Arc<Snapshot>>,
    lifecycle: Lifecycle,
    origin: Origin,
    suspended: bool,
}

/// The compiled code of an entry.
enum Code {
    /// `() -> i32`, as Mobula's own entries are.
    Value(TypedFunc<(), i32>),
    /// `() -> ()`, as `_start` is.
    Unit(TypedFunc<(), ()>),
    /// `(i32) -> i32`: calls the function at an address.
    Pointer(TypedFunc<i32, i32>),
    /// The interpreter, for any entry of a file.
    Script(Turns),
}

impl Faaslet {
    /// Instantiates the function and brings it to its snapshot, making that if it is the first.
    pub(crate) async fn create(
        rank: &Arc<Rank>,
        function: &Arc<Function>,
    ) -> Result<Box<Self>, ModuleError> {
        let mut faaslet = Self::instantiate(rank, function).await?;
        if function.artifact.info.unresettable.is_some() {
            // This instance serves one call, which ends the windows with its own.
            faaslet.store.data_mut().call.opened = faaslet.initialise().await?;
        } else {
            let snapshot = function
                .snapshot
                .get_or_try_init(|| async {
                    let opened = faaslet.initialise().await?;
                    faaslet.capture(opened).map(Arc::new)
                })
                .await?
                .clone();
            faaslet.adopt(snapshot)?;
        }
        faaslet.lifecycle = Lifecycle::Clean;
        rank.count_created();
        Ok(Box::new(faaslet))
    }

    async fn instantiate(rank: &Arc<Rank>, function: &Arc<Function>) -> Result<Self, ModuleError> {
        let failed = |err: wasmtime::Error| ModuleError::Compile(format!("{err:#}"));
        let mut store = Store::new(&rank.engine, Host::new(rank.clone(), function.clone()));
        store.limiter(|host| host);
        if let Some(timeout) = rank.config.timeout {
            store.set_epoch_deadline(ticks(timeout));
            store.data_mut().call.deadline = Some(Instant::now() + timeout);
        }
        let instance = function.pre.instantiate_async(&mut store).await.map_err(failed)?;
        if let Some(wasm) = instance.get_memory(&mut store, MEMORY_EXPORT) {
            let bytes = rank.creator.take(wasm.data_ptr(&store)).expect("our creator made it");
            let (windows, known) = (Windows::default(), KnownPages::default());
            store.data_mut().memory = Some(GuestSide { bytes, wasm, windows, known, gap: 0 });
        }
        let names = &function.artifact.info.globals;
        let globals =
            names.iter().filter_map(|name| instance.get_global(&mut store, name)).collect();
        Ok(Self {
            store,
            instance,
            globals,
            codes: Vec::new(),
            snapshot: None,
            lifecycle: Lifecycle::Dirty,
            origin: Origin { worker: usize::MAX, epoch: 0 },
            suspended: false,
        })
    }

    /// Runs what runs once: start function, constructors, proto-function. Returns the values that
    /// these have windows on, still open.
    async fn initialise(&mut self) -> Result<Vec<Arc<Value>>, ModuleError> {
        let done = self.run_initialisers().await;
        let host = self.store.data_mut();
        let opened = if done.is_ok() { host.take_opened() } else { Vec::new() };
        host.end();
        done.map(|()| opened)
    }

    async fn run_initialisers(&mut self) -> Result<(), ModuleError> {
        let function = self.store.data().function.clone();
        for name in &function.artifact.info.init {
            self.call_once::<()>(&function, name).await?;
        }
        if function.artifact.info.has_proto {
            let name = mobula_guest::abi::ZYGOTE_EXPORT;
            let code = self.call_once::<i32>(&function, name).await?;
            if code != 0 {
                return Err(function.initialise_error(name, format!("it returned {code}")));
            }
        }
        if let Some(script) = &function.script {
            let failed =
                |err: wasmtime::Error| function.initialise_error(&script.file, describe(&err));
            let turns = Turns::of(&self.instance, &mut self.store).map_err(failed)?;
            turns.prepare(&mut self.store, script).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn call_once<R>(&mut self, function: &Function, name: &str) -> Result<R, ModuleError>
    where
        R: wasmtime::WasmResults + Sync + Send + 'static,
    {
        let failed = |err: wasmtime::Error| function.initialise_error(name, describe(&err));
        let func = self.instance.get_typed_func::<(), R>(&mut self.store, name).map_err(failed)?;
        func.call_async(&mut self.store, ()).await.map_err(failed)
    }

    /// Takes the snapshot from this faaslet's present state.
    fn capture(&mut self, opened: Vec<Arc<Value>>) -> Result<Snapshot, ModuleError> {
        let globals = self.globals.iter().map(|global| global.get(&mut self.store)).collect();
        let Some(side) = &mut self.store.data_mut().memory else {
            return Ok(Snapshot { image: None, globals, windows: Windows::default(), opened });
        };
        // They stay mapped, over the very pages where adopting the snapshot maps them again.
        let mut windows = std::mem::take(&mut side.windows);
        windows.unguard();
        let image = Snapshot::image_of(&side.bytes).map_err(|err| self.shm_error(&err))?;
        Ok(Snapshot { image: Some(image), globals, windows, opened })
    }

    /// Brings a new instance to the snapshot.
    fn adopt(&mut self, snapshot: Arc<Snapshot>) -> Result<(), ModuleError> {
        if let Some((image, _)) = &snapshot.image {
            let host = self.store.data_mut();
            let Some(side) = &mut host.memory else { return Ok(()) };
            let rank = host.rank.clone();
            let mapped = side.bytes.set_size(image.len().get()).and_then(|()| {
                side.bytes.map_image(image)?;
                side.windows = snapshot.windows.copy_into(&side.bytes)?;
                side.watch(&rank, &snapshot.opened);
                Ok(())
            });
            mapped.map_err(|err| self.shm_error(&err))?;
            self.refresh_size();
        }
        self.snapshot = Some(snapshot);
        self.set_globals();
        Ok(())
    }

    /// Makes `memory.size` agree with the memory after its size was set behind wasmtime's back.
    fn refresh_size(&mut self) {
        let Some(wasm) = self.store.data().memory.as_ref().map(|side| side.wasm) else { return };
        let grown = wasm.grow(&mut self.store, 0);
        debug_assert!(grown.is_ok(), "growing by nothing is always possible");
    }

    fn set_globals(&mut self) {
        let Some(snapshot) = &self.snapshot else { return };
        for (global, value) in self.globals.iter().zip(&snapshot.globals) {
            let set = global.set(&mut self.store, *value);
            debug_assert!(set.is_ok(), "mutable, and of the type it was read with");
        }
    }

    fn shm_error(&self, err: &mobula_shm::Error) -> ModuleError {
        self.store.data().function.initialise_error("snapshot", err.to_string())
    }

    /// Runs one call from start to end.
    pub(crate) async fn run(
        &mut self,
        slot: Slot,
        entry: Entry,
        input: Vec<u8>,
        origin: Origin,
    ) -> Outcome {
        assert_eq!(self.lifecycle, Lifecycle::Clean, "only clean faaslets run calls");
        let code = match self.code(entry) {
            Ok(code) => code,
            Err(err) => return Outcome::Refused(err.to_string()),
        };
        self.lifecycle = Lifecycle::Running;
        self.origin = origin;
        self.store.data_mut().begin(slot, entry, input);
        let timeout = self.store.data().rank.config.timeout;
        let outcome = match timeout {
            None => self.call(code, entry).await,
            Some(timeout) => self.call_with_timeout(code, entry, timeout).await,
        };
        self.lifecycle = match outcome {
            Outcome::Returned(_) | Outcome::Exited(_) => Lifecycle::Dirty,
            _ => Lifecycle::Unknown,
        };
        outcome
    }

    async fn call(&mut self, code: usize, entry: Entry) -> Outcome {
        let mut polls = 0u32;
        let result = {
            let mut call = pin!(self.codes[code].1.call(&mut self.store, entry));
            std::future::poll_fn(|cx| {
                polls += 1;
                call.as_mut().poll(cx)
            })
            .await
        };
        self.suspended = polls > 1;
        result.map_or_else(outcome_of_error, Outcome::Returned)
    }

    async fn call_with_timeout(&mut self, code: usize, entry: Entry, timeout: Duration) -> Outcome {
        self.suspended = true;
        self.store.set_epoch_deadline(ticks(timeout));
        let deadline = Instant::now() + timeout;
        self.store.data_mut().call.deadline = Some(deadline);
        let monitor = self.store.data().rank.monitor.clone();
        let mut wake = None;
        let result = {
            let mut call = pin!(self.codes[code].1.call(&mut self.store, entry));
            std::future::poll_fn(|cx| match call.as_mut().poll(cx) {
                Poll::Pending if Instant::now() >= deadline => Poll::Ready(None),
                Poll::Pending => {
                    // The waker of a task never changes: once is enough.
                    wake.get_or_insert_with(|| monitor.wake_at(deadline, cx.waker().clone()));
                    Poll::Pending
                }
                Poll::Ready(result) => Poll::Ready(Some(result)),
            })
            .await
        };
        let late = || Outcome::TimedOut(format!("it ran longer than --timeout {timeout:?}"));
        match result {
            None => late(),
            Some(Err(err)) if err.downcast_ref::<Trap>() == Some(&Trap::Interrupt) => late(),
            Some(result) => result.map_or_else(outcome_of_error, Outcome::Returned),
        }
    }

    /// Where in `codes` the code of an entry is, looked up at its first use.
    fn code(&mut self, entry: Entry) -> Result<usize, ModuleError> {
        let function = self.store.data().function.clone();
        let is_script = function.script.is_some();
        let key = match entry {
            // One for all.
            Entry::Index(_) if is_script => Some(0),
            Entry::Index(index) => Some(index),
            Entry::Pointer(_) => None,
        };
        if let Some(at) = self.codes.iter().position(|(k, _)| *k == key) {
            return Ok(at);
        }
        let name = function.export(entry)?;
        let (instance, store) = (&self.instance, &mut self.store);
        let code = match entry {
            Entry::Pointer(_) => instance.get_typed_func(store, name).map(Code::Pointer),
            Entry::Index(_) if is_script => Turns::of(instance, store).map(Code::Script),
            Entry::Index(_) => match instance.get_typed_func(&mut *store, name) {
                Ok(func) => Ok(Code::Value(func)),
                Err(_) => instance.get_typed_func(store, name).map(Code::Unit),
            },
        };
        self.codes.push((key, code.map_err(|_| wrong_type(name))?));
        Ok(self.codes.len() - 1)
    }

    /// The store's data.
    pub(crate) fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// Whether the faaslet can serve another call after a reset.
    pub(crate) fn is_reusable(&self) -> bool {
        self.lifecycle == Lifecycle::Dirty && self.snapshot.is_some()
    }

    /// Address space of the windows that are mapped.
    pub(crate) fn window_bytes(&self) -> usize {
        self.store.data().memory.as_ref().map_or(0, |side| side.windows.bytes())
    }

    /// Pages that every reset copies.
    pub(crate) fn known_pages(&self) -> usize {
        self.store.data().memory.as_ref().map_or(0, |side| side.known.pages())
    }

    /// Puts everything known back: Dirty to Unproven, or to Clean when the page map was scanned.
    pub(crate) fn reset(&mut self) -> Result<Reset, mobula_shm::Error> {
        assert_eq!(self.lifecycle, Lifecycle::Dirty, "a reset follows a call");
        self.lifecycle = Lifecycle::Unknown;
        self.set_globals();
        let scan = self.suspended;
        let restored = self.restore_memory(scan)?;
        self.lifecycle = if scan { Lifecycle::Clean } else { Lifecycle::Unproven };
        Ok(Reset { restored, scanned: scan })
    }

    /// Unproven to Clean, by the epoch alone if it stands where it stood, else by a scan.
    pub(crate) fn prove(&mut self, now: Origin) -> Result<Option<Reset>, mobula_shm::Error> {
        assert_eq!(self.lifecycle, Lifecycle::Unproven, "a proof follows a reset");
        self.lifecycle = Lifecycle::Unknown;
        let reset = if self.origin == now {
            None
        } else {
            Some(Reset { restored: self.restore_memory(true)?, scanned: true })
        };
        self.lifecycle = Lifecycle::Clean;
        Ok(reset)
    }

    pub(crate) fn lifecycle(&self) -> Lifecycle {
        self.lifecycle
    }

    fn restore_memory(&mut self, scan: bool) -> Result<Restored, mobula_shm::Error> {
        let host = self.store.data_mut();
        let (Some(side), Some(snapshot)) = (&mut host.memory, &self.snapshot) else {
            return Ok(Restored::Copied(0));
        };
        let Some((_, image)) = &snapshot.image else { return Ok(Restored::Copied(0)) };
        if scan {
            side.known.learn(&side.bytes, &side.windows, host.rank.scanner.as_ref())?;
        }
        let restored = side.known.restore(&side.bytes, image)?;
        let (windows, image_end) = (&mut side.windows, snapshot.memory_bytes());
        let gap = |windows: &Windows| windows.gap_from(image_end);
        if windows.len() > limits::KEPT_WINDOWS
            || windows.bytes() > side.bytes.capacity() / 2
            || gap(windows) > limits::GAP_BYTES
        {
            windows.clear(&side.bytes)?;
        }
        windows.clip_holes();
        side.gap = gap(windows);
        let floor = image_end.max(windows.end());
        if side.bytes.size() != floor {
            side.bytes.set_size(floor)?;
            self.refresh_size();
        }
        Ok(restored)
    }
}

/// What a reset did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reset {
    pub(crate) restored: Restored,
    pub(crate) scanned: bool,
}

impl Code {
    async fn call(&self, store: &mut Store<Host>, entry: Entry) -> wasmtime::Result<i32> {
        match self {
            Self::Value(func) => func.call_async(store, ()).await,
            Self::Unit(func) => func.call_async(store, ()).await.map(|()| 0),
            Self::Pointer(func) => func.call_async(store, entry.address()).await,
            Self::Script(turns) => turns.call(store, entry.index()).await,
        }
    }
}

fn wrong_type(export: &str) -> ModuleError {
    let why = format!("its export {export} does not have the parameters and result of an entry");
    ModuleError::Unsupported { why }
}

fn outcome_of_error(err: wasmtime::Error) -> Outcome {
    match err.downcast_ref::<I32Exit>() {
        Some(I32Exit(code)) => Outcome::Exited(*code),
        None => Outcome::Trapped(describe(&err)),
    }
}

/// The cause first, then where in the guest it happened.
fn describe(err: &wasmtime::Error) -> String {
    let mut text = err.root_cause().to_string();
    if let Some(trace) = err.downcast_ref::<WasmBacktrace>() {
        for frame in trace.frames().iter().take(8) {
            let name = frame.func_name().map_or_else(
                || format!("function {}", frame.func_index()),
                |name| rustc_demangle::demangle(name).to_string(),
            );
            text.push_str("\n    at ");
            text.push_str(&name);
        }
    }
    text
}

/// Epochs until a deadline, counting the one that is under way.
fn ticks(timeout: Duration) -> u64 {
    let ticks = timeout.as_nanos().div_ceil(limits::TICK.as_nanos()) + 1;
    u64::try_from(ticks).unwrap_or(u64::MAX / 2).min(u64::MAX / 2)
}
