//! Calls that run on another rank than the one that chained them.
//!
//! ```text
//!  rank A                                             rank B
//!  chain ─▶ slot ─▶ place ── Calls(slot, …) ────────▶ slot of its own ─▶ queue ─▶ faaslet
//!            │       ▲                                                              │
//!            │       └────── Hungry(n): n calls more ───────── idle, or nearly ◀────┤
//!            ▼                                                                      │
//!          complete ◀─────── Results(slot, code, output) ───────── outbox ◀─────────┘
//! ```
//!
//! Work moves because somebody asks for it: a rank that runs dry grants others *room*, a number of
//! calls that it takes. Who has more work than workers sends so many, at once or when it chains them.
//! A call that was sent may be sent on by its receiver; its result comes back the same way.
//!
//! Invariants: a call's slot stays with the rank that chained it until the result is there; nobody is
//! sent more than it granted, except what the program placed; results leave when the worker that has
//! them runs out of work, when [`FULL`] wait, or at the next look of the fabric's thread.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smallvec::smallvec;

use super::Remote;
use super::message::{Few, Message, SentCall, SentResult};
use super::place::{Peer, share};
use crate::call::Slot;
use crate::fabric::{Body, Job, RankId};
use crate::function::Entry;
use crate::runtime::Rank;
use crate::sched::{Ready, Work};

/// Results that are sent together at most.
const FULL: usize = 64;
/// Calls in one message at most; they fit a frame's head.
const BATCH: usize = 256;
/// Calls that wait here, beyond what our own workers take, from which on a guest that chains more shares
/// them out; fewer are shared out when it pauses.
const SHARED: usize = 16;
/// Calls for each worker that a rank asks for at first, and at most.
const APPETITE: (u32, u32) = (2, 128);
/// A rank that eats what it got faster than this asks for twice as much the next time.
const FAST: Duration = Duration::from_micros(500);
/// One that needs longer than this asks for half.
const SLOW: Duration = Duration::from_millis(5);
/// Ranks that a rank asks for work when it first runs dry.
const FIRST_ASKED: usize = 8;

/// The book of calls from and to other ranks.
#[derive(Debug)]
pub(crate) struct Calls {
    peers: Mutex<Peers>,
    /// Room of all peers together, to know without a lock that there is none.
    room: AtomicUsize,
    outbox: Mutex<Vec<(RankId, Outgoing)>>,
    waiting: AtomicUsize,
    /// Calls that run elsewhere.
    away: AtomicUsize,
    /// Calls sent and received so far: what does not move between two looks was quiet.
    moved: AtomicU64,
    appetite: AtomicU32,
    /// Whether calls were chained here since this rank shared some out in a pause.
    fresh: AtomicBool,
}

#[derive(Debug, Default)]
struct Outgoing {
    results: Few<SentResult>,
    outputs: Vec<u8>,
}

#[derive(Debug)]
struct Peers {
    all: Vec<Account>,
    /// Whom this rank asks for work: those that had some come first.
    asked: Vec<RankId>,
    granted_at: Instant,
}

/// What this rank and another one have promised each other.
#[derive(Debug, Default)]
struct Account {
    /// Calls that it still takes from us.
    room: u32,
    /// Calls that we still take from it.
    granted: u32,
    /// Calls that it was sent and has not answered.
    away: usize,
    /// Functions that it has been sent: few, and the same ones again and again.
    warm: Vec<u32>,
}

impl Calls {
    pub(crate) fn new(job: &Job) -> Self {
        let me = job.rank;
        // Rank 0 runs main, neighbours share memory; whoever else has work is found in time.
        let near = (0..job.size()).filter(|&rank| rank != 0 && job.is_near(rank));
        let far = (1..job.size()).map(|step| (me + step) % job.size());
        let mut seen = HashSet::from([me]);
        let order = std::iter::once(0).chain(near).chain(far);
        let asked = order.filter(|&rank| seen.insert(rank)).take(FIRST_ASKED).collect();
        let all = (0..job.size()).map(|_| Account::default()).collect();
        Self {
            peers: Mutex::new(Peers { all, asked, granted_at: Instant::now() }),
            room: AtomicUsize::new(0),
            outbox: Mutex::default(),
            waiting: AtomicUsize::new(0),
            away: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            appetite: AtomicU32::new(0),
            fresh: AtomicBool::new(false),
        }
    }

    /// Calls that run on other ranks.
    pub(crate) fn away(&self) -> usize {
        self.away.load(Ordering::Relaxed)
    }

    /// A number that moves with every call that is sent or received.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Acquire)
    }

    /// Calls that ranks were sent and have not answered, with the functions that they were sent so far.
    pub(crate) fn away_by_rank(&self) -> Vec<(RankId, usize, Vec<u32>)> {
        let peers = self.peers.lock();
        let owing = peers.all.iter().enumerate().filter(|(_, account)| account.away > 0);
        owing.map(|(rank, a)| (rank as RankId, a.away, a.warm.clone())).collect()
    }
}

impl Rank {
    /// Worker threads of the whole job.
    pub(crate) fn job_threads(&self) -> usize {
        let all = self.remote.as_ref().and_then(Remote::threads);
        all.unwrap_or(self.scheduler.threads())
    }

    /// Puts a call that has its slot where it is to run.
    pub(crate) fn dispatch(&self, slot: Slot, function: u32, entry: Entry, home: Option<RankId>) {
        let call = Ready::new(slot, function, entry);
        let Some(remote) = &self.remote else { return self.scheduler.push(Work::Call(call)) };
        if let Some(home) = home {
            if home != remote.job().rank {
                return self.send_calls(&mut remote.calls.peers.lock(), home, &[call], true);
            }
            self.calls.set_bound(slot);
        }
        self.scheduler.push(Work::Call(call));
        remote.calls.fresh.store(true, Ordering::Relaxed);
        self.share_out(SHARED, Some(function));
    }

    /// A guest that may have chained calls pauses: shares out what it left.
    pub(crate) fn share_fresh(&self) {
        let Some(remote) = &self.remote else { return };
        // Calls that came from elsewhere are not sent on here: they would wander from rank to rank.
        if remote.calls.fresh.load(Ordering::Relaxed)
            && remote.calls.fresh.swap(false, Ordering::Relaxed)
        {
            self.share_out(1, None);
        }
    }

    /// Sends calls that wait here to ranks that asked for some, if there are at least so many beyond what
    /// our own workers take; `function` is what most of them call, if that is known.
    pub(crate) fn share_out(&self, least: usize, function: Option<u32>) {
        let Some(remote) = &self.remote else { return };
        let calls = &remote.calls;
        if calls.room.load(Ordering::Relaxed) == 0 {
            return;
        }
        let (queued, threads) = (self.scheduler.queued(), self.scheduler.threads());
        if queued < threads + least {
            return;
        }
        let mut peers = calls.peers.lock();
        let known = peers.all.iter().enumerate().map(|(rank, account)| Peer {
            rank: rank as RankId,
            room: account.room,
            warm: function.map_or(!account.warm.is_empty(), |f| account.warm.contains(&f)),
        });
        for (to, share) in share(queued, threads, known) {
            let taken = self.scheduler.take_oldest(share, |call| !self.calls.is_bound(call.slot));
            for batch in taken.chunks(BATCH) {
                self.send_calls(&mut peers, to, batch, false);
            }
        }
    }

    /// Sends calls to another rank; at most [`BATCH`].
    fn send_calls(&self, peers: &mut Peers, to: RankId, calls: &[Ready], bound: bool) {
        let Some(remote) = &self.remote else { return };
        let account = &mut peers.all[to as usize];
        let mut inputs = Vec::new();
        let sent = calls.iter().map(|call| {
            let input = self.calls.take_input(call.slot);
            if !account.warm.contains(&call.function()) {
                account.warm.push(call.function());
            }
            self.calls.set_away(call.slot, to);
            let (slot, function, entry) = (call.slot, call.function(), call.entry());
            let range = self.calls.range(slot);
            let sent = SentCall { slot, function, entry, range, input: input.len() as u32, bound };
            if inputs.is_empty() {
                inputs = input
            } else {
                inputs.extend_from_slice(&input)
            }
            sent
        });
        let sent: Few<_> = sent.collect();
        let taken = account.room.min(if bound { 0 } else { sent.len() as u32 });
        account.room -= taken;
        account.away += sent.len();
        remote.calls.room.fetch_sub(taken as usize, Ordering::Relaxed);
        remote.calls.away.fetch_add(sent.len(), Ordering::Relaxed);
        remote.calls.moved.fetch_add(sent.len() as u64, Ordering::AcqRel);
        remote.tell(to, &Message::Calls(sent), Body::of(inputs));
    }

    /// Another rank takes `more` calls: it gets what waits here beyond what our own workers need.
    pub(super) fn hungry(&self, from: RankId, more: u32) {
        let Some(remote) = &self.remote else { return };
        let mut peers = remote.calls.peers.lock();
        peers.all[from as usize].room += more;
        remote.calls.room.fetch_add(more as usize, Ordering::Relaxed);
        drop(peers);
        self.share_out(1, None);
    }

    /// Calls of another rank have arrived.
    pub(super) fn receive_calls(self: &Arc<Self>, from: RankId, sent: &[SentCall], body: Body) {
        let Some(remote) = &self.remote else { return };
        let inputs = body.into_bytes();
        remote.calls.moved.fetch_add(sent.len() as u64, Ordering::AcqRel);
        {
            let mut peers = remote.calls.peers.lock();
            let unbound = sent.iter().filter(|call| !call.bound).count() as u32;
            let account = &mut peers.all[from as usize];
            account.granted = account.granted.saturating_sub(unbound);
            // Who had work is asked first the next time.
            if let Some(at) = peers.asked.iter().position(|&rank| rank == from) {
                peers.asked[..=at].rotate_right(1);
            } else {
                peers.asked.insert(0, from);
            }
        }
        let mut at = 0;
        for call in sent {
            let end = at + call.input as usize;
            let input = inputs.get(at..end).unwrap_or_default().to_vec();
            at = end;
            self.receive_call(from, *call, input);
        }
    }

    fn receive_call(self: &Arc<Self>, from: RankId, call: SentCall, input: Vec<u8>) {
        let Some(slot) = self.with_free_slots(|free| self.calls.acquire(free, input)) else {
            let code = crate::call::RC_REFUSED;
            return self.post_result(
                from,
                SentResult { slot: call.slot, code, output: 0 },
                Vec::new(),
            );
        };
        self.calls.set_sender(slot, from, call.slot);
        if let Some(range) = call.range {
            self.calls.set_range(slot, range);
        }
        if call.bound {
            self.calls.set_bound(slot);
        }
        let ready = Ready::new(slot, call.function, call.entry);
        if self.has_function(call.function) {
            return self.scheduler.push(Work::Call(ready));
        }
        let rank = self.clone();
        crate::sched::start_task(self.id, async move { rank.fetch_and_push(ready).await });
    }

    /// Ends a call: its result goes to the parent here, or to the rank that sent it.
    pub(crate) fn complete(&self, slot: Slot, code: i32, output: Vec<u8>) {
        let Some((to, theirs)) = self.calls.sender(slot) else {
            return self.with_free_slots(|free| self.calls.complete(free, slot, code, output));
        };
        self.with_free_slots(|free| self.calls.recycle(free, slot));
        let result = SentResult { slot: theirs, code, output: output.len() as u32 };
        self.post_result(to, result, output);
        if self.scheduler.queued() == 0 {
            self.eat();
        }
    }

    fn post_result(&self, to: RankId, result: SentResult, output: Vec<u8>) {
        let Some(remote) = &self.remote else { return };
        let calls = &remote.calls;
        let at_once = self.scheduler.own_is_empty();
        if at_once && calls.waiting.load(Ordering::Acquire) == 0 {
            return self.send_results_to(to, smallvec![result], output);
        }
        let full = {
            let mut outbox = remote.calls.outbox.lock();
            let at = outbox.iter().position(|(rank, _)| *rank == to).unwrap_or_else(|| {
                outbox.push((to, Outgoing::default()));
                outbox.len() - 1
            });
            let (_, outgoing) = &mut outbox[at];
            outgoing.results.push(result);
            outgoing.outputs.extend_from_slice(&output);
            remote.calls.waiting.fetch_add(1, Ordering::AcqRel);
            outgoing.results.len() >= FULL
        };
        if full || at_once {
            self.send_results();
        }
    }

    /// Sends the results that wait.
    pub(crate) fn send_results(&self) {
        let Some(remote) = &self.remote else { return };
        if remote.calls.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let all = std::mem::take(&mut *remote.calls.outbox.lock());
        for (to, Outgoing { results, outputs }) in all {
            remote.calls.waiting.fetch_sub(results.len(), Ordering::AcqRel);
            self.send_results_to(to, results, outputs);
        }
    }

    fn send_results_to(&self, to: RankId, results: Few<SentResult>, outputs: Vec<u8>) {
        let Some(remote) = &self.remote else { return };
        remote.calls.moved.fetch_add(results.len() as u64, Ordering::AcqRel);
        remote.tell(to, &Message::Results(results), Body::of(outputs));
    }

    /// Results have come back.
    pub(super) fn receive_results(&self, from: RankId, results: &[SentResult], body: Body) {
        let Some(remote) = &self.remote else { return };
        let outputs = body.into_bytes();
        let mut at = 0;
        for result in results {
            let end = at + result.output as usize;
            let output = outputs.get(at..end).unwrap_or_default().to_vec();
            at = end;
            if !self.calls.is_away(result.slot) {
                continue;
            }
            self.complete(result.slot, result.code, output);
        }
        let count = results.len();
        remote.calls.moved.fetch_add(count as u64, Ordering::AcqRel);
        remote.calls.away.fetch_sub(count, Ordering::Relaxed);
        let account = &mut remote.calls.peers.lock().all[from as usize];
        account.away = account.away.saturating_sub(count);
    }

    /// Nothing is queued here: asks others for work, as much as was eaten fast enough before.
    pub(crate) fn eat(&self) {
        let Some(remote) = &self.remote else { return };
        let calls = &remote.calls;
        let threads = self.scheduler.threads() as u32;
        let mut peers = calls.peers.lock();
        let appetite = calls.appetite.load(Ordering::Relaxed).max(APPETITE.0 * threads);
        let mut grants = Vec::new();
        let Peers { all, asked, .. } = &mut *peers;
        for &rank in asked.iter() {
            let account = &mut all[rank as usize];
            if account.granted <= appetite / 2 {
                grants.push((rank, appetite - account.granted));
                account.granted = appetite;
            }
        }
        if grants.is_empty() {
            return;
        }
        let lasted = std::mem::replace(&mut peers.granted_at, Instant::now()).elapsed();
        drop(peers);
        let next = match () {
            () if lasted < FAST => appetite * 2,
            () if lasted > SLOW => appetite / 2,
            () => appetite,
        };
        let next = next.clamp(APPETITE.0 * threads, APPETITE.1 * threads);
        calls.appetite.store(next, Ordering::Relaxed);
        for (rank, more) in grants {
            remote.tell(rank, &Message::Hungry(more), Body::None);
        }
    }

    /// Still nothing to do: one rank more is asked from now on.
    pub(crate) fn widen(&self) {
        let Some(remote) = &self.remote else { return };
        {
            let (job, mut peers) = (remote.job(), remote.calls.peers.lock());
            if peers.asked.len() + 1 >= job.size() as usize {
                return;
            }
            let next = (1..job.size()).map(|step| (job.rank + step) % job.size());
            let next = next.into_iter().find(|rank| !peers.asked.contains(rank));
            peers.asked.extend(next);
        }
        self.eat();
    }
}
