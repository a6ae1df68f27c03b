//! Circles of locks and awaits through several ranks: one call of each is told, the others go on, and
//! nobody is told of a circle that is not there.

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{PRELUDE, Remember, STATE, threads, watchdog};
use mobula_runtime::fabric::{Body, Fabric, Local, RankId, Receiver, Trouble};
use mobula_runtime::{Config, Outcome, Runtime};

/// Chunks of the value by which calls are placed, for each rank.
const BLOCK: u32 = 32 * 65536;

/// What the guest below needs: clocks, and a meeting of calls.
const HELPERS: &str = r#"
    (func $now (result i64)
      (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 64))) (i64.load (i32.const 64)))
    (func $nanos (param $ms i32) (result i64)
      (i64.mul (i64.extend_i32_u (local.get $ms)) (i64.const 1000000)))
    (func $compute (param $ms i32) (local $end i64)
      (local.set $end (i64.add (call $now) (call $nanos (local.get $ms))))
      (loop $on (br_if $on (i64.lt_s (call $now) (local.get $end)))))
    (func $sleep (param $ms i32)
      (memory.fill (i32.const 512) (i32.const 0) (i32.const 48))
      (i32.store (i32.const 528) (i32.const 1))
      (i64.store (i32.const 536) (call $nanos (local.get $ms)))
      (drop (call $poll (i32.const 512) (i32.const 600) (i32.const 1) (i32.const 640))))
    (func $met (result i32)
      (call $pull (i32.const 48) (i32.const 4)) (call $window (i32.const 48) (i32.const 4)))
    (func $meet (param $n i32) (local $at i32)
      (call $lock_global (i32.const 48))
      (local.set $at (call $met))
      (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1)))
      (call $flag (i32.const 48) (i32.const 4))
      (call $push (i32.const 48)) (call $unlock_global (i32.const 48))
      (loop $on
        (call $sleep (i32.const 3))
        (br_if $on (i32.lt_u (i32.load (call $met)) (local.get $n)))))"#;

/// One step of the guest below.
fn act(op: char, what: &str) -> String {
    format!("(if (i32.eq (local.get $op) (i32.const {})) (then {what}))\n", op as u32)
}

fn locks() -> String {
    let take = [('G', "lock_global"), ('W', "lock"), ('R', "lock_read")];
    let give = [('g', "unlock_global"), ('w', "unlock"), ('r', "unlock_read")];
    let step = |(op, name)| act(op, &format!("(call ${name} (i32.const 16))"));
    take.into_iter().chain(give).map(step).collect()
}

/// A guest that runs its input as a script, two bytes a step:
///
/// | | |
/// |---|---|
/// | `Gk` `gk`, `Wk` `wk`, `Rk` `rk` | take and give back the global, write, read lock on key `k` |
/// | `Sn` | sleep 10 times n ms |
/// | `Tn` | compute for that long |
/// | `Bn` | meet: count one more, wait until it is n |
/// | `Cr` | the next byte is a length n; the n bytes after it are a child's script, on rank r |
/// | `Dr` | the same, wherever |
/// | `Ai` | await child i; returns how many children failed |
/// | `N_` | await any of all children |
fn guest() -> String {
    let child = |chain: &str| {
        format!(
            "(i32.store (i32.add (i32.const 8192) (i32.mul (i32.const 4) (local.get $n))) {chain})
             (local.set $n (i32.add (local.get $n) (i32.const 1)))
             (local.set $p (i32.add (local.get $p) (i32.add (i32.const 1) (i32.load8_u (local.get $p)))))"
        )
    };
    let script = "(i32.add (local.get $p) (i32.const 1)) (i32.load8_u (local.get $p))";
    let steps = [
        locks(),
        act('S', "(call $sleep (i32.mul (local.get $arg) (i32.const 10)))"),
        act('T', "(call $compute (i32.mul (local.get $arg) (i32.const 10)))"),
        act('B', "(call $meet (local.get $arg))"),
        act(
            'C',
            &child(&format!(
                "(call $chain_at (i32.const 32)
                   (i64.mul (i64.extend_i32_u (local.get $arg)) (i64.const {BLOCK}))
                   (i32.const 0) {script})"
            )),
        ),
        act('D', &child(&format!("(call $chain (i32.const 0) {script})"))),
        act(
            'A',
            "(local.set $bad (i32.add (local.get $bad) (i32.ne (i32.const 0) (call $await
               (i32.load (i32.add (i32.const 8192) (i32.mul (i32.const 4) (local.get $arg))))))))",
        ),
        act('N', "(drop (call $await_any (i32.const 8192) (local.get $n)))"),
    ]
    .concat();
    format!(
        r#"(module {PRELUDE} {STATE}
        (import "env" "__mobula_chain_at" (func $chain_at (param i32 i64 i32 i32 i32) (result i32)))
        (import "env" "__mobula_await_any" (func $await_any (param i32 i32) (result i32)))
        (import "env" "__mobula_state_create" (func $create (param i32 i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 32) "place\00") (data (i32.const 48) "met\00")
        {HELPERS}
        (func (export "_faasm_func_1") (result i32)
          (drop (call $input (i32.const 64) (i32.const 4)))
          (call $create (i32.const 32) (i32.load (i32.const 64))) (i32.const 0))
        (func (export "_faasm_func_0") (result i32)
          (local $p i32) (local $end i32) (local $op i32) (local $arg i32) (local $n i32) (local $bad i32)
          (local.set $p (i32.const 1024))
          (local.set $end (i32.add (i32.const 1024) (call $input (i32.const 1024) (i32.const 4096))))
          (loop $step
            (if (i32.lt_u (local.get $p) (local.get $end)) (then
              (local.set $op (i32.load8_u (local.get $p)))
              (local.set $arg (i32.load8_u offset=1 (local.get $p)))
              (i32.store8 (i32.const 16) (local.get $arg)) (i32.store8 (i32.const 17) (i32.const 0))
              (local.set $p (i32.add (local.get $p) (i32.const 2)))
              {steps}
              (br $step))))
          (local.get $bad)))"#
    )
}

/// A script of steps; numbers stand after their letter, keys too.
#[derive(Debug, Clone, Default)]
struct Script(Vec<u8>);

impl Script {
    /// Steps as `Ga B2 S100 gb`.
    fn of(text: &str) -> Self {
        let step = |word: &str| {
            let (op, arg) = word.split_at(1);
            let arg = arg.parse().unwrap_or_else(|_| arg.as_bytes()[0]);
            [op.as_bytes()[0], arg]
        };
        Self(text.split_whitespace().flat_map(step).collect())
    }

    fn then(mut self, text: &str) -> Self {
        self.0.extend(Self::of(text).0);
        self
    }

    fn child(mut self, rank: Option<u8>, child: &Self) -> Self {
        let how = rank.map_or([b'D', 0], |rank| [b'C', rank]);
        self.0.extend(how);
        self.0.push(child.0.len().try_into().unwrap());
        self.0.extend(&child.0);
        self
    }
}

/// The ranks of a job, all in this process.
struct Job {
    ranks: Vec<Arc<Runtime>>,
    fabric: Arc<Local>,
    said: Arc<Remember>,
}

impl Job {
    fn new(hosts: &[u32], delay: u64, seed: u64) -> Self {
        Self::with(hosts, delay, seed, || threads(1))
    }

    fn with(hosts: &[u32], delay: u64, seed: u64, config: impl Fn() -> Config) -> Self {
        let ends = Local::ranks(hosts);
        let fabric = ends[0].clone();
        let job = Self::on(fabric, ends.into_iter().map(|end| -> Arc<dyn Fabric> { end }), config);
        job.fabric.trouble(Trouble {
            delay: Duration::from_millis(delay),
            seed,
            ..Trouble::default()
        });
        job
    }

    /// A job on these ends of a network, one of which is `fabric` itself.
    fn on(
        fabric: Arc<Local>,
        ends: impl IntoIterator<Item = Arc<dyn Fabric>>,
        config: impl Fn() -> Config,
    ) -> Self {
        let said = Arc::new(Remember::default());
        let wasm = wat::parse_str(guest()).unwrap();
        let start = |end| {
            let runtime = Runtime::join(config(), said.clone(), end).unwrap();
            runtime.register("u", "f", &wasm).unwrap();
            Arc::new(runtime)
        };
        let ranks: Vec<_> = ends.into_iter().map(start).collect();
        let bytes = BLOCK * ranks.len() as u32;
        let made = ranks[0].call("u", "f", 1, bytes.to_le_bytes().to_vec()).unwrap();
        assert_eq!(made.outcome, Outcome::Returned(0), "{}", said.stderr());
        Self { ranks, fabric, said }
    }

    /// Runs a script on each rank at once, from the first on; how they end.
    fn run(&self, scripts: &[Script]) -> Vec<Outcome> {
        std::thread::scope(|scope| {
            let start = |(rank, script): (&Arc<Runtime>, &Script)| {
                let (rank, input) = (rank.clone(), script.0.clone());
                scope.spawn(move || rank.call("u", "f", 0, input).unwrap().outcome)
            };
            let all: Vec<_> = self.ranks.iter().zip(scripts).map(start).collect();
            all.into_iter().map(|call| call.join().unwrap()).collect()
        })
    }

    fn said(&self) -> String {
        self.said.stderr()
    }

    /// How many calls were told of a deadlock so far.
    fn told(&self) -> usize {
        self.said().matches("deadlock: the ").count()
    }

    /// Every lock is free: each can be taken from everywhere.
    fn expect_free(&self, keys: &str) {
        for key in keys.chars() {
            let script = Script::of(&format!("G{key} g{key} W{key} w{key}"));
            for rank in &self.ranks {
                let outcome = rank.call("u", "f", 0, script.0.clone()).unwrap().outcome;
                assert_eq!(outcome, Outcome::Returned(0), "{}", self.said());
            }
        }
    }
}

fn with_job(hosts: &[u32], delay: u64, seed: u64, test: impl FnOnce(Job) + Send + 'static) {
    let hosts = hosts.to_vec();
    watchdog(move || test(Job::new(&hosts, delay, seed)));
}

/// One was told of the circle, and all others went on.
fn expect_one_victim(outcomes: &[Outcome], job: &Job) {
    let failed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Trapped(_))).count();
    let went_on = outcomes.iter().filter(|o| **o == Outcome::Returned(0)).count();
    assert_eq!((failed, went_on), (1, outcomes.len() - 1), "{outcomes:?}\n{}", job.said());
}

/// Each of n ranks holds a key and wants the next one's.
fn ring(job: &Job, keys: &[char], lock: char, met: u8) -> Vec<Outcome> {
    let give = lock.to_ascii_lowercase();
    let script = |i: usize| {
        let (mine, next) = (keys[i], keys[(i + 1) % keys.len()]);
        let steps = format!("{lock}{mine} B{met} {lock}{next} {give}{next} {give}{mine}");
        Script::of(&steps)
    };
    job.run(&(0..keys.len()).map(script).collect::<Vec<_>>())
}

#[test]
fn two_calls_that_lock_in_opposite_order_on_two_ranks() {
    for hosts in [[0, 1], [0, 0]] {
        with_job(&hosts, 0, 0, |job| {
            let mut across = 0;
            for (round, keys) in ["ab", "bc", "cd", "ad", "ca"].iter().enumerate() {
                let keys: Vec<char> = keys.chars().collect();
                let outcomes = ring(&job, &keys, 'G', 2 * (round as u8 + 1));
                expect_one_victim(&outcomes, &job);
                assert_eq!(job.told(), round + 1, "{}", job.said());
                let why = outcomes.iter().find_map(|outcome| outcome.failure()).unwrap();
                assert!(why.contains("deadlock: the global lock on key \""), "{why}");
                if let Some((_, circle)) = why.split_once("; the circle: ") {
                    across += 1;
                    for rank in [0, 1] {
                        let on = format!("on {} which waits for", job.fabric.job().title(rank));
                        assert!(circle.contains(&on.replace(") ", "), ")), "{circle}");
                    }
                    assert!(
                        keys.iter()
                            .all(|key| circle.contains(&format!("{key:?}").replace('\'', "\"")))
                    );
                    assert!(circle.contains("call u/f[0] #"), "{circle}");
                }
                job.expect_free("abcd");
            }
            // Where one rank serves both keys it finds the circle by itself, at once.
            assert!(across > 0, "{}", job.said());
        });
    }
}

#[test]
fn rings_of_three_and_four_ranks_with_frames_that_overtake_each_other() {
    for seed in 0..3 {
        for hosts in [&[0, 1, 2][..], &[0, 0, 1, 1]] {
            with_job(hosts, 4 * (seed + 1), seed, |job| {
                let keys: Vec<char> = "abcd".chars().take(job.ranks.len()).collect();
                let outcomes = ring(&job, &keys, 'G', keys.len() as u8);
                expect_one_victim(&outcomes, &job);
                assert_eq!(job.told(), 1, "{}", job.said());
                job.expect_free("abcd");
            });
        }
    }
}

#[test]
fn write_locks_of_one_host_are_served_by_its_ranks() {
    with_job(&[0, 0, 0], 1, 3, |job| {
        let outcomes = ring(&job, &['a', 'b', 'c'], 'W', 3);
        expect_one_victim(&outcomes, &job);
        assert_eq!(job.told(), 1, "{}", job.said());
    });
}

#[test]
fn a_parent_holds_what_its_child_on_another_rank_needs() {
    for hosts in [&[0, 1][..], &[0, 0, 1]] {
        with_job(hosts, 1, 1, |job| {
            let ways = (0..2).flat_map(|from| [(0, 1), (1, 0), (1, 1)].map(|way| (from, way)));
            for (told, (from, (one, two))) in ways.enumerate() {
                let key = ["a", "b", "c"][told % 3];
                // Main, its child somewhere, that one's child somewhere.
                let last = Script::of(&format!("G{key} g{key}"));
                let child = Script::default().child(Some(two), &last).then("A0");
                let main = Script::of(&format!("G{key}")).child(Some(one), &child);
                let main = main.then(&format!("A0 g{key}")).0;
                let outcome = job.ranks[from].call("u", "f", 0, main).unwrap().outcome;
                assert_eq!(outcome, Outcome::Returned(1), "{}", job.said());
                assert_eq!(job.told(), told + 1, "{}", job.said());
                job.expect_free(key);
            }
            assert!(job.said().contains(", which awaits call u/f[0] #"), "{}", job.said());
        });
    }
}

#[test]
fn a_writer_waits_for_every_reader() {
    // Rank 0 and 1 read `a`, rank 2 holds `b` and wants to write `a`, rank 1 wants `b`: the circle goes
    // through one of the readers; the other one ends by itself.
    with_job(&[0, 0, 0], 1, 2, |job| {
        let scripts = ["Ra B3 S80 ra", "Ra B3 Gb gb ra", "Gb B3 Wa wa gb"].map(Script::of);
        let outcomes = job.run(&scripts);
        expect_one_victim(&outcomes, &job);
        assert_eq!(outcomes[0], Outcome::Returned(0));
        assert_eq!(job.told(), 1, "{}", job.said());
        job.expect_free("ab");
    });
}

#[test]
fn part_of_a_circle_lies_within_a_rank() {
    // Rank 0: main holds `a` and awaits its child, which holds `c` and awaits one more, which wants
    // `b`. Rank 1 holds `b` and wants `a`.
    with_job(&[0, 1], 1, 4, |job| {
        for round in 1..=3 {
            let wants = Script::of("Gb gb");
            let child = Script::of("Gc").child(None, &wants).then("A0 gc");
            let met = format!("B{}", 2 * round);
            let main = Script::of(&format!("Ga {met}")).child(None, &child).then("A0 ga");
            let other = Script::of(&format!("Gb {met} S1 Ga ga gb"));
            let outcomes = job.run(&[main, other]);
            // Who is told is one that waits for a lock: the grandchild, whose parents then count it, or
            // rank 1.
            let told = matches!(
                &outcomes[..],
                [Outcome::Returned(1), Outcome::Returned(0)]
                    | [Outcome::Returned(0), Outcome::Trapped(_)]
            );
            assert!(told, "{outcomes:?}\n{}", job.said());
            assert_eq!(job.told(), round, "{}", job.said());
            job.expect_free("abc");
        }
    });
}

#[test]
fn whoever_awaits_any_of_several_is_in_no_circle() {
    // Main holds `a` until one of its children ends: one needs `a`, the other one does not.
    with_job(&[0, 1, 2], 0, 5, |job| {
        for key in ["a", "b", "c"] {
            let needs = Script::of(&format!("G{key} g{key}"));
            let ends = Script::of("S120");
            let main = Script::of(&format!("G{key}")).child(Some(1), &needs).child(Some(2), &ends);
            let main = main.then(&format!("N0 g{key} A0 A1"));
            assert_eq!(job.run(&[main]), [Outcome::Returned(0)], "{}", job.said());
        }
        assert_eq!(job.told(), 0, "{}", job.said());
    });
}

#[test]
fn long_waits_without_a_circle_are_left_alone() {
    // Everybody wants the same locks, in the same order, holds them for 600 ms, some by a child elsewhere;
    // frames are slow, one rank computes all the time.
    with_job(&[0, 1, 2], 20, 6, |job| {
        let through = |sleep: &str| Script::of(&format!("Ga {sleep} Gb Gc gc gb ga"));
        let by_child =
            Script::of("Ga").child(Some(1), &Script::of("Gb S60 gb")).then("A0 ga Wc wc");
        let outcomes = job.run(&[through("S60"), through("T60"), by_child.clone()]);
        assert_eq!(outcomes, [const { Outcome::Returned(0) }; 3], "{}", job.said());
        let outcomes = job.run(&[by_child.clone(), through("S60"), by_child]);
        assert_eq!(outcomes, [const { Outcome::Returned(0) }; 3], "{}", job.said());
        assert_eq!(job.told(), 0, "{}", job.said());
    });
}

/// SplitMix64.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut x = *seed;
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A main that fans out `calls` calls to all ranks, each of which takes three of the keys `a` to `f`, in this
/// order or in any, holds them for a while and gives them back, and this `rounds` times.
fn crowd(seed: u64, ranks: u8, (calls, rounds): (u32, u32), ordered: bool) -> Script {
    let (mut seed, mut main) = (seed, Script::default());
    let mut next = |n: u64| random(&mut seed) % n;
    for _ in 0..calls {
        let mut steps = String::new();
        for _ in 0..rounds {
            let mut keys: Vec<char> = "abcdef".chars().collect();
            while keys.len() > 3 {
                keys.remove(next(keys.len() as u64) as usize);
            }
            if !ordered {
                keys.rotate_left(next(3) as usize);
            }
            let kinds = keys.iter().map(|_| if ordered { next(3) as usize } else { 0 });
            let kinds: Vec<_> = kinds.collect();
            for (key, &kind) in keys.iter().zip(&kinds) {
                let take = ['G', 'W', 'R'][kind];
                steps.push_str(&format!("{take}{key} S{} ", next(7)));
            }
            for (key, &kind) in keys.iter().zip(&kinds) {
                steps.push_str(&format!("{}{key} ", ['g', 'w', 'r'][kind]));
            }
        }
        main = main.child(Some(next(u64::from(ranks)) as u8), &Script::of(&steps));
    }
    let awaits: String = (0..calls).map(|i| format!("A{i} ")).collect();
    main.then(&awaits)
}

#[test]
fn a_crowd_that_keeps_to_an_order_is_never_told_of_a_circle() {
    // Holders change while probes are on their way, frames overtake each other.
    for (hosts, delay) in [(&[0, 0, 1, 1][..], 40), (&[0, 1, 2], 5), (&[0, 0, 0], 0)] {
        watchdog(move || {
            let job = Job::with(hosts, delay, 8, || threads(2));
            let ranks = hosts.len() as u8;
            let crowds: Vec<_> = (0..2).map(|seed| crowd(seed, ranks, (10, 4), true)).collect();
            let outcomes = job.run(&crowds);
            assert_eq!(outcomes, [const { Outcome::Returned(0) }; 2], "{}", job.said());
            assert_eq!(job.told(), 0, "{}", job.said());
        });
    }
}

#[test]
fn a_crowd_without_an_order_comes_to_an_end() {
    // One rank finds them by its own search: about as many.
    for (hosts, delay) in [(&[0, 0, 1, 1][..], 3), (&[0, 1], 0), (&[0], 0)] {
        watchdog(move || {
            let job = Job::with(hosts, delay, 9, || threads(2));
            let ranks = hosts.len() as u8;
            let outcomes = job.run(&[crowd(2, ranks, (16, 1), false)]);
            let failed = outcomes[0].code();
            eprintln!("{failed} of 16 calls were told of a circle");
            assert_eq!(job.told() as i32, failed, "{}", job.said());
            assert!(failed < 16, "some go on: {}", job.said());
            job.expect_free("abcdef");
        });
    }
}

#[test]
fn a_circle_through_a_slow_rank_is_found() {
    // Frames take up to 400 ms, longer than the time after which waits are looked at; rank 1 computes.
    watchdog(|| {
        let job = Job::new(&[0, 1, 2], 0, 0);
        let busy = Script::of("T250");
        let scripts = ["Ga B3 Gb gb ga", "Gb B3", "Gc B3 Ga ga gc"].map(Script::of);
        let [first, second, third] = scripts;
        let second = second.child(Some(0), &busy).then("Gc gc gb A0");
        let fabric = job.fabric.clone();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                let delay = Duration::from_millis(400);
                fabric.trouble(Trouble { delay, seed: 1, ..Trouble::default() });
            });
            let outcomes = job.run(&[first, second, third]);
            expect_one_victim(&outcomes, &job);
            assert_eq!(job.told(), 1, "{}", job.said());
        });
    });
}

/// To whom, what.
type Frame = (RankId, Vec<u8>, Body);

/// An end of the network that notes whom its rank asks, and can hold its probes back.
#[derive(Debug)]
struct Spy {
    end: Arc<Local>,
    asked: Mutex<Vec<RankId>>,
    held: Mutex<Option<Vec<Frame>>>,
}

/// Which messages these are.
const ASK: u8 = 3;
const PROBES: u8 = 8;

impl Fabric for Spy {
    fn job(&self) -> &mobula_runtime::fabric::Job {
        self.end.job()
    }
    fn attach(&self, receiver: Arc<dyn Receiver>) {
        self.end.attach(receiver);
    }
    fn send(&self, to: RankId, head: &[u8], body: Body) {
        if head[0] == ASK {
            self.asked.lock().unwrap().push(to);
        }
        match &mut *self.held.lock().unwrap() {
            Some(held) if head == [PROBES] => held.push((to, head.to_vec(), body)),
            _ => self.end.send(to, head, body),
        }
    }
    fn poll(&self) -> bool {
        self.end.poll()
    }
    fn close(&self) {
        self.end.close();
    }
    fn abort(&self, code: u8) {
        self.end.abort(code);
    }
}

#[test]
fn a_circle_whose_parts_were_never_there_together_is_none() {
    // `w` holds `low` and waits for `high`, behind another call. A probe leaves for the holder of `high`, and
    // is held back until that has given `high` to the other call and waits for `low` itself: the probe finds
    // its way back to `w`, which waits for the same all the time.
    watchdog(|| {
        let spy = |end: Arc<Local>| {
            Arc::new(Spy { end, asked: Mutex::default(), held: Mutex::default() })
        };
        let spies: Vec<_> = Local::ranks(&[0, 1, 2]).into_iter().map(spy).collect();
        let ends = spies.iter().cloned().map(|end| -> Arc<dyn Fabric> { end });
        let job = Job::on(spies[0].end.clone(), ends, || threads(1));
        // A key whose lock rank 0 serves, one of rank 1: whom rank 2 asks says it.
        let served_by = |rank| {
            let serves = |key: &char| {
                spies[2].asked.lock().unwrap().clear();
                let script = Script::of(&format!("G{key} g{key}")).0;
                job.ranks[2].call("u", "f", 0, script).unwrap();
                spies[2].asked.lock().unwrap().first() == Some(&rank)
            };
            ('a'..='z').find(serves).expect("one of 26 keys")
        };
        let (low, high) = (served_by(0), served_by(1));
        *spies[1].held.lock().unwrap() = Some(Vec::new());
        let scripts = [
            format!("G{low} B3 S20 G{high} g{high} g{low}"),
            format!("B3 G{high} S150 g{high}"),
            format!("G{high} B3 S90 g{high} G{low} g{low}"),
        ];
        let outcomes = std::thread::scope(|scope| {
            let release = scope.spawn(|| {
                // Then until the third call waits for `low`.
                let start = Instant::now();
                while spies[1].held.lock().unwrap().as_ref().is_some_and(Vec::is_empty) {
                    assert!(start.elapsed() < Duration::from_secs(60), "no probe was sent");
                    std::thread::sleep(Duration::from_millis(5));
                }
                std::thread::sleep(Duration::from_millis(700));
                let held = spies[1].held.lock().unwrap().take().unwrap();
                held.into_iter().for_each(|(to, head, body)| spies[1].end.send(to, &head, body));
            });
            let outcomes = job.run(&scripts.map(|script| Script::of(&script)));
            release.join().unwrap();
            outcomes
        });
        assert_eq!(outcomes, [const { Outcome::Returned(0) }; 3], "{}", job.said());
        assert_eq!(job.told(), 0, "{}", job.said());
    });
}

#[test]
fn a_call_that_runs_out_of_time_in_a_circle_ends_it() {
    // The time-out is shorter than the search: no deadlock is said, and nothing is left.
    watchdog(|| {
        let timeout = Some(Duration::from_millis(200));
        let job = Job::with(&[0, 1], 0, 0, || Config { timeout, ..threads(1) });
        let outcomes = job.run(&["Ga B2 Gb gb ga", "Gb B2 Ga ga gb"].map(Script::of));
        assert!(outcomes.iter().any(|o| matches!(o, Outcome::TimedOut(_))), "{outcomes:?}");
        job.expect_free("ab");
    });
}
