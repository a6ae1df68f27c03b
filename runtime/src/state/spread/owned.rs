//! What is with one rank and does not travel: appended records, locks, the store.
//!
//! ```text
//!  records, global lock ─▶ owner of the key        lock of the host's copy ─▶ the host's keeper
//!  store                ─▶ rank 0
//! ```
//!
//! Invariants: a lock is granted to a call by its server alone; a grant for a call that has ended
//! meanwhile is given back; calls of other ranks have numbers that no slot and no other call has.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use tokio::sync::oneshot;

use super::message::{InStore, Keys, Name, Reply, Request, Which};
use super::{Spread, Turn, unexpected};
use crate::call::Title;
use crate::error::StateError;
use crate::fabric::{Body, RankId};
use crate::runtime::block_on;
use crate::state::lock::Holder;
use crate::state::{Appended, KeyLock, Mode, text};
use crate::store::{Records, StoreError};

/// How much of a stored value travels at a time.
const PIECE: usize = 4 << 20;
/// Numbers of calls of other ranks begin here: above all slots.
const CALLS: u32 = 40;

/// A lock that a call holds, and where it is served.
#[derive(Debug, Clone)]
pub(crate) enum HeldLock {
    /// On this rank.
    Here(Arc<KeyLock>),
    /// On another one.
    There(RankId, Name),
}

impl HeldLock {
    /// Whether both are the same lock.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here(a), Self::Here(b)) => Arc::ptr_eq(a, b),
            (Self::There(a, x), Self::There(b, y)) => a == b && x == y,
            _ => false,
        }
    }
}

impl Spread {
    pub(super) async fn reply_owned(
        self: &Arc<Self>,
        from: RankId,
        request: Request,
        body: Body,
    ) -> Result<(Reply, Body), StateError> {
        let reply = match request {
            Request::Append(name) => {
                self.records(&name).await?.append(&body.into_bytes());
                Reply::Done
            }
            Request::Records(name, count, room) => {
                let found = self.records(&name).await?.first(&name.key, count, room)?;
                return Ok((Reply::Done, Body::of(found)));
            }
            Request::Clear(name) => {
                self.records(&name).await?.clear();
                Reply::Done
            }
            Request::Stored(name) => Reply::Stored(self.in_store(&name)?),
            Request::Load(which) => {
                self.load_stored(which).await?;
                Reply::Done
            }
            Request::StoredRecords(name) => {
                let records = match &self.rank()?.config.store {
                    Some(store) => store.records(&name.user, &name.key)?.unwrap_or_default(),
                    None => Records::default(),
                };
                return Ok((Reply::Done, encode(&(records.bytes, records.ends))?));
            }
            Request::Keys => return Ok((Reply::Done, encode(&self.keys()?)?)),
            Request::Lock(name, mode, call) => {
                self.serve_lock(&name, mode, call_of(from, call)).await?;
                Reply::Done
            }
            Request::Unlock(name, mode, call) => {
                fence(Ordering::SeqCst);
                self.lock_here(&name, mode)?.release(call_of(from, call), mode)?;
                Reply::Done
            }
            _ => return Err(unexpected()),
        };
        Ok((reply, Body::None))
    }

    /// The owner's records of a key.
    async fn records(self: &Arc<Self>, name: &Name) -> Result<Arc<Appended>, StateError> {
        let user = self.rank()?.state.user(&name.user);
        if let Some(found) = user.known_records(&name.key) {
            return Ok(found);
        }
        self.turns
            .take((name.clone(), Turn::Records), async {
                if let Some(found) = user.known_records(&name.key) {
                    return Ok(found);
                }
                let mut records = Records::default();
                if !self.no_store.load(Ordering::Relaxed) {
                    let request = Request::StoredRecords(name.clone());
                    let (_, body) = self.ask(0, request, Body::None, None).await?;
                    (records.bytes, records.ends) = decode(body)?;
                }
                Ok(user.adopt_records(&name.key, records))
            })
            .await
    }

    fn in_store(&self, name: &Name) -> Result<InStore, StateError> {
        let rank = self.rank()?;
        let Some(store) = &rank.config.store else { return Ok(InStore::NoStore) };
        let found = store.value(&name.user, &name.key)?;
        Ok(found.map_or(InStore::Absent, |stored| InStore::Found(stored.len)))
    }

    /// Brings a stored value to its homes, piece by piece.
    async fn load_stored(self: &Arc<Self>, which: Which) -> Result<(), StateError> {
        let rank = self.rank()?;
        let what = || format!("key {:?}", text(&which.name.key));
        let fail = |reason: String| StateError::Store(StoreError { what: what(), reason });
        let wrong = || {
            let reason = format!("it does not have the {} bytes that it says it has", which.len);
            fail(reason)
        };
        let store = rank.config.store.as_ref().ok_or_else(unexpected)?;
        let found = store.value(&which.name.user, &which.name.key)?;
        let mut stored = found.filter(|stored| stored.len == which.len).ok_or_else(wrong)?;
        let value = self.this(&which).await?;
        let mut at = 0;
        loop {
            let mut piece = vec![0; PIECE];
            let mut have = 0;
            while have < piece.len() {
                match stored.bytes.read(&mut piece[have..]) {
                    Ok(0) => break,
                    Ok(n) => have += n,
                    Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(err) => return Err(fail(err.to_string())),
                }
            }
            piece.truncate(have);
            if have as u64 > which.len - at || have == 0 && at < which.len {
                return Err(wrong());
            }
            if have == 0 {
                return Ok(());
            }
            if piece.iter().any(|&byte| byte != 0) {
                self.clone().write_home(which.clone(), value.clone(), at, piece).await?;
            }
            at += have as u64;
        }
    }

    /// The keys that this rank owns.
    fn keys(&self) -> Result<Keys, StateError> {
        let rank = self.rank()?;
        let mut keys = Keys {
            values: self.directory.keys(true),
            vacant: self.directory.keys(false),
            records: Vec::new(),
        };
        for (user, table) in rank.state.own_users() {
            for (key, records) in table.own_records() {
                let name = Name { user: user.as_str().into(), key: key.into() };
                keys.records.push((name, records.bytes, records.ends));
            }
        }
        Ok(keys)
    }

    /// The keys that all ranks own. Waits on this thread.
    pub(in crate::state) fn all_keys(self: &Arc<Self>) -> Keys {
        let mut all = Keys::default();
        for rank in 0..self.job.size() {
            let asked = block_on(self.ask(rank, Request::Keys, Body::None, None));
            // A rank that does not answer ends the job.
            let Ok(keys) = asked.and_then(|(_, body)| decode::<Keys>(body)) else { continue };
            all.values.extend(keys.values);
            all.vacant.extend(keys.vacant);
            all.records.extend(keys.records);
        }
        all
    }

    /// The users who have state anywhere. Waits on this thread.
    pub(in crate::state) fn all_users(self: &Arc<Self>) -> HashSet<Box<str>> {
        let keys = self.all_keys();
        let records = keys.records.into_iter().map(|(name, ..)| name);
        let names = keys.values.into_iter().chain(keys.vacant).chain(records);
        names.map(|name| name.user).collect()
    }

    /// Appends a record.
    pub(crate) async fn append(
        self: Arc<Self>,
        name: Name,
        record: Vec<u8>,
    ) -> Result<(), StateError> {
        let owner = self.owner(&name);
        self.ask(owner, Request::Append(name), Body::of(record), None).await.map(drop)
    }

    /// The first `count` records.
    pub(crate) async fn read_records(
        self: Arc<Self>,
        name: Name,
        count: i64,
        room: i64,
    ) -> Result<Vec<u8>, StateError> {
        let owner = self.owner(&name);
        let (_, body) =
            self.ask(owner, Request::Records(name, count, room), Body::None, None).await?;
        Ok(body.into_bytes())
    }

    /// Removes the value of a key.
    pub(crate) async fn delete(self: Arc<Self>, name: Name) -> Result<(), StateError> {
        let owner = self.owner(&name);
        self.say(owner, Request::Delete(name)).await.map(drop)
    }

    /// Forgets all records.
    pub(crate) async fn clear_records(self: Arc<Self>, name: Name) -> Result<(), StateError> {
        let owner = self.owner(&name);
        self.say(owner, Request::Clear(name)).await.map(drop)
    }

    /// A number for a call that asks other ranks for locks.
    pub(crate) fn lock_id(&self) -> u64 {
        self.next_lock.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Where a lock is served.
    pub(crate) fn server(&self, name: &Name, mode: Mode) -> RankId {
        match mode {
            Mode::Global => self.owner(name),
            Mode::Read | Mode::Write => self.keeper(name, self.job.host()),
        }
    }

    /// Takes a lock that another rank serves.
    pub(crate) async fn lock_there(
        self: &Arc<Self>,
        server: RankId,
        name: Name,
        mode: Mode,
        call: u64,
    ) -> Result<(), StateError> {
        let (send, receive) = oneshot::channel();
        let grant = Grant { spread: self.clone(), server, name, mode, call };
        let mut asking = Asking { receive, grant: grant.clone() };
        self.spawn(async move {
            let lock = Request::Lock(grant.name.clone(), mode, call);
            let granted = grant.spread.say(server, lock).await;
            if let Err(Ok(_)) = send.send(granted) {
                grant.give_back().await;
            }
        });
        match (&mut asking.receive).await {
            Ok(granted) => granted.map(drop),
            Err(_) => Err(super::ended()),
        }
    }

    /// Gives a lock back that another rank serves.
    pub(crate) async fn unlock_there(
        self: &Arc<Self>,
        server: RankId,
        name: Name,
        mode: Mode,
        call: u64,
    ) -> Result<(), StateError> {
        fence(Ordering::SeqCst);
        self.say(server, Request::Unlock(name, mode, call)).await.map(drop)
    }

    fn lock_here(&self, name: &Name, mode: Mode) -> Result<Arc<KeyLock>, StateError> {
        let locks = self.rank()?.state.user(&name.user).locks(&name.key)?;
        Ok(if mode == Mode::Global { locks.global.clone() } else { locks.local.clone() })
    }

    async fn serve_lock(&self, name: &Name, mode: Mode, call: Holder) -> Result<(), StateError> {
        let lock = self.lock_here(name, mode)?;
        let rank = self.rank()?;
        // What calls of other ranks await is not known here: `remote::circles` asks.
        let awaits = |holder: Holder| rank.awaited_by(holder);
        let granted = match lock.ask(call, mode)? {
            None => Ok(()),
            Some(queued) => {
                lock.wait(queued, Title::default(), &awaits, || rank.monitor.arm()).await
            }
        };
        fence(Ordering::SeqCst);
        granted
    }
}

/// A lock that another rank grants, or has granted.
#[derive(Clone)]
struct Grant {
    spread: Arc<Spread>,
    server: RankId,
    name: Name,
    mode: Mode,
    call: u64,
}

impl Grant {
    /// For a call that has ended while it waited.
    async fn give_back(self) {
        let Self { spread, server, name, mode, call } = self;
        // A server that is gone ends the job.
        spread.unlock_there(server, name, mode, call).await.ok();
    }
}

/// A call that waits for a grant; when it ends before it saw the grant, that is given back.
struct Asking {
    receive: oneshot::Receiver<Result<Reply, StateError>>,
    grant: Grant,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.receive.close();
        if let Ok(Ok(_)) = self.receive.try_recv() {
            self.grant.spread.spawn(self.grant.clone().give_back());
        }
    }
}

/// The holder that a rank's call is.
pub(crate) fn call_of(from: RankId, call: u64) -> Holder {
    (u64::from(from) + 1) << CALLS | call & ((1 << CALLS) - 1)
}

/// The rank of a holder and its number there, if it is not a slot of this rank.
pub(crate) fn rank_of(holder: Holder) -> Option<(RankId, u64)> {
    let rank = (holder >> CALLS).checked_sub(1)?;
    Some((RankId::try_from(rank).ok()?, holder & ((1 << CALLS) - 1)))
}

fn encode(what: &impl serde::Serialize) -> Result<Body, StateError> {
    Ok(Body::of(postcard::to_allocvec(what).map_err(|_| unexpected())?))
}

fn decode<T: serde::de::DeserializeOwned>(body: Body) -> Result<T, StateError> {
    postcard::from_bytes(&body.into_bytes()).map_err(|_| unexpected())
}
