//! Calls across ranks: many ranks in one process, on one host and on several, with a network that
//! delays and reorders.

mod common;

use std::time::Duration;

use common::{FIB, Ranks, fan_out, threads};
use mobula_runtime::fabric::Trouble;
use mobula_runtime::{Config, Outcome};

const LAYOUTS: [&[u32]; 6] =
    [&[0, 0], &[0, 1], &[0, 0, 1, 1], &[0, 1, 0, 1], &[0, 1, 2], &[0, 0, 0, 0, 0, 0, 0, 0]];

/// Main (0) chains entry 1 `n` times, each with its number, and adds up what they return; entry 1
/// computes for a while.
fn fan(n: u32, work: u32) -> String {
    let main = fan_out(n);
    format!(
        r#"(memory 8)
        {main}
        (func (export "_faasm_func_1") (result i32) (local $i i32)
          (drop (call $input (i32.const 16) (i32.const 4)))
          (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {work}))))
          (i32.store (i32.const 4096) (i32.add (i32.load (i32.const 4096)) (i32.const 1)))
          (i32.add (i32.load (i32.const 16)) (i32.load (i32.const 4096))))"#
    )
}

#[test]
fn a_fan_out_reaches_every_rank_and_every_result_comes_back() {
    for hosts in LAYOUTS {
        let ranks = Ranks::new(hosts, || threads(1), &fan(2000, 50_000));
        // On a busy machine a rank may sleep through some of them.
        let mut fan_outs = 0;
        let report = loop {
            assert_eq!(ranks.first.value(0), (0..2000).map(|i| i + 1).sum::<i32>(), "{hosts:?}");
            fan_outs += 1;
            let report = ranks.first.runtime.report();
            let all = report.calls_by_rank.iter().all(|&n| n > 10);
            if fan_outs >= 3 && (all || fan_outs == 30) {
                assert!(all, "{:?}", report.calls_by_rank);
                break report;
            }
        };
        assert_eq!((report.calls, report.ranks as usize), (2001 * fan_outs, hosts.len()));
        ranks.end();
    }
}

/// Main chains entry 1 twice and awaits both, a hundred times over; entry 1 computes for about a millisecond.
const PAIRS: &str = r#"(memory 1)
    (func (export "_faasm_func_0") (result i32) (local $i i32) (local $a i32) (local $b i32) (local $s i32)
      (loop $l
        (local.set $a (call $chain (i32.const 1) (i32.const 0) (i32.const 4)))
        (local.set $b (call $chain (i32.const 1) (i32.const 0) (i32.const 4)))
        (local.set $s (i32.add (local.get $s) (i32.add (call $await (local.get $a)) (call $await (local.get $b)))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
      (local.get $s))
    (func (export "_faasm_func_1") (result i32) (local $i i32)
      (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1500000))))
      (i32.const 1))"#;

/// A parent that goes on because a result came from elsewhere shares its next calls out as one that goes on
/// because a call ended here: of two calls an iteration, each rank gets about one.
#[test]
fn small_fan_outs_in_a_row_are_shared_out_each_time() {
    let ranks = Ranks::new(&[0, 1], || threads(1), PAIRS);
    // Every other iteration alone would give it 50. A busy machine keeps some from it, but not always.
    let (mut shares, mut before) = (Vec::new(), 0);
    while shares.len() < 10 && shares.last().is_none_or(|&share| share <= 65) {
        assert_eq!(ranks.first.value(0), 200);
        let all = ranks.first.runtime.report().calls_by_rank[1];
        shares.push(all - std::mem::replace(&mut before, all));
    }
    assert!(shares.last() > Some(&65), "of 200 each time: {shares:?}");
    ranks.end();
}

#[test]
fn frames_that_overtake_each_other_change_nothing() {
    for seed in 0..4 {
        let ranks = Ranks::new(&[0, 1, 1, 2], || threads(1), &fan(1000, 5000));
        ranks.fabric.trouble(Trouble { delay: Duration::from_millis(3), seed, cut: Vec::new() });
        assert_eq!(ranks.first.value(0), (0..1000).map(|i| i + 1).sum::<i32>());
        ranks.end();
    }
}

#[test]
fn nested_chains_spread_and_come_together() {
    for hosts in LAYOUTS {
        let ranks = Ranks::new(hosts, || threads(1), FIB);
        let finished = ranks.first.call_with(0, &20u32.to_le_bytes());
        assert_eq!(finished.outcome, Outcome::Returned(6765), "{hosts:?}");
        assert_eq!(ranks.first.runtime.report().calls, 21_891);
        ranks.end();
    }
}

#[test]
fn sixty_four_ranks_on_two_cores() {
    let hosts: Vec<u32> = (0..64).map(|rank| rank / 8).collect();
    let ranks = Ranks::new(&hosts, || threads(1), &fan(5000, 20_000));
    assert_eq!(ranks.first.value(0), (0..5000).map(|i| i + 1).sum::<i32>());
    ranks.end();
}

/// Entry 1 traps for every third number and loops for ever for 4; others return it. Main counts codes
/// that are not 0 to 99; it does not await 4, which runs out of time when main does.
const FAILING: &str = r#"(memory 1)
    (func (export "_faasm_func_0") (result i32) (local $i i32) (local $s i32)
      (loop $l
        (i32.store (i32.const 0) (local.get $i))
        (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4)))
          (call $chain (i32.const 1) (i32.const 0) (i32.const 4)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 99))))
      (local.set $i (i32.const 0))
      (loop $l
        (if (i32.ne (local.get $i) (i32.const 4))
          (then (local.set $s (i32.add (local.get $s) (i32.ge_u
            (call $await (i32.load (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4)))))
            (i32.const 100))))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 99))))
      (local.get $s))
    (func (export "_faasm_func_1") (result i32) (local $n i32)
      (drop (call $input (i32.const 16) (i32.const 4)))
      (local.set $n (i32.load (i32.const 16)))
      (if (i32.eq (local.get $n) (i32.const 4)) (then (loop $l (br $l))))
      (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 3))) (then (unreachable)))
      (local.get $n))"#;

#[test]
fn traps_and_time_outs_travel_and_hurt_nobody_else() {
    // One thread may be taken by the call that loops, another one is left for main.
    // Long enough for all other calls on a busy machine.
    let config = || Config { timeout: Some(Duration::from_secs(4)), ..threads(2) };
    let ranks = Ranks::new(&[0, 0, 1], config, FAILING);
    assert_eq!(ranks.first.value(0), 33);
    let said = ranks.first.said.stderr();
    assert_eq!(said.matches("trapped").count(), 33, "{said}");
    assert_eq!(said.matches("timed out").count(), 1, "{said}");
    ranks.end();
}

#[test]
fn calls_that_nobody_awaits_run_before_the_job_ends() {
    // Main chains `g` by name and never awaits; `g` chains itself until its number is 0, not awaited
    // either.
    let main = r#"(import "env" "__faasm_chain_function" (func $named (param i32 i32 i32) (result i32)))
        (memory 1) (data (i32.const 64) "g\00")
        (func (export "_faasm_func_0") (result i32) (local $i i32)
          (loop $l
            (i32.store (i32.const 0) (i32.const 20))
            (drop (call $named (i32.const 64) (i32.const 0) (i32.const 4)))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50))))
          (i32.const 7))"#;
    let down = r#"(memory 1)
        (func (export "_faasm_func_0") (result i32) (local $n i32)
          (drop (call $input (i32.const 0) (i32.const 4)))
          (if (i32.eqz (local.tee $n (i32.load (i32.const 0)))) (then (return (i32.const 0))))
          (i32.store (i32.const 0) (i32.sub (local.get $n) (i32.const 1)))
          (drop (call $chain (i32.const 0) (i32.const 0) (i32.const 4)))
          (i32.const 0))"#;
    for hosts in LAYOUTS {
        let ranks = Ranks::new(hosts, || threads(1), main);
        ranks.first.register("u", "g", down);
        assert_eq!(ranks.first.value(0), 7);
        assert_eq!(ranks.first.runtime.report().calls, 1 + 50 * 21, "{hosts:?}");
        ranks.end();
    }
}

#[test]
fn a_rank_of_another_version_or_with_other_arguments_is_refused() {
    let other = |change: fn(&mut Config)| {
        let mut ends = mobula_runtime::fabric::Local::ranks(&[0, 1]).into_iter();
        let (first, second) = (ends.next().unwrap(), ends.next().unwrap());
        let said = std::sync::Arc::new(common::Remember::default());
        let mut config = threads(1);
        change(&mut config);
        let theirs = said.clone();
        let second = std::thread::spawn(move || {
            mobula_runtime::Runtime::join(config, theirs, second).unwrap().serve()
        });
        let runtime = mobula_runtime::Runtime::join(threads(1), said, first).unwrap();
        let refused = runtime.assemble().expect_err("they differ").to_string();
        assert_eq!(second.join().unwrap().expect_err("they differ").to_string(), refused);
        refused
    };
    let version = other(|config| config.version = "0.0.0-other".into());
    assert!(version.contains("rank 1 (host local1) is \"0.0.0-other\", but"), "{version}");
    let launch = other(|config| config.launch = "run b.wasm".into());
    assert!(launch.contains("rank 1 (host local1) runs \"run b.wasm\", but rank 0"), "{launch}");
}

#[test]
fn a_rank_that_never_comes_is_named() {
    let end = mobula_runtime::fabric::Local::ranks(&[0, 1]).remove(0);
    let said = std::sync::Arc::new(common::Remember::default());
    let config = Config { peer_timeout: Duration::from_millis(200), ..threads(1) };
    let runtime = mobula_runtime::Runtime::join(config, said, end).unwrap();
    let missing = runtime.assemble().expect_err("nobody came").to_string();
    assert!(missing.contains("no word from rank 1 (host local1) within 0.2 s"), "{missing}");
}

#[test]
fn a_chain_deeper_than_all_faaslets_of_the_job_is_refused_and_not_a_hang() {
    // Every call chains one and awaits it: 60 deep, with room for 8 on each of two ranks.
    let deep = r#"(memory 1)
        (func (export "_faasm_func_0") (result i32) (local $n i32)
          (drop (call $input (i32.const 0) (i32.const 4)))
          (if (i32.eqz (local.tee $n (i32.load (i32.const 0)))) (then (return (i32.const 1))))
          (i32.store (i32.const 0) (i32.sub (local.get $n) (i32.const 1)))
          (call $await (call $chain (i32.const 0) (i32.const 0) (i32.const 4)))
          )"#;
    let ranks = Ranks::new(&[0, 1], || Config { max_faaslets: 8, ..threads(1) }, deep);
    assert_eq!(ranks.first.call_with(0, &6u32.to_le_bytes()).outcome, Outcome::Returned(1));
    let refused = ranks.first.call_with(0, &60u32.to_le_bytes()).outcome;
    assert_eq!(refused, Outcome::Returned(mobula_guest::abi::RC_REFUSED));
    assert!(ranks.first.said.stderr().contains("all 8 live faaslets wait for calls"));
    ranks.end();
}
