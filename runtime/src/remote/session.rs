//! Beginning and end of a job, and that nobody dies unnoticed in between.
//!
//! ```text
//!  rank r: Hello(version, launch, pid) ─▶ rank 0 waits for all ─▶ Welcome ─▶ serve
//!  rank 0: main ends ─▶ Quiet? to all, until nothing moves ─▶ Report? ─▶ End ─▶ all leave
//!
//!  every BEAT: Alive to rank 0 and back; the first rank of a host looks whether its neighbours'
//!  processes run. Silence for `peer_timeout`, or a process that is gone: the job ends.
//! ```
//!
//! Invariants: no call is sent before all have said hello; a rank that was stopped (SIGSTOP, a
//! debugger) and goes on judges nobody by the time in which it did not run.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Message, Remote, Reply, Request};
use crate::error::RuntimeError;
use crate::fabric::{Body, FAILED, RankId};
use crate::limits;
use crate::node::runs;
use crate::runtime::{Rank, block_on};
use crate::stats::Report;
use crate::stdio::Stream;

/// Time between two signs of life.
const BEAT: Duration = Duration::from_millis(500);
/// How long rank 0 has to end a job that lost a rank, before others do.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Time between two looks whether all is quiet.
const QUIET_PAUSE: Duration = Duration::from_micros(200);

/// How long nothing may move in the whole job while calls wait for faaslets.
const STILL: Duration = Duration::from_secs(2);

/// A rank reports for work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Of Mobula.
    pub(crate) version: String,
    /// What the rank was told to run.
    pub(crate) launch: String,
    pub(crate) pid: u32,
    pub(crate) threads: u32,
}

/// All are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// Worker threads of all ranks together.
    pub(crate) threads: u32,
    /// Processes on the host of who gets this, by rank.
    pub(crate) pids: Vec<(RankId, u32)>,
}

/// What a rank says about whether anything goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Quiet {
    /// Calls that run although nobody awaits them.
    pub(crate) orphans: u64,
    /// Moves with every call that was sent, received or ended.
    pub(crate) moved: u64,
    /// Whether no worker does anything.
    pub(crate) idle: bool,
}

/// Who has come, who lives.
#[derive(Debug)]
pub(crate) struct Session {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether each rank was heard since the last beat; a frame is not worth a look at the clock.
    heard: Vec<AtomicBool>,
    /// Milliseconds after `started` at which each rank was last known to live, a beat late at most.
    alive: Vec<AtomicU64>,
    started: Instant,
}

#[derive(Debug, Default)]
struct State {
    hellos: HashMap<RankId, Hello>,
    /// Who waits to be told that all are there.
    waiting: Vec<(RankId, oneshot::Sender<Result<Welcome, String>>)>,
    welcome: Option<Welcome>,
    /// The job is over.
    ended: bool,
    lost: Option<String>,
}

impl Session {
    pub(super) fn new(ranks: u32) -> Self {
        let heard = (0..ranks).map(|_| AtomicBool::new(false)).collect();
        let alive = (0..ranks).map(|_| AtomicU64::new(0)).collect();
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { state, changed, heard, alive, started: Instant::now() }
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// A frame of that rank has come.
    pub(super) fn hear(&self, rank: RankId) {
        let heard = &self.heard[rank as usize];
        // Most frames find it set, and a load leaves the line where it is.
        if !heard.load(Ordering::Relaxed) {
            heard.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }
}

impl Remote {
    /// Worker threads of the whole job, as far as they are known.
    pub(crate) fn threads(&self) -> Option<usize> {
        self.session.state.lock().welcome.as_ref().map(|welcome| welcome.threads as usize)
    }
}

impl Rank {
    fn hello(&self) -> Hello {
        Hello {
            version: self.config.version.clone(),
            launch: self.config.launch.clone(),
            pid: std::process::id(),
            threads: self.scheduler.threads() as u32,
        }
    }

    /// Rank 0 answers a rank that has come when all have.
    pub(super) async fn greet(&self, from: RankId, hello: Hello) -> (Reply, Body) {
        let Some(remote) = &self.remote else {
            return (Reply::Hello(Err(String::new())), Body::None);
        };
        let receiver = {
            let (sender, receiver) = oneshot::channel();
            let mut state = remote.session.state.lock();
            state.hellos.insert(from, hello);
            state.waiting.push((from, sender));
            receiver
        };
        self.greet_all();
        let answer = receiver.await.unwrap_or_else(|_| Err("rank 0 has ended".into()));
        (Reply::Hello(answer), Body::None)
    }

    /// Welcomes everybody, if everybody is there.
    fn greet_all(&self) {
        let Some(remote) = &self.remote else { return };
        let (job, mut state) = (remote.job(), remote.session.state.lock());
        let mine = self.hello();
        state.hellos.insert(job.rank, mine.clone());
        let mut odd = state.hellos.iter().filter_map(|(&rank, theirs)| {
            let (what, they, we) = match () {
                () if theirs.version != mine.version => ("is", &theirs.version, &mine.version),
                () if theirs.launch != mine.launch => ("runs", &theirs.launch, &mine.launch),
                () => return None,
            };
            Some(format!(
                "{} {what} {they:?}, but {} {what} {we:?}; start all ranks with the same program \
                 and the same arguments",
                job.title(rank),
                job.title(job.rank)
            ))
        });
        let odd = odd.next();
        if odd.is_none() && state.hellos.len() < job.size() as usize {
            return;
        }
        let threads = state.hellos.values().map(|hello| hello.threads).sum();
        let pids = |host: u32| {
            let near = state.hellos.iter().filter(|&(&rank, _)| job.host_of(rank) == host);
            near.map(|(&rank, hello)| (rank, hello.pid)).collect()
        };
        let welcome = |rank| match &odd {
            Some(why) => Err(why.clone()),
            None => Ok(Welcome { threads, pids: pids(job.host_of(rank)) }),
        };
        let answers: Vec<_> = state.waiting.iter().map(|(rank, _)| welcome(*rank)).collect();
        let own = welcome(job.rank);
        for ((_, waiting), answer) in state.waiting.drain(..).zip(answers) {
            // A rank that is gone needs no answer.
            let _ = waiting.send(answer);
        }
        match own {
            Ok(welcome) => state.welcome = Some(welcome),
            Err(why) => state.lost = Some(why),
        }
        remote.session.changed.notify_all();
    }

    /// Says hello to rank 0, and notes its answer.
    pub(super) async fn report_for_work(&self) {
        let Some(remote) = &self.remote else { return };
        let (reply, _) = remote.ask(0, Request::Hello(self.hello()), Body::None, None).await;
        let mut state = remote.session.state.lock();
        match reply {
            Reply::Hello(Ok(welcome)) => state.welcome = Some(welcome),
            Reply::Hello(Err(why)) => state.lost = Some(why),
            _ => state.lost = Some("rank 0 does not know this protocol".into()),
        }
        remote.session.changed.notify_all();
    }

    /// Waits until all ranks have said hello.
    pub(crate) fn assemble(&self) -> Result<(), RuntimeError> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let session = &remote.session;
        if remote.job().rank == 0 {
            self.greet_all();
        }
        let until = Instant::now() + self.config.peer_timeout;
        let mut state = session.state.lock();
        while state.welcome.is_none() && state.lost.is_none() {
            if session.changed.wait_until(&mut state, until).timed_out() {
                let (job, seconds) = (remote.job(), self.config.peer_timeout.as_secs_f64());
                let expected = if job.rank == 0 { 1..job.size() } else { 0..1 };
                let missing = expected.filter(|rank| !state.hellos.contains_key(rank));
                let missing: Vec<_> = missing.map(|rank| job.title(rank)).collect();
                let missing = missing.join(", ");
                return Err(RuntimeError::Job(format!(
                    "no word from {missing} within {seconds} s of the start (--peer-timeout)"
                )));
            }
        }
        match &state.lost {
            Some(why) => Err(RuntimeError::Job(why.clone())),
            None => Ok(()),
        }
    }

    /// A rank other than 0: works, and returns when the job is over.
    pub(crate) fn serve(&self) -> Result<(), RuntimeError> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let session = &remote.session;
        self.assemble()?;
        self.eat();
        let mut state = session.state.lock();
        while !state.ended {
            session.changed.wait(&mut state);
        }
        Ok(())
    }

    /// Rank 0, after main has ended: waits until nothing goes on anywhere.
    ///
    /// Two rounds of looks with the same counters and no orphan in either: what moves between ranks
    /// moves a counter, and what does not move is awaited by somebody, which only an orphan is not.
    pub(crate) fn wait_until_quiet(&self) {
        let Some(remote) = self.remote.as_ref().filter(|remote| remote.job().rank == 0) else {
            return;
        };
        let mut last: Option<Vec<(u64, u64)>> = None;
        loop {
            let all = block_on(self.all_quiet(remote));
            let quiet = all.iter().all(|quiet| quiet.orphans == 0);
            let all: Vec<_> = all.iter().map(|quiet| (quiet.orphans, quiet.moved)).collect();
            if quiet && last.as_ref() == Some(&all) {
                return;
            }
            last = quiet.then_some(all);
            std::thread::sleep(QUIET_PAUSE);
        }
    }

    pub(super) fn quiet(&self) -> Quiet {
        let moved = self.remote.as_ref().map_or(0, |remote| remote.calls.moved());
        Quiet {
            orphans: self.calls.orphans() as u64,
            moved: moved + self.stats.progress(),
            idle: self.scheduler.is_idle(),
        }
    }

    /// What all ranks say about whether anything goes on, this one first.
    async fn all_quiet(&self, remote: &Remote) -> Vec<Quiet> {
        let ask = |rank| remote.ask(rank, Request::Quiet, Body::None, None);
        let answers = join_all(remote.job().others().map(ask)).await;
        let quiet = |(reply, _): &(Reply, Body)| match reply {
            Reply::Quiet(quiet) => Some(*quiet),
            _ => None,
        };
        std::iter::once(self.quiet()).chain(answers.iter().filter_map(quiet)).collect()
    }

    /// Calls wait here for a faaslet that calls hold which await other ranks: if nothing moves
    /// anywhere for [`STILL`], nothing ever will, and one of the waiting calls is refused.
    pub(crate) async fn look_for_standstill(&self) {
        let Some(remote) = &self.remote else { return };
        let before = self.all_quiet(remote).await;
        if !before.iter().all(|quiet| quiet.idle) {
            return;
        }
        tokio::time::sleep(STILL).await;
        if before == self.all_quiet(remote).await {
            self.refuse_waiting();
        }
    }

    /// The reports of all other ranks.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let Some(remote) = &self.remote else { return Vec::new() };
        let ask = |rank| remote.ask(rank, Request::Report, Body::None, None);
        let answers = block_on(join_all(remote.job().others().map(ask)));
        let parse = |(_, body): (Reply, Body)| serde_json::from_slice(&body.into_bytes()).ok();
        answers.into_iter().filter_map(parse).collect()
    }

    /// Tells all others that the job is over.
    pub(crate) fn dismiss(&self) {
        let Some(remote) = &self.remote else { return };
        for rank in remote.job().others() {
            remote.tell(rank, &Message::End, Body::None);
        }
        remote.session.end();
    }

    /// Whether the job is about to end because a rank is gone, which somebody has said.
    pub(crate) fn has_lost(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.session.state.lock().lost.is_some())
    }

    /// What this rank waits for from others, for people; empty if nothing.
    pub(crate) fn awaited(&self) -> String {
        let Some(remote) = &self.remote else { return String::new() };
        let calls = remote.calls.away_by_rank().into_iter().map(|(rank, n, functions)| {
            let titles: Vec<_> = functions.iter().map(|&id| self.function(id).title()).collect();
            (rank, format!("{n} calls of {}", titles.join(", ")))
        });
        let answers = remote.unanswered().into_iter();
        let answers = answers.map(|(rank, n)| (rank, format!("answers to {n} questions")));
        let mut all: Vec<_> = calls.chain(answers).collect();
        all.sort_unstable();
        let title = |(rank, what)| format!("{what} by {}", remote.job().title(rank));
        all.into_iter().map(title).collect::<Vec<_>>().join("; ")
    }

    /// Ends the job because a rank is gone.
    pub(super) fn lose(&self, gone: RankId, why: &str) {
        let Some(remote) = &self.remote else { return };
        {
            let mut state = remote.session.state.lock();
            if state.ended || state.lost.is_some() {
                return;
            }
            state.lost = Some(why.to_owned());
        }
        let awaited = self.awaited();
        let (job, title) = (remote.job(), remote.job().title(gone));
        let speaks = job.rank == 0 || gone == 0 || !awaited.is_empty();
        let awaited = if awaited.is_empty() { "nothing".to_owned() } else { awaited };
        if speaks {
            let line = format!(
                "mobula: {}: {title} is gone: {why}; awaited here: {awaited}; the job ends\n",
                job.title(job.rank)
            );
            // A closed stderr leaves nobody to tell.
            let _ = self.stdio.write(Stream::Stderr, line.as_bytes());
        }
        if job.rank != 0 && gone != 0 {
            // Rank 0 ends the job, and says what it awaited.
            remote.tell(0, &Message::Lost(gone, why.to_owned()), Body::None);
            std::thread::sleep(LAST_WORDS);
        }
        remote.fabric.abort(FAILED);
    }

    /// One beat: signs of life to those who watch this rank, and a look at those that it watches.
    fn beat(&self, remote: &Remote, ran_late: bool, watched_pids: &mut Option<Vec<(RankId, u32)>>) {
        let (job, session) = (remote.job(), &remote.session);
        let watched: Vec<RankId> = if job.rank == 0 { (1..job.size()).collect() } else { vec![0] };
        let silent = self.config.peer_timeout.as_millis() as u64;
        for &rank in &watched {
            remote.tell(rank, &Message::Alive, Body::None);
            let alive = &session.alive[rank as usize];
            if session.heard[rank as usize].swap(false, Ordering::Relaxed) || ran_late {
                alive.store(session.now(), Ordering::Relaxed);
            }
            if session.now().saturating_sub(alive.load(Ordering::Relaxed)) > silent {
                let seconds = self.config.peer_timeout.as_secs_f64();
                let why = format!("no word from it for {seconds} s (--peer-timeout)");
                return self.lose(rank, &why);
            }
        }
        if watched_pids.is_none() {
            // Processes in other containers have numbers that mean nothing here.
            let known = session.state.lock().welcome.as_ref().map(|w| w.pids.clone());
            let mine = |&(rank, pid): &(RankId, u32)| rank != job.rank && runs(pid);
            *watched_pids = known.map(|pids| pids.into_iter().filter(mine).collect());
        }
        for (rank, pid) in watched_pids.iter().flatten() {
            if !runs(*pid) {
                return self.lose(*rank, &format!("its process {pid} has ended"));
            }
        }
    }
}

/// Starts the thread that beats, and that asks the monitor to look at waits that last; it ends with the job.
pub(super) fn watch(rank: &Arc<Rank>) -> std::io::Result<()> {
    let weak = Arc::downgrade(rank);
    let run = move || {
        let (mut last, mut beat, mut ran_late, mut pids) = (Instant::now(), None, false, None);
        while let Some(rank) = weak.upgrade() {
            let Some(remote) = &rank.remote else { return };
            ran_late |= last.elapsed() > 4 * BEAT;
            last = Instant::now();
            let pause = BEAT.min(rank.config.peer_timeout / 4);
            let due = |beat: Instant| beat.elapsed() + limits::LONG_WAIT / 2 > pause;
            if beat.is_none_or(due) {
                beat = Some(last);
                rank.beat(remote, std::mem::take(&mut ran_late), &mut pids);
                if rank.scheduler.is_idle() {
                    rank.widen();
                }
            }
            if rank.state.waits().any() {
                rank.monitor.arm();
            }
            let mut state = remote.session.state.lock();
            if !state.ended {
                remote.session.changed.wait_for(&mut state, pause.min(limits::LONG_WAIT));
            }
            if state.ended {
                return;
            }
            drop(state);
        }
    };
    std::thread::Builder::new().name("mobula-watch".into()).spawn(run).map(drop)
}
