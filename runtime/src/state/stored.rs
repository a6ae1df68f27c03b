//! State and the store: what happens when a key is not in a user's table.
//!
//! ```text
//!  find ─ in the table? ─yes─▶ value
//!            └no─ asked before? ─yes─▶ none
//!                     └no─ Turns ─▶ Store::value ─▶ arena, PIECE by PIECE ─▶ table
//! ```
//!
//! Invariants: a key is asked for once; a value enters the table whole; no table's lock is held
//! while the store is read. A whole write does not read what it replaces.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Appended, Shared, StateTable, UserState, Value, check_key, text};
use crate::error::StateError;
use crate::store::{Records, Store, StoreError, StoredValue, Turns};

/// How much of a value passes through ordinary memory at a time.
const PIECE: usize = 1 << 20;

/// A key, and whether its records are meant.
type Name = (Box<[u8]>, bool);

/// What a user's table knows about the store.
#[derive(Debug)]
pub(crate) struct Backing {
    pub(super) user: Box<str>,
    store: Option<Arc<dyn Store>>,
    turns: Turns<Name>,
    /// Keys whose value the store will not be asked for again.
    asked: RwLock<HashSet<Box<[u8]>>>,
}

impl Backing {
    pub(super) fn new(user: &str, store: Option<Arc<dyn Store>>) -> Self {
        let (turns, asked) = (Turns::default(), RwLock::default());
        Self { user: user.into(), store, turns, asked }
    }

    /// From now on the table alone says whether the key has a value: it was asked for, replaced, or
    /// removed.
    pub(super) fn settle(&self, key: &[u8]) {
        if self.store.is_some() && !self.asked.read().contains(key) {
            self.asked.write().insert(key.into());
        }
    }

    /// The store, if it has still to be asked for the value of `key`.
    fn unasked(&self, key: &[u8]) -> Option<&Arc<dyn Store>> {
        let store = self.store.as_ref()?;
        (!self.asked.read().contains(key)).then_some(store)
    }
}

impl StateTable {
    /// The users whose state was used so far.
    #[must_use]
    pub fn users(&self) -> Vec<(String, Arc<UserState>)> {
        let Some(spread) = self.spread() else { return self.own_users() };
        let all = spread.all_users().into_iter();
        all.map(|name| (name.to_string(), self.user(&name))).collect()
    }

    /// The users whose state this rank used so far.
    pub(super) fn own_users(&self) -> Vec<(String, Arc<UserState>)> {
        self.users.read().iter().map(|(name, user)| (name.to_string(), user.clone())).collect()
    }
}

impl UserState {
    /// The value of `key`, from the store if this is its first use.
    ///
    /// # Errors
    /// [`StateError::Store`] when the store has it and cannot give it, [`StateError::BadKey`], or
    /// what the arena says.
    pub fn find(&self, key: &[u8]) -> Result<Option<Arc<Value>>, StateError> {
        if self.spread().is_some() {
            return crate::runtime::block_on(self.seek(key));
        }
        self.find_of_len(key, None)
    }

    /// As [`find`](Self::find); a value of another length than `len` is refused before it is read.
    pub(super) fn find_of_len(
        &self,
        key: &[u8],
        len: Option<u64>,
    ) -> Result<Option<Arc<Value>>, StateError> {
        if let Some(found) = self.get(key) {
            return Ok(Some(found));
        }
        check_key(key)?;
        if self.backing.unasked(key).is_none() {
            return Ok(None);
        }
        self.backing.turns.take(&(key.into(), false), || {
            // Whoever had the turn before has settled the key, unless it failed.
            let Some(store) = self.backing.unasked(key) else { return Ok(self.get(key)) };
            let Some(stored) = store.value(&self.backing.user, key)? else {
                self.backing.settle(key);
                return Ok(self.get(key));
            };
            if let Some(asked) = len.filter(|&asked| asked != stored.len) {
                return Err(StateError::WrongLength { key: text(key), len: stored.len, asked });
            }
            let value = load(&self.shared, key, stored)?;
            // A whole write meanwhile is newer than what was read.
            let value = self.values.write().entry(key.into()).or_insert(value).clone();
            self.backing.settle(key);
            Ok(Some(value))
        })
    }

    /// The records of `key` in the store, as a table entry.
    pub(super) fn stored_records(&self, key: &[u8]) -> Result<Arc<Appended>, StateError> {
        let Some(store) = &self.backing.store else {
            return Ok(self.appended.write().entry(key.into()).or_default().clone());
        };
        self.backing.turns.take(&(key.into(), true), || {
            if let Some(found) = self.appended.read().get(key) {
                return Ok(found.clone());
            }
            let records = store.records(&self.backing.user, key)?.unwrap_or_default();
            let fresh = Arc::new(Appended::of(records));
            self.appended.write().insert(key.into(), fresh.clone());
            Ok(fresh)
        })
    }

    /// The values that were used so far and still exist.
    #[must_use]
    pub fn values(&self) -> Vec<Arc<Value>> {
        if let Some(spread) = self.spread() {
            let names = spread.all_keys().values.into_iter();
            let names = names.filter(|name| name.user == self.backing.user);
            return names.filter_map(|name| self.find(&name.key).ok().flatten()).collect();
        }
        self.values.read().values().cloned().collect()
    }

    /// Keys that have no value now and are not looked for in the store any more: it had none, or
    /// the value was removed here.
    #[must_use]
    pub fn vacant(&self) -> Vec<Vec<u8>> {
        if let Some(spread) = self.spread() {
            let names = spread.all_keys().vacant.into_iter();
            let names = names.filter(|name| name.user == self.backing.user);
            return names.map(|name| name.key.into_vec()).collect();
        }
        let (asked, values) = (self.backing.asked.read(), self.values.read());
        asked.iter().filter(|&key| !values.contains_key(key)).map(|key| key.to_vec()).collect()
    }

    /// The keys whose appended records were used so far, with all their records.
    #[must_use]
    pub fn all_records(&self) -> Vec<(Vec<u8>, Records)> {
        let Some(spread) = self.spread() else { return self.own_records() };
        let all = spread.all_keys().records.into_iter();
        let all = all.filter(|(name, ..)| name.user == self.backing.user);
        all.map(|(name, bytes, ends)| (name.key.into_vec(), Records { bytes, ends })).collect()
    }

    /// The keys whose appended records this rank has.
    pub(super) fn own_records(&self) -> Vec<(Vec<u8>, Records)> {
        let appended = self.appended.read();
        appended.iter().map(|(key, records)| (key.to_vec(), records.all())).collect()
    }
}

/// Copies a stored value into the arena, where zeros are already.
fn load(
    shared: &Arc<Shared>,
    key: &[u8],
    mut stored: StoredValue,
) -> Result<Arc<Value>, StateError> {
    let fail = |reason: String| StoreError { what: format!("key {:?}", text(key)), reason };
    let value = Value::new(shared, key, stored.len)?;
    let (mut piece, mut at) = (vec![0; PIECE.min(value.bytes().len()).max(1)], 0);
    loop {
        let n = match stored.bytes.read(&mut piece) {
            Ok(n) => n,
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(err) => return Err(fail(err.to_string()).into()),
        };
        if n == 0 && at == value.bytes().len() {
            return Ok(Arc::new(value));
        }
        if n == 0 || n > value.bytes().len() - at {
            let reason = format!("it does not have the {} bytes that it says it has", stored.len);
            return Err(fail(reason).into());
        }
        if piece[..n].iter().any(|&byte| byte != 0) {
            value.bytes().copy_in(at, &piece[..n])?;
        }
        at += n;
    }
}
