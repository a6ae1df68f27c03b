//! The owner's side: which value a key has.
//!
//! ```text
//!  settle(want) ─ has one that fits ─▶ it
//!       │ none: ask rank 0 for the store, once            Close all copies ─ open? ─▶ Reopen, refuse
//!       │ another length, to be overwritten ────────────▶      └ no ─▶ Retire all, new number
//!       └─▶ new number
//! ```
//!
//! Invariants: numbers of one owner grow; a value that replaces another has its number only when every
//! host has given the old one up; a stored value has its number only when its bytes are at home.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use parking_lot::Mutex;

use super::keeper::fits;
use super::message::{InStore, Name, Reply, Request, Want, Which};
use super::{Spread, Turn, unexpected};
use crate::error::StateError;
use crate::state::text;

/// What this rank decides.
#[derive(Debug, Default)]
pub(super) struct Directory {
    entries: Mutex<HashMap<Name, Entry>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Entry {
    /// Number and length.
    value: Option<(u64, u64)>,
    /// The store is not asked any more.
    asked: bool,
}

impl Directory {
    fn get(&self, name: &Name) -> Entry {
        self.entries.lock().get(name).copied().unwrap_or_default()
    }

    fn set(&self, name: &Name, entry: Entry) {
        self.entries.lock().insert(name.clone(), entry);
    }

    /// Keys with a value, or without one for good.
    pub(super) fn keys(&self, with_value: bool) -> Vec<Name> {
        let entries = self.entries.lock();
        let of = entries.iter().filter(|(_, entry)| entry.value.is_some() == with_value);
        of.map(|(name, _)| name.clone()).collect()
    }
}

impl Spread {
    /// The owner's answer to `Settle`: number and length of the value that will do.
    pub(super) async fn settle(
        self: &Arc<Self>,
        name: Name,
        want: Want,
    ) -> Result<Option<(u64, u64)>, StateError> {
        self.turns
            .take((name.clone(), Turn::Decide), async {
                let mut entry = self.directory.get(&name);
                if let Some((id, len)) = entry.value {
                    if fits(&name.key, len, want)? {
                        return Ok(entry.value);
                    }
                    if let Want::Whole(asked) = want {
                        let refuse =
                            || StateError::ResizeWithWindow { key: text(&name.key), len, asked };
                        self.retire(&Which { name: name.clone(), id, len }, refuse).await?;
                    }
                } else if !entry.asked && !matches!(want, Want::Whole(_)) {
                    entry.value = self.load(&name, want).await?;
                    entry.asked = true;
                    self.directory.set(&name, entry);
                    if entry.value.is_some() {
                        return Ok(entry.value);
                    }
                }
                let (Want::Len(len) | Want::Whole(len)) = want else { return Ok(None) };
                let value = Some((self.next_id()?, len));
                self.directory.set(&name, Entry { value, asked: true });
                Ok(value)
            })
            .await
    }

    /// A number that no other value of the job has.
    fn next_id(&self) -> Result<u64, StateError> {
        let rank = self.rank()?;
        let count = rank.state.shared.next_value.fetch_add(1, Ordering::Relaxed);
        Ok(count * u64::from(self.job.size()) + u64::from(self.job.rank))
    }

    /// Brings a stored value home.
    async fn load(
        self: &Arc<Self>,
        name: &Name,
        want: Want,
    ) -> Result<Option<(u64, u64)>, StateError> {
        if self.no_store.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let len = match self.say(0, Request::Stored(name.clone())).await? {
            Reply::Stored(InStore::Found(len)) => len,
            Reply::Stored(InStore::Absent) => return Ok(None),
            Reply::Stored(InStore::NoStore) => {
                self.no_store.store(true, Ordering::Relaxed);
                return Ok(None);
            }
            _ => return Err(unexpected()),
        };
        fits(&name.key, len, want)?;
        let id = self.next_id()?;
        let which = Which { name: name.clone(), id, len };
        let loaded = self.say(0, Request::Load(which.clone())).await;
        if loaded.is_err() {
            self.to_keepers(&which, Request::Retire).await?;
        }
        loaded.map(|_| Some((id, len)))
    }

    /// The owner's answer to `Delete`.
    pub(super) async fn remove(self: &Arc<Self>, name: Name) -> Result<(), StateError> {
        self.turns
            .take((name.clone(), Turn::Decide), async {
                if let Some((id, len)) = self.directory.get(&name).value {
                    let refuse = || StateError::DeleteWithWindow { key: text(&name.key) };
                    self.retire(&Which { name: name.clone(), id, len }, refuse).await?;
                }
                self.directory.set(&name, Entry { value: None, asked: true });
                Ok(())
            })
            .await
    }

    /// Makes every host give the value up, if no call has a window on it.
    async fn retire(
        self: &Arc<Self>,
        which: &Which,
        refuse: impl Fn() -> StateError,
    ) -> Result<(), StateError> {
        let open = self.to_keepers(which, Request::Close).await?;
        if open.contains(&true) {
            self.to_keepers(which, Request::Reopen).await?;
            return Err(refuse());
        }
        self.to_keepers(which, Request::Retire).await.map(drop)
    }

    /// Asks the keepers of all hosts; what they say.
    async fn to_keepers(
        self: &Arc<Self>,
        which: &Which,
        request: impl Fn(Which) -> Request,
    ) -> Result<Vec<bool>, StateError> {
        let hosts = self.job.hosts.iter().max().map_or(0, |most| most + 1);
        let asks =
            (0..hosts).map(|host| self.say(self.keeper(&which.name, host), request(which.clone())));
        let replies = join_all(asks).await;
        let flag = |reply| Ok(matches!(reply?, Reply::Flag(true)));
        replies.into_iter().map(flag).collect()
    }
}
