//! What guests and launchers ask of a user's state where other ranks may have to be asked.
//!
//! ```text
//!  alone   ─▶ the table, at once
//!  several ─▶ cached? ─▶ the value          (no message, no task)
//!               └ no ─▶ `spread`, in a task of its own
//! ```

use std::pin::Pin;
use std::sync::Arc;

use super::spread::message::{Name, Want, Which};
use super::spread::{Kind, Spread};
use super::{Appended, Mode, UserState, Value, check_key, home, text};
use crate::error::StateError;
use crate::fabric::RankId;
use crate::runtime::block_on;
use crate::store::Records;

/// Work that waits for other ranks. Boxed, so that what calls it where nothing has to wait stays small:
/// such a future is moved, and looked at once, by every host call.
pub(crate) type Cold<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// Where `offset` of a value is at home.
fn home_in(value: &Value, offset: u64) -> Option<RankId> {
    let layout = &value.share()?.layout;
    let chunk = mobula_shm::ChunkIndex::containing(offset).0;
    if offset < layout.len { layout.home(chunk) } else { None }
}

impl UserState {
    pub(crate) fn spread(&self) -> Option<&Arc<Spread>> {
        self.shared.spread.get()
    }

    pub(crate) fn name(&self, key: &[u8]) -> Name {
        Name { user: self.backing.user.clone(), key: key.into() }
    }

    pub(super) fn which(&self, value: &Value) -> Which {
        Which { name: self.name(value.key()), id: value.id(), len: value.len() }
    }

    /// Puts a value in the table, unless a newer one is there; the one to use.
    pub(super) fn adopt(&self, value: Arc<Value>) -> Arc<Value> {
        let mut values = self.values.write();
        match values.get(value.key()) {
            Some(there) if there.id() == value.id() => there.clone(),
            Some(there) if there.id() > value.id() => value,
            _ => {
                values.insert(value.key().into(), value.clone());
                value
            }
        }
    }

    /// Lets go of a value that is no more.
    pub(super) fn drop_value(&self, key: &[u8], id: u64) {
        let mut values = self.values.write();
        let gone = values.get(key).is_some_and(|there| there.id() <= id);
        // Dropped when the table is free again.
        let _value = gone.then(|| values.remove(key));
        drop(values);
    }

    pub(super) fn known_records(&self, key: &[u8]) -> Option<Arc<Appended>> {
        self.appended.read().get(key).cloned()
    }

    pub(super) fn adopt_records(&self, key: &[u8], records: Records) -> Arc<Appended> {
        let fresh = || Arc::new(Appended::of(records));
        self.appended.write().entry(key.into()).or_insert_with(fresh).clone()
    }

    fn found<'a>(
        &'a self,
        key: &'a [u8],
        want: Want,
    ) -> Cold<'a, Result<Option<Arc<Value>>, StateError>> {
        Box::pin(async move {
            let Some(spread) = self.spread() else { return Ok(None) };
            spread.detached(spread.clone().find(self.name(key), want)).await
        })
    }

    /// As [`find`](Self::find).
    pub(crate) async fn seek(&self, key: &[u8]) -> Result<Option<Arc<Value>>, StateError> {
        if self.spread().is_none() {
            return self.find(key);
        }
        match self.get(key) {
            Some(found) => Ok(Some(found)),
            None => {
                check_key(key)?;
                self.found(key, Want::Look).await
            }
        }
    }

    /// As [`with_len`](Self::with_len).
    pub(crate) async fn seek_len(&self, key: &[u8], len: u64) -> Result<Arc<Value>, StateError> {
        if self.spread().is_none() {
            return self.with_len(key, len);
        }
        if let Some(found) = self.get(key) {
            return found.of_len(len);
        }
        check_key(key)?;
        let found = self.found(key, Want::Len(len)).await?;
        found.ok_or_else(|| StateError::Unknown { key: text(key) })
    }

    /// As [`for_whole_write`](Self::for_whole_write).
    pub(crate) async fn seek_whole(&self, key: &[u8], len: u64) -> Result<Arc<Value>, StateError> {
        if self.spread().is_none() {
            return self.for_whole_write(key, len);
        }
        check_key(key)?;
        if let Some(found) = self.get(key).filter(|found| found.len() == len) {
            return Ok(found);
        }
        let found = self.found(key, Want::Whole(len)).await?;
        found.ok_or_else(|| StateError::Unknown { key: text(key) })
    }

    /// As [`delete`](Self::delete).
    pub(crate) async fn remove(&self, key: &[u8]) -> Result<(), StateError> {
        let Some(spread) = self.spread() else { return self.delete(key) };
        check_key(key)?;
        Box::pin(spread.detached(spread.clone().delete(self.name(key)))).await
    }

    /// As [`push`](Self::push) and its relatives.
    pub(crate) async fn send(&self, key: &[u8], kind: &Kind) -> Result<u32, StateError> {
        let Some(spread) = self.spread() else {
            return match kind {
                Kind::Plain => self.push(key),
                Kind::Merge(merge) => self.push_merge(key, *merge),
                Kind::Masked(mask) => self.push_masked(key, &mask.key).map(|()| 0),
            };
        };
        check_key(key)?;
        Box::pin(spread.detached(spread.clone().push(self.name(key), kind.clone()))).await
    }

    /// As [`push_masked`](Self::push_masked).
    pub(crate) async fn send_masked(&self, key: &[u8], mask: &[u8]) -> Result<(), StateError> {
        if self.spread().is_none() {
            return self.push_masked(key, mask);
        }
        check_key(mask)?;
        self.send(key, &Kind::Masked(self.name(mask))).await.map(drop)
    }

    /// As [`pull`](Self::pull); `own` says that the call that pulls has a window on the value.
    pub(crate) async fn fetch_again(
        &self,
        key: &[u8],
        len: u64,
        own: bool,
    ) -> Result<(), StateError> {
        let Some(spread) = self.spread() else { return self.pull(key, len) };
        check_key(key)?;
        Box::pin(spread.detached(spread.clone().pull(self.name(key), len, own))).await
    }

    /// Appends one record.
    pub(crate) async fn append(&self, key: &[u8], record: Vec<u8>) -> Result<(), StateError> {
        let Some(spread) = self.spread() else {
            self.appended(key)?.append(&record);
            return Ok(());
        };
        check_key(key)?;
        Box::pin(spread.detached(spread.clone().append(self.name(key), record))).await
    }

    /// The first `count` appended records, for a buffer of `room` bytes.
    pub(crate) async fn first_records(
        &self,
        key: &[u8],
        count: i64,
        room: i64,
    ) -> Result<Vec<u8>, StateError> {
        let Some(spread) = self.spread() else {
            return self.appended(key)?.first(key, count, room);
        };
        check_key(key)?;
        Box::pin(spread.detached(spread.clone().read_records(self.name(key), count, room))).await
    }

    /// Forgets all appended records.
    pub(crate) async fn clear_records(&self, key: &[u8]) -> Result<(), StateError> {
        let Some(spread) = self.spread() else {
            self.appended(key)?.clear();
            return Ok(());
        };
        check_key(key)?;
        Box::pin(spread.detached(spread.clone().clear_records(self.name(key)))).await
    }

    /// The rank where `offset` of the value of `key` is at home; `None` when there is no such byte.
    pub(crate) async fn home_rank(
        &self,
        key: &[u8],
        offset: u64,
    ) -> Result<Option<RankId>, StateError> {
        let Some(spread) = self.spread() else { return Ok(Some(0)) };
        let Some(value) = self.seek(key).await? else {
            return Ok(Some(home::owner(home::hash(&self.backing.user, key), spread.job.size())));
        };
        Ok(home_in(&value, offset))
    }

    /// The same for a value that this rank knows; `None` where it would have to ask.
    ///
    /// # Errors
    /// [`StateError::BadKey`] or [`StateError::OutOfRange`].
    pub(crate) fn known_home(
        &self,
        key: &[u8],
        offset: i64,
    ) -> Result<Option<Option<RankId>>, StateError> {
        super::check_key(key)?;
        let Some(value) = self.get(key) else { return Ok(None) };
        value.range(offset, 1)?;
        Ok(Some(home_in(&value, offset.cast_unsigned())))
    }

    /// Which rank serves a lock, if it is another one.
    pub(crate) fn lock_server(&self, key: &[u8], mode: Mode) -> Option<(RankId, Name)> {
        let spread = self.spread()?;
        let name = self.name(key);
        let server = spread.server(&name, mode);
        (server != spread.job.rank).then_some((server, name))
    }

    /// Copies bytes of a value out, from their homes. Waits on this thread; for whoever is no guest.
    ///
    /// # Errors
    /// [`StateError::OutOfRange`], or what another rank says.
    pub fn read(&self, value: &Arc<Value>, at: usize, out: &mut [u8]) -> Result<(), StateError> {
        let Some(spread) = self.spread().filter(|_| value.travels()) else {
            return Ok(value.bytes().copy_out(at, out)?);
        };
        let (start, n) = (at as u64, out.len() as u64);
        value.range(i64::try_from(start).unwrap_or(-1), i64::try_from(n).unwrap_or(-1))?;
        let read = spread.clone().read_home(self.which(value), value.clone(), start..start + n);
        out.copy_from_slice(&block_on(spread.detached(read))?);
        Ok(())
    }

    /// Copies bytes into a value, to their homes. Waits on this thread; for whoever is no guest.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&self, value: &Arc<Value>, at: usize, bytes: &[u8]) -> Result<(), StateError> {
        let Some(spread) = self.spread().filter(|_| value.travels()) else {
            return Ok(value.bytes().copy_in(at, bytes)?);
        };
        let (start, n) = (i64::try_from(at).unwrap_or(-1), i64::try_from(bytes.len()));
        let (start, _) = value.range(start, n.unwrap_or(-1))?;
        let (which, value) = (self.which(value), value.clone());
        let write = spread.clone().write_home(which, value, start, bytes.to_vec());
        block_on(spread.detached(write))
    }
}
