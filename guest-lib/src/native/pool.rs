//! Calls, and the threads that run them.
//!
//! ```text
//!  Queued ─▶ Running ─▶ Done     claimed once: by a worker, or by the call that awaits it, on its
//!                                own stack
//! ```
//!
//! A waiting call holds its thread, but first runs what it waits for; so no number of threads is
//! too small, and one thread runs call after call, depth first.

use std::any::Any;
use std::boxed::Box;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::format;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::thread;
use std::vec::Vec;

use super::values::OpenWindow;
use super::{locked, locks, setting};
use crate::abi;

/// Stacks hold calls upon calls; memory is taken as they grow.
const STACK_BYTES: usize = 256 << 20;

/// What a call runs.
pub(super) enum Job {
    /// An entry of this program.
    Entry(fn() -> i32),
    /// Something else that gives a result, such as another program.
    Other(Box<dyn Fn() -> i32 + Send + Sync>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Queued,
    Running,
    Done(i32),
}

/// Ids that a call gave out.
pub(super) enum Child {
    /// A call.
    Call(Arc<Call>),
    /// The calls of a parallel loop.
    Loop(Vec<Arc<Call>>),
    /// Awaited; its output may still be asked for.
    Awaited,
}

/// What only the call itself uses.
#[derive(Default)]
pub(super) struct Own {
    pub(super) output: Vec<u8>,
    pub(super) children: HashMap<u32, Child>,
    pub(super) windows: Vec<OpenWindow>,
    pub(super) held: Vec<locks::Held>,
}

/// A call from its chaining to its last waiter.
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) index: u32,
    pub(super) input: Vec<u8>,
    pub(super) range: Option<Range<usize>>,
    pub(super) parent: Option<Arc<Self>>,
    pub(super) own: Mutex<Own>,
    job: Job,
    phase: Mutex<Phase>,
    /// Numbers of the calls that this one waits for.
    pub(super) awaits: Mutex<Vec<u64>>,
}

static NUMBERS: AtomicU64 = AtomicU64::new(1);
static IDS: AtomicU32 = AtomicU32::new(1);

impl Call {
    pub(super) fn new(index: u32, input: Vec<u8>, job: Job) -> Self {
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            index,
            input,
            range: None,
            parent: None,
            own: Mutex::default(),
            job,
            phase: Mutex::new(Phase::Queued),
            awaits: Mutex::default(),
        }
    }

    fn claim(&self) -> bool {
        let mut phase = locked(&self.phase);
        let queued = *phase == Phase::Queued;
        if queued {
            *phase = Phase::Running;
        }
        queued
    }

    fn result(&self) -> Option<i32> {
        match *locked(&self.phase) {
            Phase::Done(code) => Some(code),
            Phase::Queued | Phase::Running => None,
        }
    }
}

std::thread_local! {
    /// The calls on this thread's stack, the running one last.
    static STACK: RefCell<Vec<Arc<Call>>> = const { RefCell::new(Vec::new()) };
}

/// The call that runs on this thread.
pub(super) fn current() -> Arc<Call> {
    STACK.with_borrow_mut(|stack| {
        if stack.is_empty() {
            let root = Call::new(0, Vec::new(), Job::Entry(|| 0));
            root.claim();
            stack.push(Arc::new(root));
        }
        Arc::clone(&stack[stack.len() - 1])
    })
}

struct Queue {
    calls: VecDeque<Arc<Call>>,
    /// Calls that are not done.
    live: usize,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { calls: VecDeque::new(), live: 0 });
/// Something was put into the queue.
static CHAINED: Condvar = Condvar::new();
/// A call is done.
static ENDED: Condvar = Condvar::new();
static WORKERS: Once = Once::new();

/// Threads that run calls, the one of main included: `MOBULA_THREADS`.
pub(super) fn threads() -> usize {
    let available = || thread::available_parallelism().map_or(1, std::num::NonZero::get);
    setting("MOBULA_THREADS").and_then(|text| text.parse().ok()).unwrap_or_else(available).max(1)
}

/// A thread with room for calls upon calls.
pub(super) fn spawn(name: &str, what: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    let builder = thread::Builder::new().name(name.into()).stack_size(STACK_BYTES);
    builder.spawn(what).expect("a thread can be started")
}

fn work() {
    let mut queue = locked(&QUEUE);
    loop {
        let Some(call) = queue.calls.pop_front() else {
            queue = CHAINED.wait(queue).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(queue);
        if call.claim() {
            run(&call);
        }
        queue = locked(&QUEUE);
    }
}

/// Puts a call into the queue.
fn submit(call: Arc<Call>) {
    WORKERS.call_once(|| {
        for at in 1..threads() {
            drop(spawn(&format!("worker {at}"), work));
        }
    });
    let mut queue = locked(&QUEUE);
    queue.calls.push_back(call);
    queue.live += 1;
    drop(queue);
    CHAINED.notify_one();
}

/// Chains calls under one id.
fn add(me: &Arc<Call>, child: Child) -> u32 {
    let id = IDS.fetch_add(1, Ordering::Relaxed);
    locked(&me.own).children.insert(id, child);
    id
}

/// Chains a call.
pub(super) fn chain(mut call: Call) -> u32 {
    let me = current();
    call.parent = Some(Arc::clone(&me));
    let call = Arc::new(call);
    let id = add(&me, Child::Call(Arc::clone(&call)));
    submit(call);
    id
}

/// Chains the calls of a parallel loop.
pub(super) fn chain_loop(calls: Vec<Call>) -> u32 {
    let me = current();
    let parented = calls.into_iter().map(|mut call| {
        call.parent = Some(Arc::clone(&me));
        Arc::new(call)
    });
    let calls: Vec<_> = parented.collect();
    let id = add(&me, Child::Loop(calls.clone()));
    calls.into_iter().for_each(submit);
    id
}

/// Runs a claimed call to its end on this thread.
fn run(call: &Arc<Call>) {
    let code = run_here(call);
    *locked(&call.phase) = Phase::Done(code);
    locked(&QUEUE).live -= 1;
    ENDED.notify_all();
}

fn run_here(call: &Arc<Call>) -> i32 {
    STACK.with_borrow_mut(|stack| stack.push(Arc::clone(call)));
    let job = AssertUnwindSafe(|| match &call.job {
        Job::Entry(entry) => entry(),
        Job::Other(other) => other(),
    });
    let result: Result<i32, Box<dyn Any + Send>> = catch_unwind(job);
    STACK.with_borrow_mut(Vec::pop);
    let mut own = locked(&call.own);
    let held = std::mem::take(&mut own.held);
    own.windows.clear();
    own.children.clear();
    drop(own);
    held.iter().for_each(|held| locks::release(call, held));
    // The reason was printed where it panicked.
    result.unwrap_or(abi::RC_TRAP)
}

/// Runs the main call; its result.
pub(super) fn run_main(call: Call) -> (i32, Vec<u8>) {
    let call = Arc::new(call);
    call.claim();
    let code = run_here(&call);
    let output = std::mem::take(&mut locked(&call.own).output);
    (code, output)
}

/// Runs what is left in the queue and waits for the calls of other threads.
pub(super) fn drain() {
    let mut queue = locked(&QUEUE);
    while queue.live > 0 {
        if let Some(call) = queue.calls.pop_front() {
            drop(queue);
            if call.claim() {
                run(&call);
            }
            queue = locked(&QUEUE);
        } else {
            queue = ENDED.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Waits until these calls are done, running those that nobody runs yet.
fn wait_for(me: &Call, calls: &[Arc<Call>]) {
    *locked(&me.awaits) = calls.iter().map(|call| call.number).collect();
    for call in calls {
        if call.claim() {
            run(call);
        }
    }
    let mut queue = locked(&QUEUE);
    while calls.iter().any(|call| call.result().is_none()) {
        queue = ENDED.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
    drop(queue);
    locked(&me.awaits).clear();
}

fn take(me: &Call, id: u32) -> Child {
    match locked(&me.own).children.insert(id, Child::Awaited) {
        None => panic!("await: id {id} was not given to this call"),
        Some(Child::Awaited) => panic!("await: id {id} was awaited before"),
        Some(child) => child,
    }
}

/// Waits for a call; its result and its output.
pub(super) fn await_output(id: u32) -> (i32, Vec<u8>) {
    let me = current();
    let Child::Call(call) = take(&me, id) else { panic!("await: {id} is a parallel loop") };
    wait_for(&me, std::slice::from_ref(&call));
    let output = std::mem::take(&mut locked(&call.own).output);
    (call.result().expect("a call that was waited for is done"), output)
}

/// Waits for a call or a loop; the first result that is not 0.
pub(super) fn await_call(id: u32) -> i32 {
    let me = current();
    let calls = match take(&me, id) {
        Child::Call(call) => std::vec![call],
        Child::Loop(calls) => calls,
        Child::Awaited => unreachable!("refused by `take`"),
    };
    wait_for(&me, &calls);
    calls.iter().filter_map(|call| call.result()).find(|&code| code != 0).unwrap_or(0)
}

fn calls_of(me: &Call, id: u32) -> Vec<Arc<Call>> {
    match locked(&me.own).children.get(&id) {
        Some(Child::Call(call)) => std::vec![Arc::clone(call)],
        Some(Child::Loop(calls)) => calls.clone(),
        Some(Child::Awaited) | None => panic!("await_any: id {id} is none that can be awaited"),
    }
}

/// Waits until one of these is done.
pub(super) fn await_any(ids: &[u32]) -> u32 {
    let me = current();
    let all: Vec<_> = ids.iter().map(|&id| (id, calls_of(&me, id))).collect();
    loop {
        // Held while looking, so that no end is missed.
        let queue = locked(&QUEUE);
        let done = |calls: &Vec<Arc<Call>>| calls.iter().all(|call| call.result().is_some());
        if let Some((id, _)) = all.iter().find(|(_, calls)| done(calls)) {
            return *id;
        }
        let mut calls = all.iter().flat_map(|(_, calls)| calls);
        if let Some(call) = calls.find(|call| call.claim()) {
            drop(queue);
            *locked(&me.awaits) = std::vec![call.number];
            run(call);
            locked(&me.awaits).clear();
        } else {
            drop(ENDED.wait(queue).unwrap_or_else(PoisonError::into_inner));
        }
    }
}
