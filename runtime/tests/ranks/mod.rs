//! What tests of several ranks share: a job in this process, and a guest that does one thing a call.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;
use std::time::Duration;

use mobula_runtime::fabric::{Fabric, Local, Trouble};
use mobula_runtime::{Config, Finished, Outcome, Runtime};

use crate::common::{PRELUDE, Remember, STATE, watchdog};

pub const CHUNK: usize = 65536;

/// What an entry of the guest does. Keys are at 4096 and 4112 of its memory, numbers a to d at 4128,
/// data at 4160.
#[derive(Debug, Clone, Copy)]
pub enum Do {
    /// Data at offset b of the value of a bytes.
    WriteAt,
    /// c bytes at offset b of a.
    ReadAt,
    /// Data through a window at offset b of a, flagged by nobody.
    Store,
    /// c bytes through a window at offset b of a.
    Load,
    Push,
    /// a bytes.
    Pull,
    Write,
    /// At most c bytes of it all.
    Read,
    Append,
    /// The first a records.
    Appended,
    Clear,
    /// a times: lock globally, pull, add 1 to the i32 at b of c, push, unlock.
    CountGlobal,
    /// a times: lock for writing, add 1 to the i32 at b of c, unlock.
    CountLocal,
    /// Key's bytes by key 2's mask.
    PushMasked,
    /// Elements of type a, operation b.
    PushMerge,
    Delete,
    /// Data at offset b of a, elements of type c, operation d.
    Merge,
    /// A window on all of a, then a write of the whole value.
    WriteUnderWindow,
    /// `WriteAt` and push, in one call.
    WriteAndPush,
    /// Pull of a, then `ReadAt`.
    PullAndRead,
    /// A window on all of a, then removal.
    DeleteUnderWindow,
    /// Lock globally and end without unlocking; traps.
    LockAndTrap,
    /// A window on all of a; c bytes at b; pull; the same bytes again through the same pointer.
    LoadPullLoad,
    /// Lock globally and never end.
    LockAndSpin,
    /// Data through a window at offset b of a, flagged.
    StoreAndFlag,
}

/// The body of each entry, as in [`Do`].
const ENTRIES: [&str; 25] = [
    "(call $write_at (global.get $k) (call $a) (call $b) (global.get $data) (call $n))",
    "(call $read_at (global.get $k) (call $a) (call $b) (global.get $out) (call $c)) (call $give (call $c))",
    "(memory.copy (call $window_at (global.get $k) (call $a) (call $b) (call $n)) (global.get $data) (call $n))",
    "(call $output (call $window_at (global.get $k) (call $a) (call $b) (call $c)) (call $c))",
    "(call $push (global.get $k))",
    "(call $pull (global.get $k) (call $a))",
    "(call $write (global.get $k) (global.get $data) (call $n))",
    "(call $give (call $read (global.get $k) (global.get $out) (call $c)))",
    "(call $append (global.get $k) (global.get $data) (call $n))",
    "(call $read_appended (global.get $k) (global.get $out) (call $c) (call $a)) (call $give (call $c))",
    "(call $clear_appended (global.get $k))",
    "(loop $again
       (call $lock_global (global.get $k)) (call $pull (global.get $k) (call $c))
       (local.set $p (call $window_at (global.get $k) (call $c) (call $b) (i32.const 4)))
       (i32.store (local.get $p) (i32.add (i32.load (local.get $p)) (i32.const 1)))
       (call $push (global.get $k)) (call $unlock_global (global.get $k))
       (br_if $again (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (call $a))))",
    "(loop $again
       (call $lock (global.get $k))
       (local.set $p (call $window_at (global.get $k) (call $c) (call $b) (i32.const 4)))
       (i32.store (local.get $p) (i32.add (i32.load (local.get $p)) (i32.const 1)))
       (call $unlock (global.get $k))
       (br_if $again (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (call $a))))",
    "(call $push_masked (global.get $k) (global.get $m))",
    "(call $push_merge (global.get $k) (call $a) (call $b))",
    "(call $delete (global.get $k))",
    "(call $merge (global.get $k) (call $a) (call $b) (global.get $data) (call $n) (call $c) (call $d))",
    "(drop (call $window (global.get $k) (call $a))) (call $write (global.get $k) (global.get $data) (call $n))",
    "(call $write_at (global.get $k) (call $a) (call $b) (global.get $data) (call $n)) (call $push (global.get $k))",
    "(call $pull (global.get $k) (call $a))
     (call $read_at (global.get $k) (call $a) (call $b) (global.get $out) (call $c)) (call $give (call $c))",
    "(drop (call $window (global.get $k) (call $a))) (call $delete (global.get $k))",
    "(call $lock_global (global.get $k)) unreachable",
    "(local.set $p (i32.add (call $window (global.get $k) (call $a)) (call $b)))
     (memory.copy (global.get $out) (local.get $p) (call $c))
     (call $pull (global.get $k) (call $a))
     (memory.copy (i32.add (global.get $out) (call $c)) (local.get $p) (call $c))
     (call $give (i32.mul (i32.const 2) (call $c)))",
    "(call $lock_global (global.get $k)) (loop $for_ever (br $for_ever))",
    "(memory.copy (call $window_at (global.get $k) (call $a) (call $b) (call $n)) (global.get $data) (call $n))
     (call $flag_at (global.get $k) (call $a) (call $b) (call $n))",
];

fn guest() -> String {
    let entries: String = ENTRIES
        .iter()
        .enumerate()
        .map(|(i, body)| {
            format!(
                "(func (export \"_faasm_func_{i}\") (result i32) (local $i i32) (local $p i32)
                 (global.set $n (i32.sub (call $input (global.get $k) (i32.const 8388608)) (i32.const 64)))
                 {body} (i32.const 0))\n"
            )
        })
        .collect();
    format!(
        r#"(module {PRELUDE} {STATE}
        (import "env" "__mobula_state_delete" (func $delete (param i32)))
        (import "env" "__mobula_push_merge" (func $push_merge (param i32 i32 i32)))
        (import "env" "__mobula_merge_state" (func $merge (param i32 i32 i32 i32 i32 i32 i32)))
        (memory (export "memory") 300)
        (global $k i32 (i32.const 4096)) (global $m i32 (i32.const 4112))
        (global $data i32 (i32.const 4160)) (global $out i32 (i32.const 9437184))
        (global $n (mut i32) (i32.const 0))
        (func $a (result i32) (i32.load (i32.const 4128)))
        (func $b (result i32) (i32.load (i32.const 4132)))
        (func $c (result i32) (i32.load (i32.const 4136)))
        (func $d (result i32) (i32.load (i32.const 4140)))
        (func $n (result i32) (global.get $n))
        (func $give (param $bytes i32) (call $output (global.get $out) (local.get $bytes)))
        {entries})"#
    )
}

/// The ranks of a job, all in this process.
pub struct Job {
    pub ranks: Vec<Arc<Runtime>>,
    pub ends: Vec<Arc<Local>>,
    pub said: Arc<Remember>,
}

impl Job {
    /// A job on these hosts whose frames take up to `delay`.
    pub fn new(hosts: &[u32], delay: Duration, seed: u64) -> Self {
        Self::with(hosts, delay, seed, |_| Config {
            threads: 1,
            cpus: Vec::new(),
            ..Config::default()
        })
    }

    pub fn with(hosts: &[u32], delay: Duration, seed: u64, config: impl Fn(u32) -> Config) -> Self {
        let (ends, said) = (Local::ranks(hosts), Arc::new(Remember::default()));
        ends[0].trouble(Trouble { delay, seed, ..Trouble::default() });
        let wasm = wat::parse_str(guest()).unwrap();
        let start = |end: &Arc<Local>| {
            let end: Arc<dyn Fabric> = end.clone();
            let runtime = Runtime::join(config(end.job().rank), said.clone(), end).unwrap();
            runtime.register("u", "f", &wasm).unwrap();
            Arc::new(runtime)
        };
        Self { ranks: ends.iter().map(start).collect(), ends, said: said.clone() }
    }

    pub fn size(&self) -> usize {
        self.ranks.len()
    }

    /// The host of a rank.
    pub fn host(&self, rank: usize) -> u32 {
        self.ends[rank].job().host()
    }

    /// How the guest ends on a rank.
    pub fn run(
        &self,
        rank: usize,
        what: Do,
        key: &str,
        numbers: [i32; 4],
        data: &[u8],
    ) -> Finished {
        let mut input = vec![0; 64];
        let (key, mask) = key.split_once('/').unwrap_or((key, ""));
        input[..key.len()].copy_from_slice(key.as_bytes());
        input[16..16 + mask.len()].copy_from_slice(mask.as_bytes());
        for (i, number) in numbers.iter().enumerate() {
            input[32 + i * 4..36 + i * 4].copy_from_slice(&number.to_le_bytes());
        }
        input.extend_from_slice(data);
        self.ranks[rank].call("u", "f", what as i32, input).unwrap()
    }

    /// What the guest gives on a rank, where it must not fail.
    pub fn act(&self, rank: usize, what: Do, key: &str, numbers: [i32; 4], data: &[u8]) -> Vec<u8> {
        let finished = self.run(rank, what, key, numbers, data);
        assert_eq!(
            finished.outcome,
            Outcome::Returned(0),
            "rank {rank}, {what:?} of {key:?} with {numbers:?}\n{}",
            self.said.stderr()
        );
        finished.output
    }

    /// Why the guest fails.
    pub fn refusal(
        &self,
        rank: usize,
        what: Do,
        key: &str,
        numbers: [i32; 4],
        data: &[u8],
    ) -> String {
        let outcome = self.run(rank, what, key, numbers, data).outcome;
        outcome.failure().unwrap_or_else(|| panic!("{what:?} ended well: {outcome:?}")).to_owned()
    }

    /// Runs `f` on a thread for each rank.
    pub fn on_all(&self, f: impl Fn(usize) + Sync) {
        std::thread::scope(|scope| {
            for rank in 0..self.size() {
                let f = &f;
                scope.spawn(move || f(rank));
            }
        });
    }

    pub fn write_at(&self, rank: usize, key: &str, total: usize, at: usize, data: &[u8]) {
        self.act(rank, Do::WriteAt, key, [total as i32, at as i32, 0, 0], data);
    }

    pub fn store(&self, rank: usize, key: &str, total: usize, at: usize, data: &[u8]) {
        self.act(rank, Do::Store, key, [total as i32, at as i32, 0, 0], data);
    }

    pub fn read_at(&self, rank: usize, key: &str, total: usize, at: usize, n: usize) -> Vec<u8> {
        self.act(rank, Do::ReadAt, key, [total as i32, at as i32, n as i32, 0], &[])
    }

    pub fn push(&self, rank: usize, key: &str) {
        self.act(rank, Do::Push, key, [0; 4], &[]);
    }

    pub fn pull(&self, rank: usize, key: &str, total: usize) {
        self.act(rank, Do::Pull, key, [total as i32, 0, 0, 0], &[]);
    }
}

/// Runs a test on a job, with a watchdog.
pub fn with_job(hosts: &[u32], delay: u64, test: impl FnOnce(Job) + Send + 'static) {
    let hosts = hosts.to_vec();
    watchdog(move || test(Job::new(&hosts, Duration::from_micros(delay), 7)));
}

/// Jobs that most tests run on: two hosts, several ranks a host, three hosts; quick and slow frames.
pub const JOBS: [(&[u32], u64); 5] =
    [(&[0, 0], 0), (&[0, 1], 0), (&[0, 0, 1, 1], 300), (&[0, 1, 2], 0), (&[0, 1, 2], 1000)];
