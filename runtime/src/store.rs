//! What outlives a run: functions and state that a rank asks for when it meets a name it lacks.
//!
//! ```text
//!  chain "f" ──▶ Rank::find_function ──miss──▶ Store::function ─▶ compile ─▶ registered
//!  window "k" ─▶ UserState::find ─────miss──▶ Store::value ────▶ arena, piece by piece
//! ```
//!
//! The runtime only asks; what is kept after a run is decided by who made the store. Each name is
//! asked for once a run: what was found, or that nothing was, holds until the run ends.
//!
//! Invariants: no table's lock is held while the store is read or a module is compiled; a name is
//! loaded by one call at a time, the others wait for it ([`Turns`]); a value that was not read to
//! its end without an error is never seen by a guest.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::io::Read;
use std::sync::Arc;

use parking_lot::Mutex;

/// Functions and state from outside. Every method may be called by several threads at once.
pub trait Store: Send + Sync + Debug {
    /// The module `user/name`, if the store has it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read or is damaged.
    fn function(&self, user: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// The names of a user's functions, for messages.
    fn function_names(&self, user: &str) -> Vec<String>;

    /// The value of a user's key, if the store has it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened or is damaged.
    fn value(&self, user: &str, key: &[u8]) -> Result<Option<StoredValue>, StoreError>;

    /// The appended records of a user's key, if the store has some.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read or are damaged.
    fn records(&self, user: &str, key: &[u8]) -> Result<Option<Records>, StoreError>;
}

/// A value about to be read.
pub struct StoredValue {
    /// Its length in bytes.
    pub len: u64,
    /// Exactly `len` bytes, then the end. An error anywhere, also at the end, means that the bytes
    /// are not the value's.
    pub bytes: Box<dyn Read + Send>,
}

impl Debug for StoredValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredValue({} bytes)", self.len)
    }
}

/// Appended records, one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// Where each record ends in `bytes`; ascending.
    pub ends: Vec<usize>,
}

impl Records {
    /// Adds one record behind the others.
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    /// Bytes of the first `count` records.
    #[must_use]
    pub fn prefix(&self, count: usize) -> Option<&[u8]> {
        match count {
            0 => Some(&[]),
            n => self.ends.get(n - 1).map(|&end| &self.bytes[..end]),
        }
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// Why the store could not give something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("the store cannot give {what}: {reason}")]
pub struct StoreError {
    /// What was asked for, and where it lies.
    pub what: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// One loader a name at a time; who comes second waits and then finds what the first one loaded.
#[derive(Debug)]
pub(crate) struct Turns<K> {
    busy: Mutex<HashMap<K, Arc<Mutex<()>>>>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self { busy: Mutex::default() }
    }
}

impl<K: Hash + Eq + Clone> Turns<K> {
    /// Runs `load` alone among all loads of `name`. It must look first whether there is work left.
    pub(crate) fn take<R>(&self, name: &K, load: impl FnOnce() -> R) -> R {
        let turn = self.busy.lock().entry(name.clone()).or_default().clone();
        let mine = turn.lock();
        let result = load();
        drop(mine);
        let mut busy = self.busy.lock();
        // The table's and ours: nobody else waits for this name.
        if Arc::strong_count(&turn) == 2 {
            busy.remove(name);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_their_ends() {
        let mut records = Records::default();
        for record in [b"one".as_slice(), b"", b"three"] {
            records.push(record);
        }
        assert_eq!(records.iter().collect::<Vec<_>>(), [b"one".as_slice(), b"", b"three"]);
        assert_eq!(records.prefix(2), Some(b"one".as_slice()));
        assert_eq!((records.prefix(0), records.prefix(4)), (Some([].as_slice()), None));
    }

    #[test]
    fn turns_of_one_name_exclude_each_other_and_leave_nothing() {
        let (turns, loads) = (Turns::default(), Mutex::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    turns.take(&"k", || {
                        let mut loads = loads.try_lock().expect("one at a time");
                        std::thread::sleep(std::time::Duration::from_millis(1));
                        *loads += 1;
                    });
                });
            }
        });
        assert_eq!((*loads.lock(), turns.busy.lock().len()), (8, 0));
    }
}
