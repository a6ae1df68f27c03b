//! Who keeps frames moving when no worker does.
//!
//! ```text
//!  moved something ──▶ look again at once, for BRISK ──▶ sleep 20 µs, twice as long each time, ≤ 1 ms
//!        ▲                                                     │
//!        └──────────── moved, or somebody sent ────────────────┘
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
/// Its shortest sleep.
const SHORTEST: Duration = Duration::from_micros(20);
/// Its longest sleep: a look costs about a microsecond, so that an idle rank needs less than one
/// per cent of a core.
const LONGEST: Duration = Duration::from_millis(1);

/// What the thread and those that spare it work know of each other.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Counts everything that moved or was sent.
    events: AtomicU64,
    stop: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
    asleep: AtomicBool,
}

impl Progress {
    /// Somebody polled.
    pub(crate) fn polled(&self, moved: bool) {
        if moved {
            self.events.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something was sent: answers are to be expected.
    pub(crate) fn sent(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
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
            self.asleep.store(true, Ordering::Relaxed);
            self.wake.wait_for(&mut guard, length);
            self.asleep.store(false, Ordering::Relaxed);
        }
    }
}

/// Starts the thread; it ends with [`Progress::stop`] or with the rank.
pub(super) fn start(rank: &Arc<Rank>) -> std::io::Result<()> {
    let weak = Arc::downgrade(rank);
    let run = move || {
        let (mut seen, mut since, mut length) = (0, Instant::now(), SHORTEST);
        while let Some(rank) = weak.upgrade() {
            let Some(remote) = &rank.remote else { return };
            let progress = &remote.progress;
            if progress.stop.load(Ordering::Acquire) {
                return;
            }
            remote.poll();
            rank.send_results();
            let events = progress.events.load(Ordering::Relaxed);
            if events != seen {
                (seen, since, length) = (events, Instant::now(), SHORTEST);
            }
            if since.elapsed() < BRISK {
                std::thread::yield_now();
            } else {
                progress.nap(length);
                length = (2 * length).min(LONGEST);
            }
        }
    };
    std::thread::Builder::new().name("mobula-fabric".into()).spawn(run).map(drop)
}
