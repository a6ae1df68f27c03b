//! Circles of waits through several ranks: found by probes that follow who waits for whom.
//!
//! ```text
//!  server of the lock            rank of a holder             rank of its child
//!  a wait lasts ── Held ───────▶ it awaits ── Child ────────▶ it waits for a lock
//!        ▲                                                      │ Waiter
//!        └─ Held ◀─ server of that lock: its holders ◀──────────┘
//!
//!  back at the wait that it began with: once more along the same steps (confirm); back again: it fails
//! ```
//!
//! After Chandy, Misra and Haas, *Distributed Deadlock Detection*, ACM TOCS 1(2), 1983, for waits of which all
//! have to end. `README.md` beside this file has the steps and why no wait fails that would end.
//!
//! Invariants: a probe goes on from waits only, and ends at a call that does anything else; nothing here
//! waits; what comes from another rank is compared with what is there and never used as an index.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Message, Remote};
use crate::call::{Found, Slot, Title};
use crate::fabric::{Body, RankId};
use crate::limits;
use crate::runtime::Rank;
use crate::state::{Holder, LongWait, call_of, rank_of};

/// Probes in one message at most.
const BATCH: usize = 128;
/// Where probes have been is remembered for this long at least, and for twice as long at most.
const MEMORY: Duration = Duration::from_secs(2);
/// Places that are remembered at most; probes beyond end, and others come.
const PLACES: usize = 1 << 16;
/// Calls that probes visit in one tick of the monitor at most; probes beyond end, and others come.
const VISITS: usize = 1 << 16;
/// Looking for calls takes at most one part in so many of the monitor's time.
const SPARED: u32 = 20;

/// A wait for a lock, in the order of which the greatest of a circle fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct WaitId {
    server: RankId,
    serial: u64,
}

/// One wait on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Step {
    /// Where it was seen.
    rank: RankId,
    call: Holder,
    wait: Wait,
}

/// Which wait of a call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Wait {
    /// For a lock of this rank.
    Lock(u64),
    /// For a lock of another rank.
    Abroad(u32),
    /// For calls.
    Await(u32),
}

/// Where a probe goes on, on the rank that it is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum At {
    /// The receiver's call of this number, which holds a lock of the sender.
    Held(u64),
    /// The call that the sender sent from this slot.
    Child(Slot),
    /// The sender's call of this number, which waits for a lock of the receiver.
    Waiter(u64),
}

/// A probe on its way to another rank.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Probe {
    at: At,
    trail: Trail,
}

/// Where a probe comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Trail {
    origin: WaitId,
    /// Tells the chases of a wait apart.
    round: u64,
    steps: Vec<Step>,
    /// The second time: how many of `steps` were there again.
    confirmed: Option<u32>,
    names: Names,
}

/// The calls of the circle, for people: each with what it does, up to the name of the next.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Names {
    said: Vec<String>,
    left_out: u32,
}

/// What a rank knows of probes.
#[derive(Debug, Default)]
pub(super) struct Circles {
    inbox: Mutex<Vec<(RankId, Probe)>>,
    memory: Mutex<Memory>,
}

/// What the monitor remembers between two ticks.
#[derive(Debug)]
struct Memory {
    /// Where probes have been, the first time, lately and before that.
    been: [HashSet<(WaitId, u64, Step)>; 2],
    turned: Instant,
    looked: Instant,
    round: u64,
    /// Calls are not looked for again before.
    rests: Instant,
}

impl Default for Memory {
    fn default() -> Self {
        let now = Instant::now();
        Self { been: Default::default(), turned: now, looked: now, round: 0, rests: now }
    }
}

impl Memory {
    /// Notes that a probe is there; false if it was before.
    fn is_first(&mut self, trail: &Trail, step: Step) -> bool {
        if self.turned.elapsed() > MEMORY {
            self.been.swap(0, 1);
            self.been[0].clear();
            self.turned = Instant::now();
        }
        let place = (trail.origin, trail.round, step);
        !self.been[1].contains(&place) && self.been[0].len() < PLACES && self.been[0].insert(place)
    }
}

impl Names {
    fn add(&mut self, name: String) {
        if self.said.len() >= limits::CIRCLE_NAMES {
            self.said.pop();
            self.left_out += 1;
        }
        self.said.push(name);
    }

    fn end(&mut self, what: &str) {
        if let Some(last) = self.said.last_mut() {
            last.push_str(what);
        }
    }

    /// The whole circle, from the call that fails on, which was added last.
    fn circle(mut self) -> String {
        self.said.rotate_right(1);
        let mut text = format!("; the circle: {}", self.said.join(" "));
        if self.left_out > 0 {
            text.push_str(&format!(" {} more calls, and so on to", self.left_out));
        }
        text.push_str(" the first");
        text
    }
}

impl Rank {
    /// Probes of another rank have come: the monitor looks at them.
    pub(super) fn receive_probes(&self, from: RankId, body: Body) {
        let Some(remote) = &self.remote else { return };
        // Ranks of another version were refused when the job began.
        let Ok(probes) = postcard::from_bytes::<Vec<Probe>>(&body.into_bytes()) else { return };
        let mut inbox = remote.circles.inbox.lock();
        let room = limits::PROBES.saturating_sub(inbox.len());
        inbox.extend(probes.into_iter().take(room).map(|probe| (from, probe)));
        drop(inbox);
        self.monitor.arm();
    }

    /// Follows probes that came, and begins with waits that last; tells whether there is more to do soon.
    pub(crate) fn chase_circles(&self) -> bool {
        let Some(remote) = &self.remote else { return false };
        let circles = &remote.circles;
        let looks = self.state.waits().any();
        if !looks && circles.inbox.lock().is_empty() {
            return false;
        }
        let memory = &mut *circles.memory.lock();
        let begins = looks && memory.looked.elapsed() >= limits::LONG_WAIT;
        let mut chase = Chase { rank: self, remote, memory, todo: Vec::new(), out: HashMap::new() };
        if begins {
            chase.begin();
        }
        let rests = chase.memory.rests > Instant::now();
        if !rests {
            let probes = std::mem::take(&mut *circles.inbox.lock());
            chase.take(probes);
        }
        chase.run();
        chase.send();
        rests && !circles.inbox.lock().is_empty()
    }
}

/// What the monitor does in one tick.
struct Chase<'a> {
    rank: &'a Rank,
    remote: &'a Remote,
    memory: &'a mut Memory,
    /// Calls of this rank and waiters of others, at which probes are.
    todo: Vec<(Holder, Trail)>,
    out: HashMap<RankId, Vec<Probe>>,
}

impl Chase<'_> {
    fn me(&self) -> RankId {
        self.remote.job().rank
    }

    /// Begins with the waits for locks of this rank that last.
    fn begin(&mut self) {
        self.memory.looked = Instant::now();
        self.memory.round += 1;
        let waits = self.rank.state.waits();
        for wait in waits.look(limits::CHASES, limits::RAREST_CHASE) {
            let trail = Trail {
                origin: WaitId { server: self.me(), serial: wait.serial },
                round: self.memory.round,
                steps: Vec::new(),
                confirmed: None,
                names: Names::default(),
            };
            self.branch(&wait.blockers, &trail);
        }
    }

    /// Finds out at which calls the probes are.
    fn take(&mut self, probes: Vec<(RankId, Probe)>) {
        let (mut sent, mut holders) = (Found::new(), Found::new());
        for (from, Probe { at, .. }) in &probes {
            match *at {
                At::Held(id) => drop(holders.insert(id, None)),
                At::Child(slot) => drop(sent.insert((*from, slot), None)),
                At::Waiter(_) => {}
            }
        }
        if !sent.is_empty() || !holders.is_empty() {
            let start = Instant::now();
            self.rank.calls.find(&mut sent, &mut holders);
            self.memory.rests = Instant::now() + start.elapsed() * SPARED;
        }
        for (from, Probe { at, trail }) in probes {
            let call = match at {
                At::Held(id) => holders.get(&id).copied().flatten().map(Holder::from),
                At::Child(slot) => sent.get(&(from, slot)).copied().flatten().map(Holder::from),
                At::Waiter(id) => Some(call_of(from, id)),
            };
            self.todo.extend(call.map(|call| (call, trail)));
        }
    }

    fn run(&mut self) {
        for _ in 0..VISITS {
            let Some((call, trail)) = self.todo.pop() else { return };
            self.follow(call, trail);
        }
    }

    /// A probe is at a call: goes on to whom that waits for.
    fn follow(&mut self, call: Holder, mut trail: Trail) {
        if let Some(wait) = self.rank.state.waits().of(call) {
            return self.follow_lock(wait, trail);
        }
        // A call of another rank that does not wait here any more.
        let Ok(slot) = Slot::try_from(call) else { return };
        let calls = &self.rank.calls;
        if let Some((server, number, id)) = calls.abroad(slot) {
            if self.step(&mut trail, call, Wait::Abroad(number)) {
                self.name(&mut trail, slot, calls.title(slot), "");
                self.leave(server, At::Waiter(id), trail);
            }
        } else if let Some(taker) = calls.taker(slot) {
            self.leave(taker, At::Child(slot), trail);
        } else if let Some((number, children)) = calls.awaits_all(slot)
            && self.step(&mut trail, call, Wait::Await(number))
        {
            self.name(&mut trail, slot, calls.title(slot), ", which awaits");
            let open = children.into_iter().filter(|&child| !calls.is_done(child));
            self.todo.extend(open.map(|child| (Holder::from(child), trail.clone())));
        }
    }

    /// A probe is at a call that waits for a lock of this rank.
    fn follow_lock(&mut self, wait: LongWait, mut trail: Trail) {
        let id = WaitId { server: self.me(), serial: wait.serial };
        if id > trail.origin {
            // The greatest wait of a circle finds it, and soon, if there is one.
            return self.rank.state.waits().hurry(wait.call);
        }
        if !self.step(&mut trail, wait.call, Wait::Lock(wait.serial)) {
            return;
        }
        let (kind, key) = (wait.mode.name(), wait.lock.key());
        let what = format!(", which waits for the {kind} lock on key {key:?}, held by");
        match Slot::try_from(wait.call) {
            Ok(slot) => self.name(&mut trail, slot, wait.title, &what),
            Err(_) => trail.names.end(&what),
        }
        if id != trail.origin {
            return self.branch(&wait.blockers, &trail);
        }
        match trail.confirmed {
            None => {
                trail.confirmed = Some(0);
                self.branch(&wait.blockers, &trail);
            }
            Some(seen) if seen as usize == trail.steps.len() => {
                self.rank.state.waits().fail(&wait, trail.names.circle());
            }
            Some(_) => {}
        }
    }

    /// Notes one more wait. False where the probe ends: it was here before, it has come too far; or, the
    /// second time, this is not what was here the first time.
    fn step(&mut self, trail: &mut Trail, call: Holder, wait: Wait) -> bool {
        let step = Step { rank: self.me(), call, wait };
        if let Some(seen) = &mut trail.confirmed {
            *seen += 1;
            return trail.steps.get(*seen as usize - 1) == Some(&step);
        }
        trail.steps.push(step);
        trail.steps.len() <= limits::CIRCLE_STEPS && self.memory.is_first(trail, step)
    }

    /// Names a call of this rank, the second time.
    fn name(&self, trail: &mut Trail, slot: Slot, title: Title, what: &str) {
        let (function, entry) = title.parts();
        if trail.confirmed.is_some() && self.rank.has_function(function) {
            let function = self.rank.function(function).title();
            let rank = self.remote.job().title(self.me());
            trail.names.add(format!("call {function}[{entry}] #{slot} on {rank}{what}"));
        }
    }

    /// Goes on to each of the holders of a lock.
    fn branch(&mut self, holders: &[Holder], trail: &Trail) {
        for &holder in holders {
            match rank_of(holder) {
                Some((rank, id)) => self.leave(rank, At::Held(id), trail.clone()),
                None => self.todo.push((holder, trail.clone())),
            }
        }
    }

    fn leave(&mut self, to: RankId, at: At, trail: Trail) {
        if to != self.me() && to < self.remote.job().size() {
            self.out.entry(to).or_default().push(Probe { at, trail });
        }
    }

    fn send(self) {
        for (to, probes) in self.out {
            for batch in probes.chunks(BATCH) {
                if let Ok(body) = postcard::to_allocvec(batch) {
                    self.remote.tell(to, &Message::Probes, Body::of(body));
                }
            }
        }
    }
}
