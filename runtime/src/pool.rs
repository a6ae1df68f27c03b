//! Faaslets at rest, and the way of a call through one.
//!
//! ```text
//!  worker's own pools, by function:   clean ──take──▶ call ──give back──▶ unproven (≤ BATCH)
//!                                       ▲                                    │ one look at the
//!                                       └──────────────── prove all ◀────────┘ fault counter
//! ```
//!
//! Invariants: a faaslet belongs to one worker's pool or to one task; at most `Gate::limit` exist; one
//! that is not proven clean is never taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::call::Outcome;
use crate::faaslet::{Faaslet, Lifecycle, Origin, Reset};
use crate::limits;
use crate::runtime::Rank;
use crate::sched::{Ready, WorkerLocal, start_task, with_worker};
use crate::snapshot::Restored;
use crate::stats::{WorkerStats, add};

/// Bounds the number of live faaslets and knows how many of them cannot go on by themselves.
#[derive(Debug)]
pub(crate) struct Gate {
    limit: usize,
    live: AtomicUsize,
    blocked: AtomicUsize,
}

impl Gate {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), live: AtomicUsize::new(0), blocked: AtomicUsize::new(0) }
    }

    /// Counts one more faaslet, if the limit allows.
    fn enter(&self) -> bool {
        let more = |live| (live < self.limit).then_some(live + 1);
        self.live.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    fn leave(&self) {
        self.live.fetch_sub(1, Ordering::SeqCst);
    }

    /// Counts a call that waits for another call or a lock, until the result is dropped.
    pub(crate) fn block(&self) -> Blocked<'_> {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        Blocked(self)
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::SeqCst)
    }

    /// Whether every faaslet waits for another call or a lock.
    pub(crate) fn all_blocked(&self) -> bool {
        self.blocked.load(Ordering::SeqCst) >= self.live()
    }
}

/// One blocked call.
#[derive(Debug)]
pub(crate) struct Blocked<'a>(&'a Gate);

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.blocked.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The idle faaslets of one worker, by function.
#[derive(Default)]
pub(crate) struct LocalPools(Vec<LocalPool>);

#[derive(Default)]
#[allow(clippy::vec_box, reason = "faaslets move between pools and tasks; a pointer moves cheaply")]
struct LocalPool {
    clean: Vec<Box<Faaslet>>,
    unproven: Vec<Box<Faaslet>>,
    calls: usize,
}

impl std::fmt::Debug for LocalPools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalPools({} functions)", self.0.len())
    }
}

impl LocalPools {
    fn of(&mut self, function: u32) -> &mut LocalPool {
        let index = function as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, LocalPool::default);
        }
        &mut self.0[index]
    }

    /// Gives up every idle faaslet; returns how many.
    pub(crate) fn drain(&mut self) -> usize {
        self.0.drain(..).map(|pool| pool.clean.len() + pool.unproven.len()).sum()
    }
}

impl LocalPool {
    /// A clean faaslet; `None` when another one should be made.
    fn take(&mut self, rank: &Rank, local: &WorkerLocal) -> Option<Box<Faaslet>> {
        self.calls += 1;
        if let Some(faaslet) = self.clean.pop() {
            return Some(faaslet);
        }
        let heavy = self.unproven.first().is_some_and(|f| {
            f.known_pages() > limits::LIGHT_PAGES || f.window_bytes() > limits::LIGHT_WINDOW_BYTES
        });
        // A batch is worth its memory only for a function that is called often and lightly.
        let batch = if heavy { 1 } else { (1 + self.calls / 64).min(limits::BATCH) };
        let may_grow = self.unproven.len() < batch && rank.gate.live() < rank.gate.limit();
        if self.unproven.is_empty() || may_grow {
            return None;
        }
        self.prove_all(rank, local);
        self.clean.pop()
    }

    fn prove_all(&mut self, rank: &Rank, local: &WorkerLocal) {
        let stats = rank.stats.worker(local.index);
        let now = Origin { worker: local.index, epoch: local.look_at_faults() };
        let mut scanned = false;
        for mut faaslet in self.unproven.drain(..) {
            match faaslet.prove(now) {
                Ok(None) => self.clean.push(faaslet),
                Ok(Some(reset)) => {
                    scanned = true;
                    count_reset(stats, reset);
                    self.clean.push(faaslet);
                }
                Err(_) => rank.drop_faaslet(faaslet),
            }
        }
        if scanned {
            // The scans' own faults are not the next calls'.
            local.look_at_faults();
        }
    }
}

fn count_reset(stats: &WorkerStats, reset: Reset) {
    match reset.restored {
        Restored::Copied(pages) => add(&stats.restored_pages, pages as u64),
        Restored::Discarded => add(&stats.discards, 1),
    }
    add(&stats.scans, u64::from(reset.scanned));
}

/// Starts a call on an idle faaslet, a new one, or leaves it in the waiting room.
pub(crate) fn start_call(rank: &Arc<Rank>, local: &WorkerLocal, call: Ready) {
    let idle = local.pools.borrow_mut().of(call.function()).take(rank, local);
    let origin = Origin { worker: local.index, epoch: local.fault_epoch() };
    if let Some(faaslet) = idle {
        start_task(rank.id, drive(faaslet, call, origin));
    } else if rank.gate.enter() {
        start_task(rank.id, create_and_drive(rank.clone(), call));
    } else {
        rank.scheduler.wait_for_room(call);
        rank.monitor.arm();
    }
}

async fn create_and_drive(rank: Arc<Rank>, call: Ready) {
    let function = rank.function(call.function());
    match Faaslet::create(&rank, &function).await {
        // No origin: the faults of its making say nothing about the call.
        Ok(faaslet) => drive(faaslet, call, Origin { worker: usize::MAX, epoch: 0 }).await,
        Err(err) => {
            rank.gate.leave();
            rank.finish_unstarted(call, &Outcome::Refused(err.to_string()));
            rank.scheduler.room_made();
        }
    }
}

async fn drive(mut faaslet: Box<Faaslet>, call: Ready, origin: Origin) {
    let input = faaslet.host().rank.calls.take_input(call.slot);
    let outcome = faaslet.run(call.slot, call.entry(), input, origin).await;
    with_worker(|local| finish(local, faaslet, call, &outcome));
}

/// Hands the result over, then makes the faaslet ready for the next call.
fn finish(local: Option<&WorkerLocal>, mut faaslet: Box<Faaslet>, call: Ready, outcome: &Outcome) {
    let host = faaslet.host();
    let output = host.end();
    if outcome.failure().is_some() {
        host.rank.report_failure(call, outcome);
    }
    // Counted before the result is handed over, so that a report after it has every call.
    let rank = &host.rank;
    if let Some(local) = local {
        add(&rank.stats.worker(local.index).calls, 1);
    }
    rank.count_reinstantiated(&host.function);
    rank.complete(call.slot, outcome.code(), output);
    let reusable = faaslet.is_reusable();
    let Some(local) = local.filter(|_| reusable) else {
        let rank = faaslet.host().rank.clone();
        return rank.drop_faaslet(faaslet);
    };
    let reset = faaslet.reset();
    let rank = &faaslet.host().rank;
    let stats = rank.stats.worker(local.index);
    if let Ok(reset) = reset {
        add(&stats.resets, 1);
        count_reset(stats, reset);
    }
    if rank.scheduler.waiting() > 0 {
        rank.clone().scheduler.room_made();
    }
    match (reset, faaslet.lifecycle()) {
        (Ok(_), Lifecycle::Clean) => {
            local.pools.borrow_mut().of(call.function()).clean.push(faaslet);
        }
        (Ok(_), _) => local.pools.borrow_mut().of(call.function()).unproven.push(faaslet),
        (Err(_), _) => {
            let rank = faaslet.host().rank.clone();
            rank.drop_faaslet(faaslet);
        }
    }
}

impl Rank {
    /// Ends the life of a faaslet and lets a waiting call have its place.
    pub(crate) fn drop_faaslet(&self, faaslet: Box<Faaslet>) {
        drop(faaslet);
        self.gate.leave();
        self.scheduler.room_made();
    }

    /// Gives up idle faaslets everywhere, so that calls in the waiting room get their places.
    pub(crate) fn free_idle_faaslets(&self) {
        let (rank_id, threads) = (self.id, self.scheduler.threads());
        let asked = |asked: usize| (asked == 0).then_some(threads);
        if self.frees_asked.fetch_update(Ordering::SeqCst, Ordering::SeqCst, asked).is_err() {
            return;
        }
        self.scheduler.on_every_thread(move |local| {
            let Some(rank) = crate::sched::find_rank(rank_id) else { return };
            rank.frees_asked.fetch_sub(1, Ordering::SeqCst);
            let freed = local.pools.borrow_mut().drain();
            for _ in 0..freed {
                rank.gate.leave();
                rank.scheduler.room_made();
            }
        });
    }
}
