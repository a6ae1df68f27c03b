//! Locks on keys: held by calls, waited for by suspended fibres, mirrored in shared memory.
//!
//! ```text
//!  call ── ask ──────▶ KeyLock { holders, queue }  ── first holder ──▶ word in the arena (this process)
//!            │ not now                                      ▲ last holder lets go
//!            └── queue, suspend ◀── grant in order ─────────┘
//! ```
//!
//! `README.md` beside this file: who waits for whom, and why nothing deadlocks silently.
//! Invariants: a waiter is granted at most once, in queue order (readers in front of a writer go
//! together); a dropped waiter leaves the queue or gives its grant back; the word in shared memory is
//! held exactly while `holders` is not empty.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use mobula_shm::{OwnerTable, RwLockWord};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Shared, text};
use crate::call::Title;
use crate::error::StateError;

/// A call as the lock sees it: its slot in the call table, or a larger number for a call of another
/// rank.
pub(crate) type Holder = u64;

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    /// Together with other readers.
    Read,
    /// Alone.
    Write,
    /// Alone in the whole job.
    Global,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Global => "global",
        }
    }
}

/// Who waits for which lock: what the search for deadlocks walks.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    waiting: Mutex<Waiting>,
    count: AtomicUsize,
    foreign: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: HashMap<Holder, Wait>,
    /// How many waits there were.
    serial: u64,
}

/// One wait of a call.
#[derive(Debug)]
struct Wait {
    lock: Arc<KeyLock>,
    ticket: u64,
    /// No other wait for a lock of this rank has it.
    serial: u64,
    mode: Mode,
    title: Title,
    /// Looks for long waits that it has seen, at which number of them it is next chased, and how many
    /// looks are between that and the time after.
    looks: u32,
    due: u32,
    gap: u32,
}

/// A wait that lasts, as the search through several ranks sees it.
#[derive(Debug)]
pub(crate) struct LongWait {
    pub(crate) call: Holder,
    pub(crate) serial: u64,
    pub(crate) mode: Mode,
    pub(crate) title: Title,
    pub(crate) lock: Arc<KeyLock>,
    /// The calls that all have to give the lock up before.
    pub(crate) blockers: Vec<Holder>,
}

impl Wait {
    fn seen(&self, call: Holder) -> LongWait {
        LongWait {
            call,
            serial: self.serial,
            mode: self.mode,
            title: self.title,
            lock: self.lock.clone(),
            blockers: self.lock.blockers(call),
        }
    }
}

impl Waits {
    /// One look at all waits: those that are to be chased now, `most` of them at most. A wait is chased at
    /// the second look that sees it, then after twice as many looks each time, up to `rarest`.
    pub(crate) fn look(&self, most: usize, rarest: u32) -> Vec<LongWait> {
        let mut long = Vec::new();
        for (&call, wait) in &mut self.waiting.lock().calls {
            wait.looks += 1;
            if wait.looks > wait.due && long.len() < most {
                wait.due = wait.looks + wait.gap - 1;
                wait.gap = (2 * wait.gap).min(rarest);
                long.push(wait.seen(call));
            }
        }
        long
    }

    /// What `call` waits for here, if it does.
    pub(crate) fn of(&self, call: Holder) -> Option<LongWait> {
        self.waiting.lock().calls.get(&call).map(|wait| wait.seen(call))
    }

    /// The wait of `call` is chased at the next look.
    pub(crate) fn hurry(&self, call: Holder) {
        if let Some(wait) = self.waiting.lock().calls.get_mut(&call) {
            wait.due = wait.due.min(wait.looks.max(1));
        }
    }

    /// Ends a wait with [`StateError::Deadlock`], if it still goes on. `circle` is said, too.
    pub(crate) fn fail(&self, wait: &LongWait, circle: String) {
        let ticket = {
            let waiting = self.waiting.lock();
            let now = waiting.calls.get(&wait.call).filter(|now| now.serial == wait.serial);
            now.map(|now| now.ticket)
        };
        if let Some(ticket) = ticket {
            wait.lock.fail_if(|waiter| waiter.ticket == ticket, circle);
        }
    }

    /// Whether any call waits for a lock.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Whether a call may wait for a lock that another process holds.
    pub(crate) fn any_foreign(&self) -> bool {
        self.any() && self.foreign.load(Ordering::Relaxed) > 0
    }

    fn begin(&self, call: Holder, lock: Arc<KeyLock>, ticket: u64, mode: Mode, title: Title) {
        let mut waiting = self.waiting.lock();
        waiting.serial += 1;
        let serial = waiting.serial;
        let wait = Wait { lock, ticket, serial, mode, title, looks: 0, due: 1, gap: 1 };
        waiting.calls.insert(call, wait);
    }

    /// After `from` began to wait: fails a waiter if that closed a circle of waits.
    pub(crate) fn break_cycle(&self, from: Holder, awaits: &dyn Fn(Holder) -> Vec<Holder>) {
        // Waits are read one after the other; only a circle that is there twice is one.
        if self.cycle(from, awaits).is_some()
            && let Some((victim, lock)) = self.cycle(from, awaits)
        {
            lock.fail(victim);
        }
    }

    /// Starting from `from`, follows who waits for whom; when that leads back to `from`, returns
    /// the first call on the way that waits for a lock: every circle through `from` passes it.
    ///
    /// `awaits` says which calls a call awaits.
    fn cycle(
        &self,
        from: Holder,
        awaits: &dyn Fn(Holder) -> Vec<Holder>,
    ) -> Option<(Holder, Arc<KeyLock>)> {
        let waiting = self.waiting.lock();
        let mut seen = HashSet::from([from]);
        let mut stack = vec![(from, None::<(Holder, Arc<KeyLock>)>)];
        while let Some((call, victim)) = stack.pop() {
            let (next, victim) = match waiting.calls.get(&call) {
                Some(Wait { lock, .. }) => {
                    (lock.blockers(call), victim.or(Some((call, lock.clone()))))
                }
                None => (awaits(call), victim),
            };
            for holder in next {
                if holder == from {
                    return victim;
                }
                if seen.insert(holder) {
                    stack.push((holder, victim.clone()));
                }
            }
        }
        None
    }

    /// Retries locks that another process held, releasing what dead processes hold.
    pub(super) fn retry_foreign(&self, owners: &OwnerTable) {
        if self.foreign.load(Ordering::Relaxed) == 0 {
            return;
        }
        let waiting = self.waiting.lock();
        let locks: Vec<_> = waiting.calls.values().map(|wait| wait.lock.clone()).collect();
        drop(waiting);
        for lock in locks {
            lock.word.recover(owners);
            let wakers = lock.grant(&mut lock.inner.lock());
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

/// One lock. See the module head.
#[derive(Debug)]
pub(crate) struct KeyLock {
    key: Box<[u8]>,
    word: RwLockWord,
    shared: Arc<Shared>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    writer: Option<Holder>,
    readers: Vec<Holder>,
    queue: VecDeque<Waiter>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    call: Holder,
    ticket: u64,
    mode: Mode,
    waker: Option<Waker>,
    state: WaitState,
}

impl Waiter {
    fn is_queued(&self) -> bool {
        self.state == WaitState::Queued
    }
}

#[derive(Debug, PartialEq, Eq)]
enum WaitState {
    Queued,
    Granted,
    /// With the circle, if it goes through several ranks.
    Deadlocked(String),
}

impl KeyLock {
    pub(super) fn new(shared: &Arc<Shared>, key: &[u8]) -> Result<Self, StateError> {
        let word = shared.lock_words.lock().word(shared)?;
        shared.owners()?;
        Ok(Self { key: key.into(), word, shared: shared.clone(), inner: Mutex::default() })
    }

    /// Who keeps `call` waiting: the holders; nobody once it was granted. Who queued before it waits
    /// for the same holders and for nobody else.
    fn blockers(&self, call: Holder) -> Vec<Holder> {
        let inner = self.inner.lock();
        let queued = |w: &Waiter| w.call == call && w.is_queued();
        if !inner.queue.iter().any(queued) {
            return Vec::new();
        }
        inner.writer.into_iter().chain(inner.readers.iter().copied()).collect()
    }

    /// Takes the lock for `call`, or its place in the queue: then [`wait`](Self::wait) follows at once.
    ///
    /// # Errors
    /// [`StateError::SelfDeadlock`].
    pub(crate) fn ask(&self, call: Holder, mode: Mode) -> Result<Option<Queued>, StateError> {
        let mut inner = self.inner.lock();
        self.refuse_own(&inner, call, mode)?;
        if !inner.queue.iter().any(Waiter::is_queued) && self.try_take(&mut inner, call, mode) {
            return Ok(None);
        }
        let ticket = inner.next_ticket;
        inner.next_ticket += 1;
        let state = WaitState::Queued;
        inner.queue.push_back(Waiter { call, ticket, mode, waker: None, state });
        Ok(Some(Queued { call, ticket, mode }))
    }

    /// Suspends until the lock is granted.
    ///
    /// `title` is what the call runs, if it is one of this rank; `awaits` says which calls a call awaits;
    /// `watch` is called when another process holds the lock, which nobody here can wake us for.
    ///
    /// # Errors
    /// [`StateError::Deadlock`] instead of a wait without end.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        queued: Queued,
        title: Title,
        awaits: &(dyn Fn(Holder) -> Vec<Holder> + Sync),
        watch: impl Fn(),
    ) -> Result<(), StateError> {
        let Queued { call, ticket, mode } = queued;
        let waits = &self.shared.waits;
        waits.begin(call, self.clone(), ticket, mode, title);
        waits.count.fetch_add(1, Ordering::SeqCst);
        let pending = Pending { lock: self, call, ticket };
        waits.break_cycle(call, awaits);
        if waits.foreign.load(Ordering::Relaxed) > 0 {
            watch();
        }
        poll_fn(|cx| pending.poll(cx.waker())).await
    }

    /// Refuses a lock that would make the call wait for itself.
    fn refuse_own(&self, inner: &Inner, call: Holder, mode: Mode) -> Result<(), StateError> {
        let held = match () {
            () if inner.writer == Some(call) => "write",
            () if inner.readers.contains(&call) && mode != Mode::Read => "read",
            () => return Ok(()),
        };
        Err(StateError::SelfDeadlock {
            key: text(&self.key),
            held: held.into(),
            kind: mode.name().into(),
        })
    }

    fn try_take(&self, inner: &mut Inner, call: Holder, mode: Mode) -> bool {
        let Some((_, slot)) = self.shared.owners.get() else { return false };
        if inner.writer.is_some() {
            return false;
        }
        let taken = match mode {
            Mode::Read => !inner.readers.is_empty() || self.word.try_read(slot),
            Mode::Write | Mode::Global => inner.readers.is_empty() && self.word.try_write(slot),
        };
        if taken {
            match mode {
                Mode::Read => inner.readers.push(call),
                Mode::Write | Mode::Global => inner.writer = Some(call),
            }
        } else if inner.readers.is_empty() {
            self.shared.waits.foreign.store(1, Ordering::Relaxed);
        }
        taken
    }

    /// Releases what `call` holds in this mode.
    ///
    /// # Errors
    /// [`StateError::NotHeld`].
    pub(crate) fn release(&self, call: Holder, mode: Mode) -> Result<(), StateError> {
        let wakers = {
            let mut inner = self.inner.lock();
            let held = match mode {
                Mode::Read => match inner.readers.iter().position(|&r| r == call) {
                    Some(at) => {
                        inner.readers.swap_remove(at);
                        true
                    }
                    None => false,
                },
                Mode::Write | Mode::Global => inner.writer.take_if(|w| *w == call).is_some(),
            };
            if !held {
                return Err(StateError::NotHeld { key: text(&self.key), kind: mode.name().into() });
            }
            self.free_word(&inner, mode);
            self.grant(&mut inner)
        };
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn free_word(&self, inner: &Inner, mode: Mode) {
        let Some((_, slot)) = self.shared.owners.get() else { return };
        let freed = match mode {
            Mode::Read if inner.readers.is_empty() => self.word.unlock_read(slot),
            Mode::Read => Ok(()),
            Mode::Write | Mode::Global => self.word.unlock_write(slot),
        };
        debug_assert!(freed.is_ok(), "the word is held while there are holders");
    }

    /// Gives the lock to as many waiters as it allows, in order; returns whom to wake.
    fn grant(&self, inner: &mut Inner) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for at in 0..inner.queue.len() {
            let waiter = &inner.queue[at];
            if !waiter.is_queued() {
                continue;
            }
            let (call, mode) = (waiter.call, waiter.mode);
            if !self.try_take(inner, call, mode) {
                break;
            }
            inner.queue[at].state = WaitState::Granted;
            wakers.extend(inner.queue[at].waker.take());
        }
        wakers
    }

    /// Ends the wait of `call` with [`StateError::Deadlock`].
    pub(crate) fn fail(&self, call: Holder) {
        self.fail_if(|waiter| waiter.call == call, String::new());
    }

    fn fail_if(&self, which: impl Fn(&Waiter) -> bool, circle: String) {
        let waker = {
            let mut inner = self.inner.lock();
            let queued = |w: &&mut Waiter| which(w) && w.is_queued();
            inner.queue.iter_mut().find(queued).and_then(|waiter| {
                waiter.state = WaitState::Deadlocked(circle);
                waiter.waker.take()
            })
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// The key, for people.
    pub(crate) fn key(&self) -> String {
        text(&self.key)
    }
}

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct Queued {
    call: Holder,
    ticket: u64,
    mode: Mode,
}

/// A wait in progress; dropping it leaves the queue, or gives back a grant nobody took.
struct Pending<'a> {
    lock: &'a KeyLock,
    call: Holder,
    ticket: u64,
}

impl Pending<'_> {
    fn poll(&self, waker: &Waker) -> Poll<Result<(), StateError>> {
        let mut inner = self.lock.inner.lock();
        let Some(at) = inner.queue.iter().position(|w| w.ticket == self.ticket) else {
            return Poll::Ready(Ok(()));
        };
        if inner.queue[at].is_queued() {
            inner.queue[at].waker = Some(waker.clone());
            return Poll::Pending;
        }
        match inner.queue.remove(at) {
            Some(Waiter { state: WaitState::Deadlocked(circle), mode, .. }) => {
                let (key, kind) = (text(&self.lock.key), mode.name().into());
                Poll::Ready(Err(StateError::Deadlock { key, kind, circle }))
            }
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let waits = &self.lock.shared.waits;
        waits.waiting.lock().calls.remove(&self.call);
        waits.count.fetch_sub(1, Ordering::SeqCst);
        let granted = {
            let mut inner = self.lock.inner.lock();
            let at = inner.queue.iter().position(|w| w.ticket == self.ticket);
            at.and_then(|at| inner.queue.remove(at))
                .filter(|waiter| waiter.state == WaitState::Granted)
        };
        if let Some(waiter) = granted {
            let released = self.lock.release(self.call, waiter.mode);
            debug_assert!(released.is_ok(), "a granted waiter holds the lock");
        }
        // A writer that left the front may have been all that kept readers behind it waiting.
        let wakers = self.lock.grant(&mut self.lock.inner.lock());
        wakers.into_iter().for_each(Waker::wake);
    }
}
