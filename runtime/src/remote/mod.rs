//! The other ranks of the job: questions and answers, and the thread that keeps frames moving.
//!
//! ```text
//!  ask(to, request) ─▶ Ask(id) ─ fabric ─▶ answer(request)        a task, on the rank that was asked
//!      ▲ suspended                               │
//!      └────────────── Answer(id) ◀── fabric ────┘
//! ```
//!
//! Whoever has nothing else to do moves frames: workers that look for work, and a thread of its own
//! that does it when all workers are busy or asleep (`progress`).
//!
//! Invariants: what comes from another rank is run on the thread that received it up to its first
//! suspension, so it never blocks; frames may come in any order, so nothing here relies on one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use mobula_shm::ByteView;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::fabric::{Body, Fabric, Job, RankId, Receiver};
use crate::runtime::Rank;
use crate::sched::start_task;

pub(crate) mod calls;
mod circles;
pub(crate) mod functions;
pub(crate) mod message;
mod place;
mod progress;
pub(crate) mod session;

pub(crate) use message::{Message, Reply, Request};

/// This rank's view of the others.
#[derive(Debug)]
pub(crate) struct Remote {
    fabric: Arc<dyn Fabric>,
    next: AtomicU64,
    asked: Mutex<HashMap<u64, Asked>>,
    /// Questions without an answer, to know without a lock.
    waiting: AtomicUsize,
    /// Bytes of all messages so far.
    sent: AtomicU64,
    pub(crate) progress: progress::Progress,
    pub(crate) calls: calls::Calls,
    pub(crate) session: session::Session,
    circles: circles::Circles,
    /// One function is fetched at a time.
    obtaining: tokio::sync::Mutex<()>,
}

/// A question without an answer yet.
#[derive(Debug)]
struct Asked {
    to: RankId,
    /// Where the answer's body goes.
    place: Option<ByteView>,
    answer: oneshot::Sender<(Reply, Body)>,
}

impl Remote {
    pub(crate) fn new(fabric: Arc<dyn Fabric>) -> Self {
        Self {
            calls: calls::Calls::new(fabric.job()),
            session: session::Session::new(fabric.job().size()),
            circles: circles::Circles::default(),
            obtaining: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            fabric,
            next: AtomicU64::new(1),
            asked: Mutex::default(),
            progress: progress::Progress::default(),
        }
    }

    /// Who is in the job.
    pub(crate) fn job(&self) -> &Job {
        self.fabric.job()
    }

    /// Moves frames along; tells whether anything moved.
    pub(crate) fn poll(&self) -> bool {
        let moved = self.fabric.poll();
        self.progress.polled(moved);
        moved
    }

    /// The same for those who look again at once, and now and then poll.
    pub(crate) fn glance(&self) -> bool {
        let moved = self.fabric.glance();
        self.progress.polled(moved);
        moved
    }

    /// Begins to receive frames.
    pub(crate) fn start(rank: &Arc<Rank>) -> std::io::Result<()> {
        let Some(remote) = &rank.remote else { return Ok(()) };
        remote.fabric.attach(Arc::new(Inbox(Arc::downgrade(rank))));
        progress::start(rank)?;
        if remote.job().rank != 0 {
            let rank = rank.clone();
            start_task(rank.id, async move { rank.report_for_work().await });
        }
        session::watch(rank)
    }

    /// Sends a message.
    pub(crate) fn tell(&self, to: RankId, message: &Message, body: Body) {
        let head = SmallVec::<[u8; 128]>::new();
        let head = postcard::to_extend(message, head).expect("messages have a length and no maps");
        self.sent.fetch_add((head.len() + body.len()) as u64, Ordering::Relaxed);
        self.fabric.send(to, &head, body);
        self.progress.sent();
    }

    /// Asks another rank and waits for its answer, whose body goes to `place` if there is one.
    ///
    /// An answer that never comes means that the rank is gone, and then the job ends.
    pub(crate) async fn ask(
        &self,
        to: RankId,
        request: Request,
        body: Body,
        place: Option<ByteView>,
    ) -> (Reply, Body) {
        let (answer, answered) = oneshot::channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.asked.lock().insert(id, Asked { to, place, answer });
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.tell(to, &Message::Ask(id, request), body);
        match answered.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }

    /// Bytes of all messages that this rank has sent.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether another rank owes this one something.
    pub(crate) fn expects(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.calls.away() > 0
    }

    /// Ends it all: frames, threads.
    pub(crate) fn close(&self) {
        self.session.end();
        self.fabric.close();
        self.progress.stop();
    }

    /// Questions that wait for an answer, by the rank that was asked.
    pub(crate) fn unanswered(&self) -> HashMap<RankId, usize> {
        let mut counts = HashMap::new();
        self.asked.lock().values().for_each(|asked| *counts.entry(asked.to).or_default() += 1);
        counts
    }
}

/// Where the frames of a rank arrive.
struct Inbox(Weak<Rank>);

impl Receiver for Inbox {
    fn landing(&self, _from: RankId, head: &[u8], len: usize) -> Option<ByteView> {
        let rank = self.0.upgrade()?;
        match postcard::from_bytes(head) {
            Ok(Message::Answer(id, _)) => {
                rank.remote.as_ref()?.asked.lock().get(&id)?.place.clone()
            }
            Ok(Message::Ask(_, Request::State(request))) => {
                crate::state::spread::landing(&rank, &request, len)
            }
            _ => None,
        }
    }

    fn receive(&self, from: RankId, head: &[u8], body: Body) {
        let Some(rank) = self.0.upgrade() else { return };
        // Ranks of another version were refused when the job began.
        let Ok(message) = postcard::from_bytes(head) else { return };
        let Some(remote) = &rank.remote else { return };
        remote.session.hear(from);
        match message {
            Message::Ask(id, request) => {
                let rank = rank.clone();
                start_task(rank.id, async move {
                    let (reply, body) = answer(&rank, from, request, body).await;
                    if let Some(remote) = &rank.remote {
                        remote.tell(from, &Message::Answer(id, reply), body);
                    }
                });
            }
            Message::Answer(id, reply) => {
                if let Some(asked) = remote.asked.lock().remove(&id) {
                    remote.waiting.fetch_sub(1, Ordering::Relaxed);
                    // Who asked may have ended meanwhile.
                    let _ = asked.answer.send((reply, body));
                }
            }
            Message::Calls(calls) => rank.receive_calls(from, &calls, body),
            Message::Results(results) => rank.receive_results(from, &results, body),
            Message::Hungry(more) => rank.hungry(from, more),
            Message::Alive => {}
            // It ends the process, which must not happen while this thread moves frames.
            Message::Lost(gone, why) => {
                let rank = rank.clone();
                std::thread::spawn(move || rank.lose(gone, &why));
            }
            Message::End => remote.session.end(),
            Message::Probes => rank.receive_probes(from, body),
        }
    }
}

/// Answers a question of another rank.
async fn answer(rank: &Arc<Rank>, from: RankId, request: Request, body: Body) -> (Reply, Body) {
    match request {
        Request::Function(which, kind) => rank.ship(which, kind).await,
        Request::Hello(hello) => rank.greet(from, hello).await,
        Request::Quiet => (Reply::Quiet(rank.quiet()), Body::None),
        Request::Report => {
            let report = serde_json::to_vec(&rank.report()).unwrap_or_default();
            (Reply::Report, Body::of(report))
        }
        Request::State(request) => {
            let answered = crate::state::spread::answer(rank.clone(), from, request, body);
            let (reply, body) = answered.await;
            (Reply::State(reply), body)
        }
    }
}
