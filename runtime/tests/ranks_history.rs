//! Histories of state under load, checked afterwards by rules that know nothing of how it works.
//!
//! Many bytes, in words next to each other, are registers. Ranks write (store and push) and read (pull and read)
//! them at random, on a network that delays frames so that they overtake each other. Every written byte
//! differs from all others written to the same register, so that a read says which write it saw:
//!
//! ```text
//!   time ─▶   ├─ write 5 ─┤     ├── write 9 ──┤
//!                                        ├─ read ─┤   5 or 9, nothing else: 9 has not ended
//!                                                  ├─ read ─┤   9: it ended before this read began
//! ```

mod common;
mod ranks;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use common::watchdog;
use ranks::{CHUNK, Do, Job};

/// One operation on one register, with its time from start to end.
#[derive(Debug, Clone, Copy)]
struct Op {
    register: usize,
    host: u32,
    start: u64,
    end: u64,
    wrote: bool,
    value: u8,
}

/// What is wrong with a history, if anything is.
fn check(history: &[Op]) -> Result<(), String> {
    let mut registers: HashMap<usize, Vec<Op>> = HashMap::new();
    history.iter().for_each(|op| registers.entry(op.register).or_default().push(*op));
    registers.values().try_for_each(|ops| check_register(ops))
}

fn check_register(ops: &[Op]) -> Result<(), String> {
    // Zero is what was there before all.
    let first = Op { start: 0, end: 0, wrote: true, value: 0, ..ops[0] };
    let mut writes: Vec<Op> = ops.iter().filter(|op| op.wrote).copied().collect();
    writes.push(first);
    let write_of = |read: &Op| writes.iter().find(|write| write.value == read.value).copied();
    let reads: Vec<Op> = ops.iter().filter(|op| !op.wrote).copied().collect();
    for read in &reads {
        let Some(seen) = write_of(read) else {
            return Err(format!("a value that nobody wrote: {read:?}"));
        };
        if seen.start > read.end {
            return Err(format!("a value from the future: {read:?} saw {seen:?}"));
        }
        let newer = |write: &&Op| seen.end < write.start && write.end < read.start;
        if let Some(newer) = writes.iter().find(newer) {
            return Err(format!(
                "an old value: {read:?} saw {seen:?}, but {newer:?} came after it"
            ));
        }
    }
    // On one host, what was seen once is not unseen.
    for a in &reads {
        for b in reads.iter().filter(|b| a.host == b.host && a.end < b.start) {
            if let (Some(first), Some(then)) = (write_of(a), write_of(b))
                && then.end < first.start
            {
                return Err(format!("backwards: {a:?} saw {first:?}, then {b:?} saw {then:?}"));
            }
        }
    }
    Ok(())
}

/// Random numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let x = (self.0 >> 33) ^ self.0;
        (x.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize % below
    }
}

/// Where registers lie: in neighbouring words, across a chunk's end, and in other blocks. Not in one word:
/// of a word in which a host has stored and not yet pushed, a pull keeps all bytes.
const PLACES: [usize; 12] = [
    0,
    9,
    18,
    31,
    32,
    CHUNK - 1,
    CHUNK,
    20 * CHUNK + 5,
    20 * CHUNK + 8,
    40 * CHUNK,
    50 * CHUNK + 99,
    55 * CHUNK + 8,
];
const TOTAL: usize = 56 * CHUNK;

/// Runs `steps` random operations on each rank and returns what happened.
fn load(hosts: &[u32], delay: Duration, seed: u64, steps: usize, places: &[usize]) -> Vec<Op> {
    let job = Job::new(hosts, delay, seed);
    let (clock, history) = (AtomicU64::new(1), Mutex::new(Vec::new()));
    let last: Vec<AtomicU32> = places.iter().map(|_| AtomicU32::new(0)).collect();
    let now = || clock.fetch_add(1, Ordering::SeqCst);
    job.on_all(|rank| {
        let mut dice = Dice(seed * 1000 + rank as u64);
        for _ in 0..steps {
            let register = dice.next(places.len());
            let (at, wrote) = (places[register], dice.next(2) == 0);
            let value = if wrote { last[register].fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
            // No register is written more often than bytes have values.
            let Ok(mut value) = u8::try_from(value) else { continue };
            let start = now();
            let numbers = [TOTAL as i32, at as i32, 1, 0];
            match (wrote, dice.next(2)) {
                (true, 0) => drop(job.act(rank, Do::WriteAndPush, "v", numbers, &[value])),
                (true, _) => {
                    job.store(rank, "v", TOTAL, at, &[value]);
                    job.push(rank, "v");
                }
                (false, 0) => value = job.act(rank, Do::PullAndRead, "v", numbers, &[])[0],
                // The second look through the pointer comes after the pull.
                (false, _) => value = job.act(rank, Do::LoadPullLoad, "v", numbers, &[])[1],
            }
            let (end, host) = (now(), job.host(rank));
            history.lock().unwrap().push(Op { register, host, start, end, wrote, value });
        }
    });
    history.into_inner().unwrap()
}

fn holds(hosts: &'static [u32], delay_us: u64, steps: usize) {
    let seeds = std::env::var("MOBULA_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    for seed in 1..=seeds {
        let delay = Duration::from_micros(delay_us);
        let history = watchdog(move || load(hosts, delay, seed, steps, &PLACES));
        let (writes, reads): (Vec<&Op>, Vec<&Op>) = history.iter().partition(|op| op.wrote);
        assert!(writes.len() > steps / 4 && reads.len() > steps / 4, "something happened");
        let seen = reads.iter().filter(|read| read.value != 0).count();
        assert!(seen > reads.len() / 4, "most reads see a write");
        if let Err(why) = check(&history) {
            panic!("hosts {hosts:?}, delay {delay_us} µs, seed {seed}: {why}");
        }
    }
}

#[test]
fn histories_on_one_host() {
    holds(&[0, 0, 0], 200, 150);
}

#[test]
fn histories_on_two_hosts() {
    holds(&[0, 1], 0, 200);
    holds(&[0, 0, 1, 1], 500, 100);
}

#[test]
fn histories_on_three_hosts() {
    holds(&[0, 1, 2], 1000, 100);
    holds(&[0, 1, 2, 0, 1, 2], 300, 60);
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let op = |wrote, value, start, end| Op { register: 0, host: 0, start, end, wrote, value };
    let (write, read) = (|v, s, e| op(true, v, s, e), |v, s, e| op(false, v, s, e));
    let good = [write(1, 1, 2), read(1, 3, 6), write(2, 4, 8), read(1, 5, 7), read(2, 6, 7)];
    assert_eq!(check(&good), Ok(()));
    let says = |history: &[Op], what: &str| {
        let why = check(history).expect_err(what);
        assert!(why.contains(what), "{why}");
    };
    says(&[write(1, 1, 2), read(9, 3, 4)], "nobody wrote");
    says(&[read(1, 1, 2), write(1, 3, 4)], "future");
    says(&[write(1, 1, 2), read(0, 3, 4)], "old value");
    says(&[write(1, 1, 2), write(2, 3, 4), read(1, 5, 6)], "old value");
    says(&[write(1, 1, 2), write(2, 3, 9), read(2, 4, 5), read(1, 6, 7)], "backwards");
}
