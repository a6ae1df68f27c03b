//! The monitor: the one thread that wakes up by the clock, and only while something needs it.
//!
//! It ends calls that run or wait past their time-out, retries locks that other processes hold, notices
//! when calls wait for a faaslet that nobody can ever free, and chases circles of waits through several
//! ranks.
//!
//! ```text
//!  asleep ──arm──▶ tick every limits::TICK ──nothing left to watch──▶ asleep
//! ```

use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::call::Outcome;
use crate::limits;
use crate::runtime::Rank;
use crate::sched::start_task;

/// What the monitor watches. Shared with its thread.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    state: Mutex<Watched>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Watched {
    /// Ticks are wanted all the time: guest code looks at epochs.
    always: bool,
    armed: bool,
    stop: bool,
    deadlines: BinaryHeap<Deadline>,
    /// Number of deadlines at which those of ended calls are swept out.
    sweep_at: usize,
}

#[derive(Debug)]
struct Deadline(Instant, Weak<Waker>);

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Deadline {}
impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Deadline {
    /// Earliest first, because [`BinaryHeap`] hands out the greatest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.cmp(&self.0)
    }
}

impl Monitor {
    /// Starts the thread; it ends with [`stop`](Self::stop) or with the rank.
    /// With `always` it ticks from the start.
    pub(crate) fn start(self: &Arc<Self>, rank: Weak<Rank>, always: bool) -> std::io::Result<()> {
        self.state.lock().always = always;
        let monitor = self.clone();
        let thread = std::thread::Builder::new().name("mobula-monitor".into());
        thread.spawn(move || monitor.run(&rank)).map(drop)
    }

    /// Asks for a tick.
    pub(crate) fn arm(&self) {
        self.state.lock().armed = true;
        self.wake.notify_one();
    }

    /// Wakes `waker` soon after `deadline`, unless the result was dropped by then.
    pub(crate) fn wake_at(&self, deadline: Instant, waker: Waker) -> Arc<Waker> {
        let waker = Arc::new(waker);
        let mut state = self.state.lock();
        if state.deadlines.len() >= state.sweep_at {
            // Calls that ended in time left entries that mean nothing.
            state.deadlines.retain(|deadline| deadline.1.strong_count() > 0);
            state.sweep_at = (2 * state.deadlines.len()).max(1024);
        }
        state.deadlines.push(Deadline(deadline, Arc::downgrade(&waker)));
        self.wake.notify_one();
        waker
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_one();
    }

    fn run(&self, rank: &Weak<Rank>) {
        let mut stuck = Stuck::default();
        loop {
            let mut state = self.state.lock();
            while !state.always && !state.armed && !state.stop && state.deadlines.is_empty() {
                self.wake.wait(&mut state);
            }
            // A tick is a length of time, whoever notifies meanwhile: epochs are counted in it.
            let end = Instant::now() + limits::TICK;
            while !state.stop && !self.wake.wait_until(&mut state, end).timed_out() {}
            let now = Instant::now();
            let mut due = Vec::new();
            while state.deadlines.peek().is_some_and(|d| d.0 <= now) {
                due.extend(state.deadlines.pop());
            }
            state.armed = false;
            let stop = state.stop;
            drop(state);
            let wakers = due.into_iter().filter_map(|deadline| deadline.1.upgrade());
            wakers.for_each(|waker| waker.wake_by_ref());
            let Some(rank) = rank.upgrade() else { return };
            if stop {
                return;
            }
            let chasing = rank.chase_circles();
            if stuck.tick(&rank) || chasing {
                self.state.lock().armed = true;
            }
        }
    }
}

impl Rank {
    /// Refuses the oldest of the calls that wait for a faaslet.
    pub(crate) fn refuse_waiting(&self) {
        let Some(call) = self.scheduler.take_waiting() else { return };
        let limit = self.gate.limit();
        let why = format!(
            "all {limit} live faaslets wait for calls that find no faaslet; chain less deeply or raise \
             --max-faaslets"
        );
        self.finish_unstarted(call, &Outcome::Refused(why));
    }
}

/// Notices that calls wait for a faaslet while every faaslet waits for such a call.
#[derive(Debug, Default)]
struct Stuck {
    last: Option<u64>,
    /// A task looks whether the other ranks stand still, too.
    looking: Arc<AtomicBool>,
}

impl Stuck {
    /// One look; tells whether another is needed.
    fn tick(&mut self, rank: &Arc<Rank>) -> bool {
        rank.engine.increment_epoch();
        rank.state.retry_foreign_locks();
        let waiting = rank.scheduler.waiting();
        if waiting == 0 {
            self.last = None;
            return rank.state.waits().any_foreign();
        }
        // Idle faaslets of other functions or threads are given up, so that waiting calls get room.
        rank.free_idle_faaslets();
        if rank.gate.live() < rank.gate.limit() {
            // A place became free between the look at the gate and the queueing.
            rank.scheduler.room_made();
            self.last = None;
            return true;
        }
        let progress = rank.stats.progress();
        let blocked = rank.gate.all_blocked();
        if blocked && self.last.replace(progress) == Some(progress) {
            self.last = None;
            if rank.remote.as_ref().is_none_or(|remote| !remote.expects()) {
                rank.refuse_waiting();
            } else if !self.looking.swap(true, Ordering::AcqRel) {
                // What they wait for may go on elsewhere.
                let (rank, looking) = (rank.clone(), self.looking.clone());
                start_task(rank.id, async move {
                    rank.look_for_standstill().await;
                    looking.store(false, Ordering::Release);
                });
            }
        }
        true
    }
}
