//! What other ranks, and this one, ask of this rank's state.
//!
//! Invariant: no frame makes this rank panic; what is malformed or comes too late is refused.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use mobula_shm::ByteView;

use super::message::{Reply, Request, Which};
use super::patch::{self, Malformed};
use super::{Spread, ended, unexpected};
use crate::error::StateError;
use crate::fabric::{Body, RankId};
use crate::runtime::Rank;
use crate::state::merge::Merge;

/// An answer in the making. Boxed, because answering may mean asking.
type Answering = Pin<Box<dyn Future<Output = (Reply, Body)> + Send>>;

impl From<Malformed> for StateError {
    fn from(err: Malformed) -> Self {
        Self::Shm(err.to_string())
    }
}

/// Where the body of a request is to lie: at home, if it is to overwrite what lies there.
pub(crate) fn landing(rank: &Arc<Rank>, request: &Request, len: usize) -> Option<ByteView> {
    let Request::Put(which, at) = request else { return None };
    let value = rank.state.user(&which.name.user).get_any(&which.name.key)?;
    let bytes = (value.id() == which.id).then(|| value.bytes())?;
    bytes.sub(usize::try_from(*at).ok()?, len).ok()
}

/// Answers a question about state.
pub(crate) fn answer(rank: Arc<Rank>, from: RankId, request: Request, body: Body) -> Answering {
    Box::pin(async move {
        let Some(spread) = rank.state.spread().cloned() else {
            return (Reply::Refused(ended()), Body::None);
        };
        drop(rank);
        match spread.reply(from, request, body).await {
            Ok(answer) => answer,
            Err(err) => (Reply::Refused(err), Body::None),
        }
    })
}

impl Spread {
    async fn reply(
        self: &Arc<Self>,
        from: RankId,
        request: Request,
        body: Body,
    ) -> Result<(Reply, Body), StateError> {
        let reply = match request {
            Request::Arena => self.own_arena()?,
            Request::Find(name, want) => Reply::Copy(self.keep_found(name, want).await?),
            Request::Copy(which) => Reply::Copy(self.keep(&which).await?),
            Request::Settle(name, want) => Reply::Is(self.settle(name, want).await?),
            Request::Delete(name) => self.remove(name).await.map(|()| Reply::Done)?,
            Request::Close(which) => {
                Reply::Flag(self.keeper.with(&which, |share| share.close()).unwrap_or(false))
            }
            Request::Reopen(which) => {
                self.keeper.with(&which, |share| share.reopen());
                Reply::Done
            }
            Request::Retire(which) => self.give_up(which).await.map(|()| Reply::Done)?,
            Request::Forget(which) => self.forget(&which).map(|()| Reply::Done)?,
            Request::Get(which, first, count) => return self.get(&which, first, count).await,
            Request::Put(which, at) => self.put(&which, at, body).await.map(|()| Reply::Done)?,
            Request::Patch(which, merge) => {
                self.apply(&which, merge, body).await.map(|()| Reply::Done)?
            }
            Request::Collect(which) => self.collect_here(&which).map(|()| Reply::Done)?,
            other => return self.reply_owned(from, other, body).await,
        };
        Ok((reply, Body::None))
    }

    /// The keeper gives a value up, and so do the ranks of its host.
    async fn give_up(self: &Arc<Self>, which: Which) -> Result<(), StateError> {
        self.keeper.retire(&which);
        for &rank in &self.near {
            let (spread, which) = (self.clone(), which.clone());
            self.spawn(async move {
                let forget = Request::Forget(which.clone());
                if spread.say(rank, forget).await.is_ok() {
                    spread.keeper.retire(&which);
                }
            });
        }
        Ok(())
    }

    fn forget(&self, which: &Which) -> Result<(), StateError> {
        self.rank()?.state.user(&which.name.user).drop_value(&which.name.key, which.id);
        Ok(())
    }

    async fn get(
        self: &Arc<Self>,
        which: &Which,
        first: u32,
        count: u32,
    ) -> Result<(Reply, Body), StateError> {
        let value = self.this(which).await?;
        let layout = &value.share().ok_or_else(unexpected)?.layout;
        let end = first.checked_add(count).filter(|&end| end <= layout.chunks);
        let bytes = layout.bytes(&(first..end.ok_or_else(unexpected)?));
        fence(Ordering::SeqCst);
        Ok((Reply::Done, Body::View(value.bytes().sub(bytes.start, bytes.len())?)))
    }

    async fn put(self: &Arc<Self>, which: &Which, at: u64, body: Body) -> Result<(), StateError> {
        let value = self.this(which).await?;
        let at = usize::try_from(at).map_err(|_| unexpected())?;
        body.land(&value.bytes().sub(at, body.len())?)?;
        fence(Ordering::SeqCst);
        Ok(())
    }

    async fn apply(
        self: &Arc<Self>,
        which: &Which,
        merge: Option<Merge>,
        body: Body,
    ) -> Result<(), StateError> {
        let value = self.this(which).await?;
        let body = body.into_bytes();
        patch::read(&body, |at, bytes| {
            let start = usize::try_from(at).map_err(|_| unexpected())?;
            match merge {
                None => Ok(value.bytes().copy_in(start, bytes)?),
                Some(merge) => {
                    merge.check(&which.name.key, at, bytes.len() as u64)?;
                    merge.apply(value.bytes(), start, bytes)
                }
            }
        })?;
        fence(Ordering::SeqCst);
        Ok(())
    }

    fn collect_here(&self, which: &Which) -> Result<(), StateError> {
        let user = self.rank()?.state.user(&which.name.user);
        if let Some(value) = user.get_any(&which.name.key).filter(|value| value.id() == which.id) {
            value.collect_stores();
        }
        Ok(())
    }
}
