//! State of a job of several ranks: who decides, who keeps, what travels.
//!
//! ```text
//!  guest ─▶ UserState ─ cached ─▶ Value ─▶ host's copy, in the keeper's arena, shared by its ranks
//!               │ miss                       ▲ get, put, patch: chunks whose home is elsewhere
//!               ▼                            ▼
//!            keeper (one a host) ─ miss ─▶ owner (one in the job) ─▶ rank 0: the store
//! ```
//!
//! *Owner*: alone decides whether a key has a value, which and how long; keeps its appended records and
//! its global lock. *Keeper*: allocates the host's copy, serves the lock of the host's copy. *Home* of a
//! chunk: the rank whose host has the copy that counts. `../home.rs` says who is who.
//!
//! | file | |
//! |---|---|
//! | `share` | a host's copy in shared memory |
//! | `keeper`, `directory` | find, make, resize, remove |
//! | `fetch`, `push` | chunks here, changes home; `patch` is their format |
//! | `answer` | what other ranks ask |
//! | `owned` | records, locks, the store |
//!
//! Invariants: whoever waits for another rank does so in a task of its own (`detached`), so that a call
//! that is ended early leaves nothing half done; a turn of a keeper is never waited for by a question
//! that an owner asks.

use std::collections::HashMap;
use std::hash::Hash;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::select;
use mobula_shm::Arena;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, oneshot};

use crate::error::StateError;
use crate::fabric::{Body, Job, RankId};
use crate::remote;
use crate::runtime::Rank;
use crate::sched::start_task;

mod answer;
mod directory;
mod fetch;
mod keeper;
pub(crate) mod message;
mod owned;
mod patch;
mod push;
mod share;

pub(crate) use answer::{answer, landing};
pub(crate) use message::{Reply, Request};
pub(crate) use owned::{HeldLock, call_of, rank_of};
pub(crate) use push::Kind;
pub(crate) use share::{Share, Writing};

use message::Name;

/// How long who waits for something in shared memory waits before it looks again unasked.
const NAP: Duration = Duration::from_millis(1);

/// Address space that all arenas of a host may take in each of its processes; there are 128 TiB.
const ADDRESS_SPACE: u64 = 32 << 40;

/// This rank's part in the state of the job.
#[derive(Debug)]
pub(crate) struct Spread {
    rank: Weak<Rank>,
    task: u32,
    pub(crate) job: Job,
    /// The ranks of this host, this one too.
    near: Vec<RankId>,
    timers: tokio::runtime::Handle,
    arenas: Mutex<HashMap<RankId, Arc<OnceCell<Arena>>>>,
    turns: Turns<(Name, Turn)>,
    keeper: keeper::Keeper,
    directory: directory::Directory,
    /// Rank 0 said that there is no store.
    no_store: AtomicBool,
    next_lock: AtomicU64,
}

/// What of a key only one task of a rank does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Turn {
    /// Look for the host's copy.
    Find,
    /// Attach it.
    Attach,
    /// The keeper: ask the owner.
    Keep,
    /// The keeper: allocate.
    Make,
    /// The owner: decide.
    Decide,
    /// The owner: read stored records.
    Records,
}

/// As `store::Turns`, for tasks.
#[derive(Debug)]
struct Turns<K>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>);

impl<K: Hash + Eq + Clone> Turns<K> {
    /// Runs `work` alone among all of this name.
    async fn take<R>(&self, name: K, work: impl Future<Output = R>) -> R {
        let turn = self.0.lock().entry(name.clone()).or_default().clone();
        let mine = turn.lock().await;
        let result = work.await;
        drop(mine);
        let mut busy = self.0.lock();
        // The table's and ours: nobody else waits for this name.
        if Arc::strong_count(&turn) == 2 {
            busy.remove(&name);
        }
        result
    }
}

impl Spread {
    pub(crate) fn new(rank: &Arc<Rank>, job: Job, timers: tokio::runtime::Handle) -> Self {
        Self {
            rank: Arc::downgrade(rank),
            task: rank.id,
            near: job.ranks_on(job.host()),
            job,
            timers,
            arenas: Mutex::default(),
            turns: Turns(Mutex::default()),
            keeper: keeper::Keeper::default(),
            directory: directory::Directory::default(),
            no_store: AtomicBool::new(false),
            next_lock: AtomicU64::new(0),
        }
    }

    /// Most address space of this rank's arena: all ranks of the host map it.
    pub(super) fn arena_share(&self) -> u64 {
        ADDRESS_SPACE / self.near.len().max(1) as u64
    }

    fn rank(&self) -> Result<Arc<Rank>, StateError> {
        self.rank.upgrade().ok_or_else(ended)
    }

    /// The rank that decides about a key.
    fn owner(&self, name: &Name) -> RankId {
        super::home::owner(super::home::hash(&name.user, &name.key), self.job.size())
    }

    /// The rank that keeps a host's copy.
    fn keeper(&self, name: &Name, host: u32) -> RankId {
        super::home::keeper(super::home::hash(&name.user, &name.key), &self.job, host)
    }

    /// Asks a rank, which may be this one.
    async fn ask(
        self: &Arc<Self>,
        to: RankId,
        request: Request,
        body: Body,
        place: Option<mobula_shm::ByteView>,
    ) -> Result<(Reply, Body), StateError> {
        let rank = self.rank()?;
        let (reply, body) = if to == self.job.rank {
            answer(rank.clone(), to, request, body).await
        } else {
            let remote = rank.remote.as_ref().ok_or_else(ended)?;
            match remote.ask(to, remote::Request::State(request), body, place).await {
                (remote::Reply::State(reply), body) => (reply, body),
                _ => return Err(unexpected()),
            }
        };
        match reply {
            Reply::Refused(err) => Err(err),
            reply => Ok((reply, body)),
        }
    }

    /// As [`ask`](Self::ask), without bodies.
    async fn say(self: &Arc<Self>, to: RankId, request: Request) -> Result<Reply, StateError> {
        Ok(self.ask(to, request, Body::None, None).await?.0)
    }

    /// Runs `work` to its end in a task of its own, also when who waits for it is gone.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StateError>> + Send + 'static,
    ) -> Result<T, StateError> {
        let (send, receive) = oneshot::channel();
        start_task(self.task, async move {
            // Who asked may be gone.
            let _ = send.send(work.await);
        });
        receive.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Starts `work`, for which nobody waits.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        start_task(self.task, work);
    }

    /// Waits until a busy bit of `share` was cleared by this rank, or for a moment.
    async fn nap(&self, share: &Share) {
        select(pin!(self.pause()), pin!(share.freed.notified())).await;
    }

    /// Waits for a moment.
    pub(crate) async fn pause(&self) {
        let sleep = {
            let _context = self.timers.enter();
            tokio::time::sleep(NAP)
        };
        sleep.await;
    }

    /// The arena of a rank of this host, attached at its first use.
    async fn arena(self: &Arc<Self>, of: RankId) -> Result<Arc<OnceCell<Arena>>, StateError> {
        let cell = self.arenas.lock().entry(of).or_default().clone();
        cell.get_or_try_init(|| async {
            match self.say(of, Request::Arena).await? {
                Reply::Arena(pid, fd) => Ok(Arena::attach_open(pid, fd)?),
                _ => Err(unexpected()),
            }
        })
        .await?;
        Ok(cell)
    }

    /// Process and descriptor of this rank's arena.
    fn own_arena(&self) -> Result<Reply, StateError> {
        let rank = self.rank()?;
        let fd = rank.state.shared.arena()?.fd().as_raw_fd();
        Ok(Reply::Arena(std::process::id(), fd))
    }
}

fn ended() -> StateError {
    StateError::Shm("this rank is ending".into())
}

fn unexpected() -> StateError {
    StateError::Shm("another rank gave an answer of another kind".into())
}
