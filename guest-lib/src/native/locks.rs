//! Locks of keys: one writer or many readers, two locks for each key.
//!
//! A call that would wait for a lock of a call that waits for it is told so instead. That is found
//! along the parents, as far as each awaits its child.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use std::vec::Vec;

use super::locked;
use super::pool::{Call, current};

/// Which lock, and how it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    Read,
    Write,
    Global,
}

/// A lock that a call holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) key: CString,
    pub(super) mode: Mode,
}

#[derive(Debug, Default)]
struct Lock {
    writer: Option<u64>,
    readers: Vec<u64>,
}

/// By key, and whether it is the one of the whole job.
type Locks = HashMap<(CString, bool), Lock>;

static LOCKS: LazyLock<Mutex<Locks>> = LazyLock::new(Mutex::default);
static RELEASED: Condvar = Condvar::new();
/// The parents of a waiting call may begin to await it without a sign.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Lock {
    /// The calls that stand in the way.
    fn against(&self, mode: Mode) -> Vec<u64> {
        let readers = self.readers.iter().copied().filter(|_| mode != Mode::Read);
        self.writer.into_iter().chain(readers).collect()
    }
}

fn place(key: &CString, mode: Mode) -> (CString, bool) {
    (key.clone(), mode == Mode::Global)
}

/// The call, and all that wait for its end.
fn waiting_for(call: &Arc<Call>) -> Vec<u64> {
    let mut all = std::vec![call.number];
    let mut at = call;
    while let Some(parent) = &at.parent
        && locked(&parent.awaits).contains(&at.number)
    {
        all.push(parent.number);
        at = parent;
    }
    all
}

/// Waits for a lock.
pub(super) fn lock(key: &CString, mode: Mode) {
    let me = current();
    let mut locks = locked(&LOCKS);
    loop {
        let lock = locks.entry(place(key, mode)).or_default();
        let against = lock.against(mode);
        if against.is_empty() {
            match mode {
                Mode::Read => lock.readers.push(me.number),
                Mode::Write | Mode::Global => lock.writer = Some(me.number),
            }
            break;
        }
        let circle = waiting_for(&me).iter().any(|number| against.contains(number));
        assert!(!circle, "lock {mode:?} of key {key:?}: its holder is this call or waits for it");
        let waited = RELEASED.wait_timeout(locks, LOOK_AGAIN);
        locks = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    drop(locks);
    locked(&me.own).held.push(Held { key: key.clone(), mode });
}

/// Gives back a lock of the running call.
pub(super) fn unlock(key: &CString, mode: Mode) {
    let me = current();
    let held = Held { key: key.clone(), mode };
    let mut own = locked(&me.own);
    let at = own.held.iter().position(|other| *other == held);
    // While a panic ends the call, its locks may be gone already.
    let Some(at) = at else { return };
    own.held.swap_remove(at);
    drop(own);
    release(&me, &held);
}

/// Gives back a lock that is no longer among those of its call.
pub(super) fn release(call: &Call, held: &Held) {
    let mut locks = locked(&LOCKS);
    if let Some(lock) = locks.get_mut(&place(&held.key, held.mode)) {
        if held.mode == Mode::Read {
            let at = lock.readers.iter().position(|&number| number == call.number);
            at.map(|at| lock.readers.swap_remove(at));
        } else {
            lock.writer = None;
        }
    }
    drop(locks);
    RELEASED.notify_all();
}
