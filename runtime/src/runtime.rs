//! The composition root: builds a rank in dependency order, and owns its shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

use mobula_shm::{PageBytes, PagemapScanner, Reservation, WriteTracker};
use parking_lot::Mutex;
use wasmtime::{Engine, Linker};

use crate::blas::Blas;
use crate::call::{CallTable, FreeSlots, Outcome, Slot, Title, Wanted};
use crate::config::Config;
use crate::error::{ModuleError, RuntimeError};
use crate::fabric::{Fabric, RankId};
use crate::function::{Entry, Function};
use crate::functions::Functions;
use crate::host::Host;
use crate::limits;
use crate::memory::Creator;
use crate::memory::stacks::Stacks;
use crate::pool::Gate;
use crate::remote::Remote;
use crate::sched::monitor::Monitor;
use crate::sched::{self, Ready, Scheduler, Work, with_worker};
use crate::scratch::Scratch;
use crate::state::{Spread, StateTable};
use crate::stats::{Report, Stats};
use crate::stdio::{Sink, Stream};

/// Guard behind a guest's memory; offsets below it need no check in compiled code.
const GUARD_BYTES: usize = 32 << 20;
/// What a guest gets when the address space of the process is limited.
const SMALL_GUEST_BYTES: usize = 256 << 20;
/// No call is the main call.
const NO_SLOT: u32 = u32::MAX;

/// Everything of one rank. Parts are built in the order of the fields' dependencies by
/// [`Runtime::new`]; nothing else constructs them.
pub(crate) struct Rank {
    pub(crate) id: u32,
    pub(crate) config: Config,
    pub(crate) stdio: Arc<dyn Sink>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) creator: Arc<Creator>,
    pub(crate) engine: Engine,
    pub(crate) scanner: Option<PagemapScanner>,
    /// Whether stores to windows are watched, and by what: `Some(None)` where the kernel cannot.
    pub(crate) tracking: Option<Option<Arc<WriteTracker>>>,
    pub(crate) state: StateTable,
    pub(crate) calls: CallTable,
    pub(crate) scratch: Option<Scratch>,
    pub(crate) blas: Blas,
    pub(crate) gate: Gate,
    pub(crate) scheduler: Scheduler,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) linker: Linker<Host>,
    pub(crate) functions: Functions,
    /// The other ranks; `None` where there are none.
    pub(crate) remote: Option<Remote>,
    /// Free slots of threads that are no workers.
    outside_slots: Mutex<FreeSlots>,
    /// Threads that were asked to give up idle faaslets and have not yet.
    pub(crate) frees_asked: AtomicUsize,
    main_slot: AtomicU32,
    main_failure: Mutex<Option<Outcome>>,
}

impl std::fmt::Debug for Rank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rank").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A running rank: register functions, call them, read the statistics.
///
/// Dropping it ends its threads and gives all its memory back.
pub struct Runtime {
    rank: Arc<Rank>,
    started: Mutex<Option<Instant>>,
    seconds: Mutex<f64>,
    /// Drives timers and file I/O of WASI; its threads sleep unless a guest needs them.
    _timers: tokio::runtime::Runtime,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("scheduler", &self.rank.scheduler).finish_non_exhaustive()
    }
}

/// How a call from outside ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// What it set as its output.
    pub output: Vec<u8>,
}

impl Runtime {
    /// Starts a rank.
    ///
    /// # Errors
    /// [`RuntimeError`] when threads, the engine or shared memory cannot be had, or a directory of
    /// the configuration does not exist.
    pub fn new(config: Config, stdio: Arc<dyn Sink>) -> Result<Self, RuntimeError> {
        Self::build(config, stdio, None)
    }

    /// Starts a rank of a job of several. All ranks but the first then [`serve`](Self::serve).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn join(
        config: Config,
        stdio: Arc<dyn Sink>,
        fabric: Arc<dyn Fabric>,
    ) -> Result<Self, RuntimeError> {
        let several = !fabric.job().is_alone();
        Self::build(config, stdio, several.then_some(fabric))
    }

    fn build(
        config: Config,
        stdio: Arc<dyn Sink>,
        fabric: Option<Arc<dyn Fabric>>,
    ) -> Result<Self, RuntimeError> {
        check_dirs(&config)?;
        let blas = Blas::new(config.blas.as_deref())?;
        let io = |op: &str| {
            let op = op.to_owned();
            move |source| RuntimeError::Io { op, source }
        };
        let timers = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("mobula-timer")
            .enable_time()
            .build()
            .map_err(io("starting the timer thread"))?;
        let creator = Arc::new(Creator::default());
        let engine = engine(&config, creator.clone(), &*stdio)?;
        let linker = crate::hostcalls::linker(&engine, fabric.is_some())?;
        let id = sched::reserve_rank();
        let cpus =
            if config.cpus.len() >= config.threads { config.cpus.clone() } else { Vec::new() };
        let scheduler = Scheduler::new(id, config.threads.max(1), cpus, timers.handle().clone())?;
        let stats = Arc::new(Stats::new(scheduler.threads()));
        let monitor = Arc::new(Monitor::default());
        // What is stored for other hosts must be found, flagged or not.
        let tracked = config.track_writes || fabric.is_some();
        let tracking = tracked.then(|| WriteTracker::open().map(Arc::new));
        let rank = Arc::new(Rank {
            id,
            state: StateTable::new(config.numa_node, stats.clone(), config.store.clone()),
            blas,
            gate: Gate::new(config.max_faaslets),
            scratch: scratch_of(&config),
            config,
            stdio,
            stats,
            creator,
            engine,
            scanner: PagemapScanner::open(),
            tracking,
            calls: CallTable::new(),
            scheduler,
            monitor: monitor.clone(),
            linker,
            functions: Functions::default(),
            remote: fabric.map(Remote::new),
            outside_slots: Mutex::default(),
            frees_asked: AtomicUsize::new(0),
            main_slot: AtomicU32::new(NO_SLOT),
            main_failure: Mutex::default(),
        });
        sched::announce_rank(&rank);
        if let Some(remote) = &rank.remote {
            rank.state.join(Spread::new(&rank, remote.job().clone(), timers.handle().clone()));
        }
        monitor
            .start(Arc::downgrade(&rank), rank.config.timeout.is_some())
            .map_err(io("starting the monitor thread"))?;
        Remote::start(&rank).map_err(io("starting the fabric's thread"))?;
        Ok(Self { rank, started: Mutex::default(), seconds: Mutex::new(0.0), _timers: timers })
    }

    /// Compiles (or takes from the cache) a module and makes it the function `user/name`.
    ///
    /// # Errors
    /// [`ModuleError`] when the module is invalid or wants something that Mobula does not offer.
    pub fn register(&self, user: &str, name: &str, wasm: &[u8]) -> Result<(), ModuleError> {
        self.rank.register(user, name, wasm).map(drop)
    }

    /// Makes `user/name` ready to be called: a function of the store is loaded and compiled.
    ///
    /// # Errors
    /// [`RuntimeError::UnknownFunction`], or why the store's function cannot be had.
    pub fn prepare(&self, user: &str, name: &str) -> Result<(), RuntimeError> {
        self.rank.find_function(user, name).map(drop)
    }

    /// Calls entry `entry` of `user/name` as the main call and waits until it and every call that it
    /// started, awaited or not, have ended.
    ///
    /// # Errors
    /// [`RuntimeError::UnknownFunction`], or [`ModuleError::NoEntry`] for an entry that is not there.
    pub fn call(
        &self,
        user: &str,
        name: &str,
        entry: i32,
        input: Vec<u8>,
    ) -> Result<Finished, RuntimeError> {
        let rank = &self.rank;
        rank.assemble()?;
        let function = rank.find_function(user, name)?;
        let entry = Entry::Index(entry);
        rank.function(function).export(entry)?;
        let start = *self.started.lock().get_or_insert_with(Instant::now);
        let slot = rank.with_free_slots(|free| rank.calls.acquire(free, input));
        let slot = slot.expect("the table is empty before the main call");
        rank.main_slot.store(slot, Ordering::Release);
        // Main stays here: it is what the user talks to.
        rank.calls.set_bound(slot);
        rank.scheduler.push(Work::Call(Ready::new(slot, function, entry)));
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        while !rank.calls.poll_done(slot, &waker) {
            std::thread::park();
        }
        while rank.calls.orphans() > 0 {
            std::thread::sleep(limits::SEARCH);
        }
        rank.wait_until_quiet();
        let (code, output) = (rank.calls.code(slot), rank.calls.take_output(slot));
        rank.main_slot.store(NO_SLOT, Ordering::Release);
        rank.with_free_slots(|free| rank.calls.release_done(free, slot));
        *self.seconds.lock() = start.elapsed().as_secs_f64();
        let failure = rank.main_failure.lock().take();
        Ok(Finished { outcome: failure.unwrap_or(Outcome::Returned(code)), output })
    }

    /// Every rank of a job but the first: runs what the others send, and returns when the job is over.
    ///
    /// # Errors
    /// [`RuntimeError::Job`] when rank 0 refuses this rank: another version, other arguments.
    pub fn serve(&self) -> Result<(), RuntimeError> {
        self.rank.serve()
    }

    /// Waits until all ranks of the job are there and agree on what to run. [`call`](Self::call) does
    /// it, too.
    ///
    /// # Errors
    /// [`RuntimeError::Job`], which names who is missing or differs.
    pub fn assemble(&self) -> Result<(), RuntimeError> {
        self.rank.assemble()
    }

    /// The state of this rank.
    #[must_use]
    pub fn state(&self) -> &StateTable {
        &self.rank.state
    }

    /// What happened so far on this rank alone.
    #[must_use]
    pub fn own_report(&self) -> Report {
        self.rank.report()
    }

    /// What happened so far on all ranks.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = self.own_report();
        report.seconds = *self.seconds.lock();
        self.rank.reports().iter().for_each(|other| report.add(other));
        report
    }
}

impl Rank {
    /// What happened so far on this rank.
    pub(crate) fn report(&self) -> Report {
        let functions = &self.functions;
        let reason = |f: &Arc<Function>| {
            f.artifact.info.unresettable.as_ref().map(|why| format!("{}: {why}", f.title()))
        };
        let (state_bytes, state_bytes_most) = self.state.arena_bytes();
        Report {
            unresettable: functions.all().iter().filter_map(reason).collect(),
            state_bytes,
            state_bytes_most,
            peak_memory_kib: crate::stats::peak_memory_kib(),
            sent_bytes: self.remote.as_ref().map_or(0, Remote::sent_bytes),
            module_cached: functions.main_cached(),
            blas: self.blas.name(),
            threads: self.scheduler.threads(),
            ranks: 1,
            ..self.stats.report()
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.rank.monitor.stop();
        if let Some(remote) = &self.rank.remote {
            if remote.job().rank == 0 {
                self.rank.dismiss();
            }
            remote.close();
        }
        // Idle faaslets hold the rank; without them the last reference is ours.
        self.rank.scheduler.on_every_thread_wait(|local| {
            local.pools.borrow_mut().drain();
        });
    }
}

/// Wakes a thread that waits outside the pool.
struct Unpark(Thread);

/// What the ranks of this process wait for from others, for people; empty if nothing, or if it was said.
#[must_use]
pub fn awaited() -> String {
    let open = sched::all_ranks().into_iter().filter(|rank| !rank.has_lost());
    let all = open.map(|rank| rank.awaited());
    all.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Whether the job of a rank of this process has begun: all ranks were there.
#[must_use]
pub fn has_begun() -> bool {
    let begun = |rank: &Arc<Rank>| rank.remote.as_ref().is_some_and(|r| r.threads().is_some());
    sched::all_ranks().iter().any(begun)
}

/// Waits for `future` on a thread that is no worker.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(done) => return done,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Rank {
    /// Starts a call, here or on another rank; `None` when too many exist.
    ///
    /// `range` is its part of a parallel loop, `home` the rank where the program wants it.
    pub(crate) fn submit(
        &self,
        (function, entry): (u32, Entry),
        input: Vec<u8>,
        range: Option<(i64, i64)>,
        home: Option<RankId>,
    ) -> Option<Slot> {
        let slot = self.with_free_slots(|free| self.calls.acquire(free, input))?;
        if let Some(range) = range {
            self.calls.set_range(slot, range);
        }
        self.dispatch(slot, function, entry, home);
        Some(slot)
    }

    /// Runs `f` with the free slots of this thread.
    pub(crate) fn with_free_slots<R>(&self, f: impl FnOnce(&mut FreeSlots) -> R) -> R {
        with_worker(|worker| match worker {
            Some(local) => f(&mut local.free_slots.borrow_mut()),
            None => f(&mut self.outside_slots.lock()),
        })
    }

    pub(crate) fn is_main(&self, slot: Slot) -> bool {
        self.main_slot.load(Ordering::Relaxed) == slot
    }

    /// Notes that `me` awaits these calls; fails a lock waiter if that closed a circle of waits.
    pub(crate) fn begin_await(&self, me: Slot, title: Title, children: &[Slot], wanted: Wanted) {
        if self.remote.is_some() {
            self.calls.set_title(me, title);
        }
        self.calls.set_awaits(me, children, wanted);
        let waits = self.state.waits();
        if waits.any() {
            waits.break_cycle(u64::from(me), &|call| self.awaited_by(call));
        }
    }

    /// The calls that a call awaits, as holders of locks; none for a call of another rank.
    pub(crate) fn awaited_by(&self, call: u64) -> Vec<u64> {
        let Ok(slot) = Slot::try_from(call) else { return Vec::new() };
        self.calls.awaits(slot).into_iter().map(u64::from).collect()
    }

    /// Ends a call that never ran.
    pub(crate) fn finish_unstarted(&self, call: Ready, outcome: &Outcome) {
        self.report_failure(call, outcome);
        self.complete(call.slot, outcome.code(), Vec::new());
    }

    /// Says on stderr why a call failed; awaiting it gives only a number.
    pub(crate) fn report_failure(&self, call: Ready, outcome: &Outcome) {
        self.stats.failed_calls.fetch_add(1, Ordering::Relaxed);
        let verb = match outcome {
            Outcome::Returned(_) | Outcome::Exited(_) => return,
            Outcome::Trapped(_) => "trapped",
            Outcome::TimedOut(_) => "timed out",
            Outcome::Refused(_) => "was refused",
        };
        let title = self.function(call.function()).title();
        let why = outcome.failure().unwrap_or_default();
        let line = format!("mobula: call {title}[{}] {verb}: {why}\n", call.entry());
        // A closed stderr leaves nobody to tell.
        let _ = self.stdio.write(Stream::Stderr, line.as_bytes());
        if self.is_main(call.slot) {
            *self.main_failure.lock() = Some(outcome.clone());
        }
    }

    pub(crate) fn count_created(&self) {
        self.stats.faaslets_created.fetch_add(1, Ordering::Relaxed);
        self.stats.faaslets_live_most.fetch_max(self.gate.live() as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_reinstantiated(&self, function: &Function) {
        if function.artifact.info.unresettable.is_some() {
            self.stats.reinstantiated_calls.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The engine: our memories, fibres, and interruption only where a time-out needs it.
pub(crate) fn engine(
    config: &Config,
    creator: Arc<Creator>,
    stdio: &dyn Sink,
) -> Result<Engine, RuntimeError> {
    let mut wasm = wasmtime::Config::new();
    wasm.with_host_memory(creator)
        .memory_init_cow(false)
        .with_host_stack(Arc::new(Stacks::default()))
        .async_stack_size(limits::FIBRE_STACK_BYTES)
        .max_wasm_stack(limits::WASM_STACK_BYTES)
        .wasm_exceptions(true)
        .wasm_threads(true)
        // Objects of the GC proposal live outside memory and globals, where no reset reaches.
        .wasm_gc(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        // Checks at loop heads cost a few per cent; a run without a time-out does not pay them.
        .epoch_interruption(config.timeout.is_some());
    if whole_guests_fit() {
        wasm.memory_reservation(limits::GUEST_BYTES as u64).memory_guard_size(GUARD_BYTES as u64);
    } else {
        wasm.memory_reservation(SMALL_GUEST_BYTES as u64).memory_guard_size(1 << 16);
        let warning = format!(
            "mobula: warning: 4 GiB of address space cannot be reserved (ulimit -v or strict \
             overcommit); guests get {} MiB and every access is checked, which costs up to 2 times\n",
            SMALL_GUEST_BYTES >> 20
        );
        let _ = stdio.write(Stream::Stderr, warning.as_bytes());
    }
    Engine::new(&wasm).map_err(|err| RuntimeError::Engine(format!("{err:#}")))
}

/// Whether the address space that a guest can reach can be reserved whole.
pub(crate) fn whole_guests_fit() -> bool {
    let full = PageBytes::round_up(limits::GUEST_BYTES + GUARD_BYTES).unwrap_or(PageBytes::ZERO);
    Reservation::new(full).is_ok()
}

/// Private directories for `/tmp`, unless a directory of the user's is to be there.
fn scratch_of(config: &Config) -> Option<Scratch> {
    let taken = config.dirs.iter().any(|dir| dir.guest.trim_end_matches('/') == "/tmp");
    let parent = config.scratch.as_ref().filter(|_| !taken)?;
    Some(Scratch::new(parent, config.on_scratch))
}

fn check_dirs(config: &Config) -> Result<(), RuntimeError> {
    for dir in &config.dirs {
        std::fs::read_dir(&dir.host).map_err(|source| RuntimeError::Io {
            op: format!("opening directory {}", dir.host.display()),
            source,
        })?;
    }
    Ok(())
}
