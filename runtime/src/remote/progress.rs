//! Who keeps frames moving when no worker does.
//!
//! ```text
//!  moved something ──▶ look again at once, for BRISK ──▶ sleep: busy: 20 µs, doubling;
//!        ▲             (unless workers need the cores)    │     idle: 1/16 of the quiet time; ≤ 2 ms
//!        └──────────── moved, or somebody sent ───────────┘
//!
//!  a worker looks ──▶ sleep: two threads that look for the same frame are in each other's way
//!
//! Workers look when they have nothing to do, and between two calls every [`BETWEEN`]: a thread of its own
//! that looked for frames of a busy rank would take a core from the calls.
//! ```
//!
//! Invariant: a frame that has arrived is delivered after at most [`LONGEST`], whatever workers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::runtime::Rank;

/// How long the thread looks without sleeping after something moved.
const BRISK: Duration = Duration::from_micros(50);
/// How long after something moved workers look longer for more.
const LIVELY: Duration = Duration::from_micros(200);
/// How long it sleeps while a worker looks.
const SPARED: Duration = Duration::from_micros(200);
/// How long workers that have work go on without a look.
const BETWEEN: Duration = Duration::from_micros(50);
/// Its shortest sleep.
const SHORTEST: Duration = Duration::from_micros(20);
/// Its longest sleep: waking and looking takes some 25 µs, so that an idle rank needs less than two
/// per cent of a core.
const LONGEST: Duration = Duration::from_millis(2);

/// Sleeps from this length on end when something is sent: they began when there was nothing to expect.
const DEEP: Duration = Duration::from_micros(500);
/// An idle rank sleeps for this part of the time that has been quiet: what comes at intervals, as the steps of
/// an iteration do, is late by no larger part of the interval.
const PATIENCE: u32 = 16;

/// What the thread and those that spare it work know of each other.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Counts everything that moved or was sent.
    events: AtomicU64,
    /// Counts the looks of workers.
    looks: AtomicU64,
    started: Instant,
    /// When something moved last, in microseconds after `started`.
    moved: AtomicU64,
    /// When a worker looked last between two calls.
    between: AtomicU64,
    stop: AtomicBool,
    /// Whether the thread is in a sleep long enough to be woken from when something is sent.
    deep: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            events: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            started: Instant::now(),
            moved: AtomicU64::new(0),
            between: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            deep: AtomicBool::new(false),
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
            self.moved.store(self.now(), Ordering::Relaxed);
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

    /// Whether something moved so lately that more is likely to come.
    pub(crate) fn is_lively(&self) -> bool {
        self.now().saturating_sub(self.moved.load(Ordering::Relaxed)) < LIVELY.as_micros() as u64
    }

    /// Something was sent: answers are to be expected.
    pub(crate) fn sent(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
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
}

/// Starts the thread; it ends with [`Progress::stop`] or with the rank.
pub(super) fn start(rank: &Arc<Rank>) -> std::io::Result<()> {
    let weak = Arc::downgrade(rank);
    let run = move || {
        let (mut seen, mut since, mut length, mut looks) = (0, Instant::now(), SHORTEST, 0);
        while let Some(rank) = weak.upgrade() {
            let Some(remote) = &rank.remote else { return };
            let progress = &remote.progress;
            if progress.stop.load(Ordering::Acquire) {
                return;
            }
            let looked = progress.looks.load(Ordering::Relaxed);
            if std::mem::replace(&mut looks, looked) != looked {
                progress.nap(SPARED);
                continue;
            }
            remote.poll();
            rank.send_results();
            let events = progress.events.load(Ordering::Relaxed);
            if events != seen {
                (seen, since, length) = (events, Instant::now(), SHORTEST);
            }
            let (quiet, idle) = (since.elapsed(), rank.scheduler.is_idle());
            if quiet < BRISK && idle {
                std::thread::yield_now();
            } else {
                if idle {
                    length = (quiet / PATIENCE).clamp(SHORTEST, LONGEST);
                }
                progress.nap(length);
                length = (2 * length).min(LONGEST);
            }
        }
    };
    std::thread::Builder::new().name("mobula-fabric".into()).spawn(run).map(drop)
}
