//! Who keeps frames moving when no worker does.
//!
//! ```text
//!  moved something ──▶ look again at once, for BRISK ──▶ sleep: all threads work: the quiet time;
//!        ▲             (unless workers need the cores)    │     else a sixteenth of it; ≤ 2 ms
//!        └──────────── moved, or somebody sent ───────────┘
//!
//!  a worker looks ──▶ sleep, longer each time: two threads that look for the same frame are in each
//!        │                 other's way
//!        └─ it gives up ──▶ awake at once
//! ```
//!
//! Workers look when they have nothing to do, and between two calls every [`BETWEEN`]: a thread of its own
//! that looked for frames of a busy rank would take a core from the calls. How long a worker that has nothing
//! to do looks before it sleeps is its *patience*: twice as long as it lately had to wait for work, since
//! sleeping, being noticed by the thread and woken costs more than most waits, and a step of an iteration
//! waits as long as the one before. What would have taken longer than [`WORTH`] is not waited for.
//!
//! Invariant: a frame that has arrived is delivered after at most [`LONGEST`], whatever workers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::runtime::Rank;

/// How long the thread looks without sleeping after something moved.
const BRISK: Duration = Duration::from_micros(50);
/// The least and the most patience, in microseconds.
const PATIENCE: (u64, u64) = (200, 4000);
/// The longest wait that patience is meant for, in microseconds.
const WORTH: u64 = 2000;
/// How long it sleeps while a worker looks, at least and at most. Waking it for nothing takes 25 µs from the
/// worker where both share a core, so it sleeps longer and longer; but a worker that finds something to do
/// tells nobody, and then frames wait for the end of the sleep.
const SPARED: (Duration, Duration) = (Duration::from_micros(200), LONGEST);
/// Sleeps that are not longer than the one before after one that ended while workers were busy: the next ones
/// probably do, too.
const HELD: u32 = 16;
/// How long workers that have work go on without a look.
const BETWEEN: Duration = Duration::from_micros(50);
/// Its shortest sleep.
const SHORTEST: Duration = Duration::from_micros(20);
/// The same while all threads work: bodies on their way keep it at that, and each look takes time from calls.
const SHORTEST_BUSY: Duration = Duration::from_micros(100);
/// Its longest sleep: waking and looking takes some 25 µs, so that an idle rank needs less than two
/// per cent of a core.
const LONGEST: Duration = Duration::from_millis(2);

/// Sleeps from this length on end when something is sent: they began when there was nothing to expect.
const DEEP: Duration = Duration::from_micros(500);
/// An idle rank sleeps for this part of the time that has been quiet: what comes at intervals, as the steps of
/// an iteration do, is late by no larger part of the interval.
const IDLE_PART: u32 = 16;
/// The same while all threads work: then each look takes time from a call, 15 µs with what it pushes aside. So
/// a call of a millisecond is disturbed four times.
const BUSY_PART: u32 = 1;
/// How late the kernel may end a sleep of the thread, in nanoseconds; 50 µs unless it is told.
const SLACK: u64 = 1000;

/// What the thread and those that spare it work know of each other.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Counts everything that moved or was sent.
    events: AtomicU64,
    /// Counts the looks of workers.
    looks: AtomicU64,
    started: Instant,
    /// Whether something moved since a worker last wanted to know when.
    fresh: AtomicBool,
    /// When a worker first knew of what moved last, in microseconds after `started`.
    moved: AtomicU64,
    /// Whether something was sent since a worker last looked in vain.
    sent: AtomicBool,
    /// How long a worker looks for frames, in microseconds.
    patience: AtomicU64,
    /// Since when a worker has looked for work; 0 once it was found.
    dry: AtomicU64,
    /// When a worker looked last between two calls, or began to look.
    between: AtomicU64,
    stop: AtomicBool,
    /// Whether the thread is in a sleep long enough to be woken from when something is sent.
    deep: AtomicBool,
    /// Whether it sleeps because a worker looks.
    spared: AtomicBool,
    /// Whether a worker has given up looking since the thread slept for it.
    gave_up: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            events: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            started: Instant::now(),
            fresh: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            between: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            sent: AtomicBool::new(false),
            patience: AtomicU64::new(PATIENCE.0),
            dry: AtomicU64::new(0),
            deep: AtomicBool::new(false),
            spared: AtomicBool::new(false),
            gave_up: AtomicBool::new(false),
            sleep: Mutex::default(),
            wake: Condvar::new(),
        }
    }
}

impl Progress {
    fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Somebody polled.
    pub(crate) fn polled(&self, moved: bool) {
        if moved {
            self.events.fetch_add(1, Ordering::Relaxed);
            // A frame is not worth a look at the clock.
            self.fresh.store(true, Ordering::Relaxed);
        }
    }

    /// A worker looks for frames, and goes on to look for a while.
    pub(crate) fn worker_looks(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a worker that has just ended a call is to look before the next; true for one of them.
    pub(crate) fn is_due(&self) -> bool {
        let (now, last) = (self.now(), self.between.load(Ordering::Relaxed));
        now.saturating_sub(last) >= BETWEEN.as_micros() as u64
            && self
                .between
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Whether some worker has ended a piece of work lately; then it soon ends another, and looks.
    fn turned_lately(&self) -> bool {
        let last = self.between.load(Ordering::Relaxed);
        self.now().saturating_sub(last) < 2 * BETWEEN.as_micros() as u64
    }

    /// Whether a worker that has looked since `start` is to look on; `expects` says that others owe this
    /// rank something.
    pub(crate) fn is_worth_looking(&self, start: Instant, expects: bool) -> bool {
        let patience = self.patience.load(Ordering::Relaxed);
        let now = self.now();
        if self.fresh.load(Ordering::Relaxed) {
            self.fresh.store(false, Ordering::Relaxed);
            self.moved.store(now, Ordering::Relaxed);
        }
        let quiet = now.saturating_sub(self.moved.load(Ordering::Relaxed));
        let hopes = expects || self.sent.load(Ordering::Relaxed);
        quiet < patience || hopes && (start.elapsed().as_micros() as u64) < patience
    }

    /// A worker has had nothing to do since `then`.
    pub(crate) fn ran_dry(&self, then: Instant) {
        let then = then.saturating_duration_since(self.started).as_micros() as u64;
        self.dry.store(then, Ordering::Relaxed);
        self.between.store(then, Ordering::Relaxed);
    }

    /// A worker has something to do again; `at_once` says that it did not have to wait.
    pub(crate) fn found_work(&self, at_once: bool) {
        let (dry, patience) =
            (self.dry.load(Ordering::Relaxed), self.patience.load(Ordering::Relaxed));
        if dry == 0 || at_once && patience == PATIENCE.0 {
            return;
        }
        // Workers that store at once may lose a wait, and the next one tells as much.
        self.dry.store(0, Ordering::Relaxed);
        let waited = if at_once { 0 } else { self.now().saturating_sub(dry) };
        self.patience.store(patience_after(patience, waited), Ordering::Relaxed);
    }

    /// A worker has looked in vain for as long as it may: the thread takes over.
    pub(crate) fn gives_up(&self) {
        self.sent.store(false, Ordering::Relaxed);
        self.gave_up.store(true, Ordering::SeqCst);
        if self.spared.swap(false, Ordering::SeqCst) {
            let _asleep = self.sleep.lock();
            self.wake.notify_all();
        }
    }

    /// Something was sent: answers are to be expected.
    pub(crate) fn sent(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.sent.store(true, Ordering::Relaxed);
        if self.deep.load(Ordering::Relaxed) && self.deep.swap(false, Ordering::Relaxed) {
            self.wake.notify_all();
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        let _order = self.sleep.lock();
        self.wake.notify_all();
    }

    fn nap(&self, length: Duration) {
        let mut guard = self.sleep.lock();
        if !self.stop.load(Ordering::Acquire) {
            // A wake-up between this and the wait is missed; then the sleep has its length.
            self.deep.store(length >= DEEP, Ordering::Relaxed);
            self.wake.wait_for(&mut guard, length);
            self.deep.store(false, Ordering::Relaxed);
        }
    }

    /// Sleeps while a worker looks.
    fn spare(&self, length: Duration) {
        let mut guard = self.sleep.lock();
        self.spared.store(true, Ordering::SeqCst);
        // Who gives up sets its flag, then looks at ours: one of the two sees the other.
        if !self.gave_up.load(Ordering::SeqCst) && !self.stop.load(Ordering::Acquire) {
            self.wake.wait_for(&mut guard, length);
        }
        self.spared.store(false, Ordering::SeqCst);
    }
}

/// How long the thread sleeps while workers look.
struct Spared {
    next: Duration,
    held: u32,
}

impl Default for Spared {
    fn default() -> Self {
        Self { next: SPARED.0, held: 0 }
    }
}

impl Spared {
    /// A worker still looks, or again.
    fn grow(&mut self) {
        if self.held > 0 {
            self.held -= 1;
        } else {
            self.next = (2 * self.next).min(SPARED.1);
        }
    }

    /// Workers had no time for frames.
    fn needed(&mut self) {
        *self = Self { next: SPARED.0, held: HELD };
    }
}

/// Patience after a wait of so many microseconds: grows at once, and shrinks when waits are short, or too long
/// to be worth it.
fn patience_after(patience: u64, waited: u64) -> u64 {
    let next =
        if waited > WORTH { patience / 2 } else { (patience - patience / 8).max(2 * waited) };
    next.clamp(PATIENCE.0, PATIENCE.1)
}

/// Starts the thread; it ends with [`Progress::stop`] or with the rank.
pub(super) fn start(rank: &Arc<Rank>) -> std::io::Result<()> {
    let weak = Arc::downgrade(rank);
    let run = move || {
        // Where it cannot be set, sleeps are longer.
        let _ = nix::sys::prctl::set_timerslack(SLACK);
        let (mut seen, mut since, mut looks, mut was_idle) = (0, Instant::now(), 0, false);
        let mut spared = Spared::default();
        while let Some(rank) = weak.upgrade() {
            let Some(remote) = &rank.remote else { return };
            let progress = &remote.progress;
            if progress.stop.load(Ordering::Acquire) {
                return;
            }
            let looked = progress.looks.load(Ordering::Relaxed);
            let gave_up = progress.gave_up.swap(false, Ordering::SeqCst);
            if std::mem::replace(&mut looks, looked) != looked && !gave_up {
                progress.spare(spared.next);
                if rank.scheduler.is_searched() {
                    spared.grow();
                    continue;
                }
                if progress.turned_lately() {
                    continue;
                }
                // The worker has found work that takes it long: others may wait for answers.
                spared.needed();
                looks = progress.looks.load(Ordering::Relaxed);
            }
            remote.poll();
            rank.send_results();
            let events = progress.events.load(Ordering::Relaxed);
            let is_idle = rank.scheduler.is_idle();
            // A rank that has just run dry begins to wait: how long it worked says nothing about that.
            if events != seen || is_idle && !was_idle {
                (seen, since) = (events, Instant::now());
            }
            was_idle = is_idle;
            let quiet = since.elapsed();
            if quiet < BRISK && is_idle {
                std::thread::yield_now();
            } else {
                let busy = rank.scheduler.is_full();
                let (part, least) =
                    if busy { (BUSY_PART, SHORTEST_BUSY) } else { (IDLE_PART, SHORTEST) };
                progress.nap((quiet / part).clamp(least, LONGEST));
            }
        }
    };
    std::thread::Builder::new().name("mobula-fabric".into()).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_follows_waits_that_are_worth_it() {
        let (least, most) = PATIENCE;
        assert_eq!(patience_after(least, 900), 1800, "at once");
        assert_eq!(patience_after(1800, 900), 1800, "and it stays");
        assert_eq!(patience_after(most, WORTH), most);
        let short = (0..40).fold(most, |patience, _| patience_after(patience, 5));
        let long = (0..40).fold(most, |patience, _| patience_after(patience, 1_000_000));
        assert_eq!((short, long), (least, least), "waits that are short or hopeless");
    }

    #[test]
    fn sleeps_grow_unless_the_thread_is_needed() {
        let mut spared = Spared::default();
        let mut next = || {
            let length = spared.next;
            spared.grow();
            length.as_micros()
        };
        let lengths: Vec<_> = (0..6).map(|_| next()).collect();
        assert_eq!(lengths, [200, 400, 800, 1600, 2000, 2000]);
        spared.needed();
        (0..HELD).for_each(|_| spared.grow());
        assert_eq!(spared.next, SPARED.0);
        spared.grow();
        assert_eq!(spared.next, 2 * SPARED.0);
    }

    /// A worker that gives up while the thread is about to sleep for it is not overlooked.
    #[test]
    fn who_gives_up_is_heard_before_and_during_the_sleep() {
        let progress = Arc::new(Progress::default());
        progress.gives_up();
        progress.spare(SPARED.0);
        assert!(
            progress.gave_up.swap(false, Ordering::SeqCst),
            "no sleep, and the flag is still there"
        );
        for _ in 0..1000 {
            let other = progress.clone();
            let gives_up = std::thread::spawn(move || other.gives_up());
            while !progress.gave_up.swap(false, Ordering::SeqCst) {
                progress.spare(SPARED.0);
            }
            gives_up.join().expect("it gives up");
        }
    }
}
