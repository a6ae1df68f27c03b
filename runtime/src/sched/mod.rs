//! The scheduler: which worker runs which call next. `README.md` beside this file has the states,
//! the steps of each role and the argument that nothing deadlocks.
//!
//! ```text
//!  chain ─▶ own deque (LIFO) ─▶ runner: Call   ─▶ idle faaslet ─▶ task ─┬─▶ done: wake the parent
//!             ▲      │ steal                                           └─▶ suspended: next work
//!             │      ▼ (FIFO end)          Resume ─▶ the suspended task goes on
//!  wake ──────┘   other workers;  from outside: injector
//! ```
//!
//! The threads are a rayon pool of this rank's own, one pinned to each CPU of the mask. A *runner* is
//! one rayon job that executes work until there is none; at most one a thread. Depth-first order (own
//! newest first) keeps the number of suspended parents as small as the recursion is deep.
//!
//! Invariants: work is in exactly one place (a deque, the injector, the waiting room) or being run;
//! if there is work, a runner is active or about to be; a task is run by one thread at a time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_task::Runnable;
use crossbeam_deque::{Injector, Steal, Stealer, Worker as Deque};
use crossbeam_utils::{Backoff, CachePadded};
use parking_lot::{Mutex, RwLock};

use crate::call::{FreeSlots, Slot};
use crate::error::RuntimeError;
use crate::function::Entry;
use crate::limits;
use crate::pool::LocalPools;
use crate::runtime::Rank;

pub(crate) mod monitor;

/// A call that is ready to start. Twelve bytes, so that a piece of work takes sixteen: queues are
/// what every call goes through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    /// Where its result goes.
    pub(crate) slot: Slot,
    /// Index of its function in the rank's table, and [`BY_POINTER`].
    function: u32,
    /// Index or address of the entry.
    entry: u32,
}

/// Set in [`Ready::function`] when the entry is an address.
const BY_POINTER: u32 = 1 << 31;
const _: () = assert!(size_of::<Work>() == 16);

impl Ready {
    pub(crate) fn new(slot: Slot, function: u32, entry: Entry) -> Self {
        debug_assert!(function < BY_POINTER, "fewer than 2^31 functions");
        match entry {
            Entry::Index(index) => Self { slot, function, entry: index.cast_unsigned() },
            Entry::Pointer(address) => {
                Self { slot, function: function | BY_POINTER, entry: address }
            }
        }
    }

    /// Index of its function in the rank's table.
    pub(crate) fn function(self) -> u32 {
        self.function & !BY_POINTER
    }

    /// What of the function runs.
    pub(crate) fn entry(self) -> Entry {
        if self.function & BY_POINTER == 0 {
            Entry::Index(self.entry.cast_signed())
        } else {
            Entry::Pointer(self.entry)
        }
    }
}

/// A piece of work for a runner.
#[derive(Debug)]
pub(crate) enum Work {
    /// Start a call.
    Call(Ready),
    /// Go on with a suspended one.
    Resume(Runnable),
}

/// What a worker thread owns.
#[derive(Debug)]
pub(crate) struct WorkerLocal {
    pub(crate) index: usize,
    rank_id: u32,
    deque: Deque<Work>,
    /// Idle faaslets, by function.
    pub(crate) pools: RefCell<LocalPools>,
    pub(crate) free_slots: RefCell<FreeSlots>,
    /// This thread's page faults when it last looked.
    faults: Cell<u64>,
    /// Counts the looks that found the number moved.
    fault_epoch: Cell<u64>,
    /// Counts what this worker took from its queues.
    picks: Cell<u32>,
    /// The rank while a runner is active here, so that a woken task finds its queues for free.
    rank: RefCell<Option<Arc<Rank>>>,
}

thread_local! {
    static WORKER: RefCell<Option<Rc<WorkerLocal>>> = const { RefCell::new(None) };
}

/// Runs `f` with this thread's worker, if it is one.
///
/// Never inlined: guests suspend and go on on another thread, and code that spans a suspension must
/// not keep the address of a thread-local.
#[inline(never)]
pub(crate) fn with_worker<R>(f: impl FnOnce(Option<&WorkerLocal>) -> R) -> R {
    WORKER.with_borrow(|worker| f(worker.as_deref()))
}

impl WorkerLocal {
    /// Reads the fault counter; returns the epoch, which moves whenever a fault happened in between.
    pub(crate) fn look_at_faults(&self) -> u64 {
        let now = mobula_shm::thread_faults();
        if self.faults.replace(now) != now {
            self.fault_epoch.set(self.fault_epoch.get() + 1);
        }
        self.fault_epoch.get()
    }

    /// The epoch as of the last look.
    pub(crate) fn fault_epoch(&self) -> u64 {
        self.fault_epoch.get()
    }
}

/// The queues and threads of one rank.
pub(crate) struct Scheduler {
    pool: rayon::ThreadPool,
    rank_id: u32,
    threads: usize,
    injector: Injector<Work>,
    stealers: Vec<Stealer<Work>>,
    /// Runners that exist.
    active: CachePadded<AtomicUsize>,
    /// Runners that look for work.
    searching: CachePadded<AtomicUsize>,
    /// Calls that found no faaslet free and none may be made.
    waiting_room: Mutex<VecDeque<Ready>>,
    waiting: AtomicUsize,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// Ranks of this process, so that a task finds its queues without counting references.
static RANKS: RwLock<Vec<Weak<Rank>>> = RwLock::new(Vec::new());

/// Reserves the number of a rank that is about to be built.
pub(crate) fn reserve_rank() -> u32 {
    let mut ranks = RANKS.write();
    ranks.push(Weak::new());
    u32::try_from(ranks.len() - 1).expect("fewer than 2^32 ranks in one process")
}

/// Makes the rank reachable for its tasks.
pub(crate) fn announce_rank(rank: &Arc<Rank>) {
    RANKS.write()[rank.scheduler.rank_id as usize] = Arc::downgrade(rank);
}

/// The rank of that number, unless it is gone.
pub(crate) fn find_rank(rank_id: u32) -> Option<Arc<Rank>> {
    RANKS.read().get(rank_id as usize).and_then(Weak::upgrade)
}

/// The ranks of this process.
pub(crate) fn all_ranks() -> Vec<Arc<Rank>> {
    RANKS.read().iter().filter_map(Weak::upgrade).collect()
}

impl Scheduler {
    /// Starts the threads, each pinned to its CPU in `cpus`; an empty list pins none.
    pub(crate) fn new(
        rank_id: u32,
        threads: usize,
        cpus: Vec<usize>,
        timers: tokio::runtime::Handle,
    ) -> Result<Self, RuntimeError> {
        let deques: Vec<Deque<Work>> = (0..threads).map(|_| Deque::new_lifo()).collect();
        let stealers = deques.iter().map(Deque::stealer).collect();
        let deques = Mutex::new(deques.into_iter().map(Some).collect::<Vec<_>>());
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .spawn_handler(|thread| {
                let deque = deques.lock()[thread.index()].take().expect("one deque a thread");
                let (timers, cpu) = (timers.clone(), cpus.get(thread.index()).copied());
                std::thread::Builder::new()
                    .name(format!("mobula-{}", thread.index()))
                    .spawn(move || {
                        pin(cpu);
                        let _timers = timers.enter();
                        let local = WorkerLocal {
                            index: thread.index(),
                            rank_id,
                            deque,
                            pools: RefCell::default(),
                            free_slots: RefCell::default(),
                            faults: Cell::new(0),
                            fault_epoch: Cell::new(0),
                            picks: Cell::new(0),
                            rank: RefCell::default(),
                        };
                        WORKER.set(Some(Rc::new(local)));
                        thread.run();
                        WORKER.set(None);
                    })
                    .map(drop)
            })
            .build()
            .map_err(|err| RuntimeError::Threads { threads, reason: err.to_string() })?;
        Ok(Self {
            pool,
            rank_id,
            threads,
            injector: Injector::new(),
            stealers,
            active: CachePadded::default(),
            searching: CachePadded::default(),
            waiting_room: Mutex::default(),
            waiting: AtomicUsize::new(0),
        })
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Hands work to the workers, to this one if the thread is one.
    pub(crate) fn push(&self, work: Work) {
        let rest = with_worker(|worker| match worker {
            Some(local) if local.rank_id == self.rank_id => {
                local.deque.push(work);
                None
            }
            _ => Some(work),
        });
        if let Some(work) = rest {
            self.injector.push(work);
        }
        self.wake_one();
    }

    /// Makes sure that somebody looks for the work that was just pushed.
    fn wake_one(&self) {
        // The push must be visible before the counters are read: a runner lowers them first and
        // looks at the queues after (see `retire`), so one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.searching.load(Ordering::Relaxed) > 0 {
            return;
        }
        let mut active = self.active.load(Ordering::Relaxed);
        while active < self.threads {
            let more = active + 1;
            match self.active.compare_exchange(active, more, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return self.start_runner(),
                Err(now) => active = now,
            }
        }
    }

    fn start_runner(&self) {
        let rank_id = self.rank_id;
        self.pool.spawn(move || {
            if let Some(rank) = find_rank(rank_id) {
                rank.scheduler.run(&rank);
            }
        });
    }

    /// One runner: executes work until there has been none for a while.
    fn run(&self, rank: &Arc<Rank>) {
        let local = WORKER.with_borrow(Clone::clone).expect("runners run on the rank's threads");
        local.rank.replace(Some(rank.clone()));
        if let Some(remote) = &rank.remote {
            remote.progress.found_work(false);
        }
        self.run_until_idle(rank, &local);
        local.rank.replace(None);
    }

    fn run_until_idle(&self, rank: &Arc<Rank>, local: &WorkerLocal) {
        loop {
            while let Some(work) = self.next(local) {
                execute(rank, local, work);
                let Some(remote) = &rank.remote else { continue };
                if remote.progress.is_due() {
                    remote.progress.worker_looks();
                    remote.poll();
                    rank.send_results();
                }
                rank.share_fresh();
            }
            if let Some(work) = self.search(rank, local) {
                execute(rank, local, work);
                rank.share_fresh();
                continue;
            }
            if self.retire(local) {
                if let Some(remote) = &rank.remote {
                    remote.progress.gives_up();
                }
                rank.eat();
                return;
            }
        }
    }

    fn next(&self, local: &WorkerLocal) -> Option<Work> {
        let picks = local.picks.get().wrapping_add(1);
        local.picks.set(picks);
        if picks.is_multiple_of(limits::FAIRNESS) {
            // Newest first alone would let a call that polls keep older ones from ever starting.
            if let Steal::Success(work) = self.stealers[local.index].steal() {
                return Some(work);
            }
        }
        local.deque.pop().or_else(|| self.steal(local, 2))
    }

    /// Takes work from outside or from a worker that has at least `least` pieces of it.
    fn steal(&self, local: &WorkerLocal, least: usize) -> Option<Work> {
        loop {
            let mut retry = false;
            // Stealing from an empty queue waits for a fence.
            let outside = match self.injector.is_empty() {
                true => Steal::Empty,
                false => self.injector.steal_batch_and_pop(&local.deque),
            };
            match outside {
                Steal::Success(work) => return Some(work),
                Steal::Retry => retry = true,
                Steal::Empty => {}
            }
            for step in 1..self.threads {
                let victim = &self.stealers[(local.index + step) % self.threads];
                if victim.len() < least {
                    continue;
                }
                match victim.steal_batch_and_pop(&local.deque) {
                    Steal::Success(work) => return Some(work),
                    Steal::Retry => retry = true,
                    Steal::Empty => {}
                }
            }
            if !retry {
                return None;
            }
        }
    }

    /// Looks for work for a short while, because sleeping and waking costs more than most calls.
    fn search(&self, rank: &Rank, local: &WorkerLocal) -> Option<Work> {
        rank.send_results();
        self.searching.fetch_add(1, Ordering::SeqCst);
        let (start, backoff) = (Instant::now(), Backoff::new());
        let progress = rank.remote.as_ref().map(|remote| &remote.progress);
        progress.inspect(|progress| progress.ran_dry(start));
        let (mut lonely, mut looks, mut yielded) = (0, 0u32, Duration::ZERO);
        let found = loop {
            if let Some(work) = self.next(local) {
                break Some(work);
            }
            // A single piece is most likely about to be taken by its owner, which chained it and now
            // awaits it: taking it would move the call and its parent between threads. One that stays
            // is somebody's who is busy.
            lonely = if self.stealers.iter().all(Stealer::is_empty) { 0 } else { lonely + 1 };
            if lonely >= limits::LONELY_LOOKS
                && let Some(work) = self.steal(local, 1)
            {
                break Some(work);
            }
            let Some(remote) = &rank.remote else {
                if start.elapsed() > limits::SEARCH {
                    break None;
                }
                backoff.snooze();
                continue;
            };
            remote.progress.worker_looks();
            looks += 1;
            let moved = if looks.is_multiple_of(limits::LOOKS_A_POLL) {
                remote.poll()
            } else {
                remote.glance()
            };
            if moved {
                continue;
            }
            // The clock takes as long as a look.
            if !looks.is_multiple_of(limits::LOOKS_A_CLOCK) {
                // What answers may run on the other thread of this core.
                std::hint::spin_loop();
                continue;
            }
            let searched = start.elapsed();
            let more = || remote.progress.is_worth_looking(start, remote.expects());
            if searched > limits::SEARCH && !more() {
                break None;
            }
            // Others may need this core.
            if searched > yielded + limits::YIELD {
                yielded = searched;
                std::thread::yield_now();
            }
        };
        self.searching.fetch_sub(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if found.is_some() {
            progress.inspect(|progress| progress.found_work(looks < limits::LOOKS_A_CLOCK));
            // Whoever pushed relied on this searcher; if there is more, somebody must go on looking.
            self.wake_for_rest();
        }
        found
    }

    fn wake_for_rest(&self) {
        if !self.injector.is_empty() || self.stealers.iter().any(|s| !s.is_empty()) {
            self.wake_one();
        }
    }

    /// Ends this runner unless work has come meanwhile.
    fn retire(&self, local: &WorkerLocal) -> bool {
        self.active.fetch_sub(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let empty = self.injector.is_empty()
            && local.deque.is_empty()
            && self.stealers.iter().all(Stealer::is_empty);
        if empty {
            return true;
        }
        let more = |active: usize| (active < self.threads).then_some(active + 1);
        self.active.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_err()
    }

    /// Whether some worker looks for work.
    pub(crate) fn is_searched(&self) -> bool {
        self.searching.load(Ordering::Relaxed) > 0
    }

    /// Whether no worker does anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.active.load(Ordering::Relaxed) == 0
    }

    /// Whether all workers have something to do, or look for it.
    pub(crate) fn is_full(&self) -> bool {
        self.active.load(Ordering::Relaxed) >= self.threads
    }

    /// Pieces of work that wait for a worker; a moment later it may be another number.
    pub(crate) fn queued(&self) -> usize {
        self.injector.len() + self.stealers.iter().map(Stealer::len).sum::<usize>()
    }

    /// Whether this thread, if it is a worker, has no work of its own waiting.
    pub(crate) fn own_is_empty(&self) -> bool {
        with_worker(|worker| worker.is_none_or(|local| local.deque.is_empty()))
    }

    /// Takes up to `most` calls that wait and that `may` be taken, oldest first.
    pub(crate) fn take_oldest(&self, most: usize, may: impl Fn(Ready) -> bool) -> Vec<Ready> {
        let (mut taken, mut back) = (Vec::new(), Vec::new());
        let outside = || self.injector.steal();
        let sources = self.stealers.iter().map(Some).chain([None]);
        for source in sources {
            let mut looks = 0;
            while taken.len() < most && looks < most + limits::LOOKS_BEYOND {
                looks += 1;
                match source.map_or_else(outside, Stealer::steal) {
                    Steal::Success(Work::Call(call)) if may(call) => taken.push(call),
                    Steal::Success(work) => back.push(work),
                    Steal::Retry => {}
                    Steal::Empty => break,
                }
            }
        }
        for work in back {
            self.injector.push(work);
            self.wake_one();
        }
        taken
    }

    /// Keeps a call until a faaslet is free again.
    pub(crate) fn wait_for_room(&self, call: Ready) {
        let mut room = self.waiting_room.lock();
        room.push_back(call);
        self.waiting.store(room.len(), Ordering::SeqCst);
    }

    /// A faaslet became free: lets one waiting call try again.
    pub(crate) fn room_made(&self) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(call) = self.take_waiting() {
            self.push(Work::Call(call));
        }
    }

    /// Number of calls that wait for a faaslet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(crate) fn take_waiting(&self) -> Option<Ready> {
        let mut room = self.waiting_room.lock();
        let call = room.pop_front();
        self.waiting.store(room.len(), Ordering::SeqCst);
        call
    }

    /// Runs `f` once on every thread of the pool, soon.
    pub(crate) fn on_every_thread(&self, f: impl Fn(&WorkerLocal) + Send + Sync + 'static) {
        self.pool.spawn_broadcast(move |_| with_worker(|worker| worker.into_iter().for_each(&f)));
    }

    /// Runs `f` once on every thread of the pool and waits for all of them.
    pub(crate) fn on_every_thread_wait(&self, f: impl Fn(&WorkerLocal) + Send + Sync) {
        self.pool.broadcast(|_| with_worker(|worker| worker.into_iter().for_each(&f)));
    }
}

/// Starts a task for `future`, which belongs to this rank, and runs it up to its first suspension.
pub(crate) fn start_task(rank_id: u32, future: impl Future<Output = ()> + Send + 'static) {
    let schedule = move |runnable: Runnable| resume(rank_id, runnable);
    let (runnable, task) = async_task::spawn(future, schedule);
    task.detach();
    runnable.run();
}

/// Queues a task that was woken, on this thread if it is one of the rank's.
fn resume(rank_id: u32, runnable: Runnable) {
    let rest = with_worker(|worker| {
        let local = worker.filter(|local| local.rank_id == rank_id);
        match local.map(|local| local.rank.borrow()).as_deref() {
            Some(Some(rank)) => {
                rank.scheduler.push(Work::Resume(runnable));
                None
            }
            _ => Some(runnable),
        }
    });
    if let (Some(runnable), Some(rank)) = (rest, find_rank(rank_id)) {
        rank.scheduler.push(Work::Resume(runnable));
    }
}

fn execute(rank: &Arc<Rank>, local: &WorkerLocal, work: Work) {
    match work {
        Work::Call(call) => crate::pool::start_call(rank, local, call),
        Work::Resume(runnable) => {
            runnable.run();
        }
    }
}

/// Pins this thread to one CPU; a refusal costs speed only.
fn pin(cpu: Option<usize>) {
    let Some(cpu) = cpu else { return };
    let mut set = nix::sched::CpuSet::new();
    if set.set(cpu).is_ok() {
        let _ = nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set);
    }
}
