//! Parallel loops, functions by address, placement, waiting for the first of many.

mod common;

use common::{Guest, threads};
use mobula_runtime::{Config, Outcome};

const IMPORTS: &str = r#"
(import "env" "__faasm_chain_ptr" (func $chain_ptr (param i32 i32 i32) (result i32)))
(import "env" "__mobula_chain_range"
    (func $chain_range (param i32 i64 i64 i64 i32 i32) (result i32)))
(import "env" "__mobula_get_range" (func $range (param i32 i32) (result i32)))
(import "env" "__mobula_chain_at" (func $chain_at (param i32 i64 i32 i32 i32) (result i32)))
(import "env" "__mobula_await_any" (func $await_any (param i32 i32) (result i32)))
(import "env" "__faasm_get_idx" (func $idx (result i32)))
"#;

/// Entry 0 runs `main`; entry 1 adds its range's indices and their number to the window "s".
fn looping(main: &str) -> String {
    format!(
        r#"{IMPORTS} (memory 1) (data (i32.const 0) "s\00")
        (func (export "_faasm_func_0") (result i32) (local $id i32) (local $w i32) {main})
        (func (export "_faasm_func_1") (result i32) (local $i i64) (local $w i32)
          (if (i32.ne (call $range (i32.const 64) (i32.const 72)) (i32.const 1)) (then unreachable))
          (local.set $w (call $window (i32.const 0) (i32.const 24)))
          (local.set $i (i64.load (i32.const 64)))
          (loop $l
            (drop (i64.atomic.rmw.add (local.get $w) (local.get $i)))
            (drop (i64.atomic.rmw.add offset=8 (local.get $w) (i64.const 1)))
            (br_if $l (i64.lt_s
              (local.tee $i (i64.add (local.get $i) (i64.const 1))) (i64.load (i32.const 72)))))
          (drop (i64.atomic.rmw.add offset=16 (local.get $w) (i64.const 1)))
          (call $input (i32.const 128) (i32.const 4)))"#
    )
}

/// Sum, count and number of calls that a loop left in the window.
fn left(guest: &Guest) -> [i64; 3] {
    let bytes = guest.state("s");
    let word = |at: usize| i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    [word(0), word(8), word(16)]
}

fn range(lo: i64, hi: i64, grain: i64) -> String {
    format!(
        "(call $await (call $chain_range (i32.const 1) (i64.const {lo}) (i64.const {hi})
            (i64.const {grain}) (i32.const 0) (i32.const 0)))"
    )
}

#[test]
fn a_loop_covers_its_range_once_whatever_its_size() {
    for (lo, hi, grain) in
        [(0i64, 1000i64, 1i64), (-7, 5, 1), (3, 4, 1), (0, 10, 100), (5, 105, 30), (0, 17, 2)]
    {
        let guest = Guest::new(threads(2), &looping(&range(lo, hi, grain)));
        assert_eq!(guest.value(0), 0);
        let [sum, count, calls] = left(&guest);
        assert_eq!((sum, count), ((lo..hi).sum(), hi - lo), "{lo}..{hi} by {grain}");
        assert!(
            calls <= ((hi - lo) / grain).clamp(1, 8),
            "{calls} calls for {lo}..{hi} by {grain}"
        );
    }
}

#[test]
fn an_empty_loop_is_over_at_once() {
    let guest = Guest::new(threads(1), &looping(&range(4, 4, 1)));
    assert_eq!(guest.value(0), 0);
    assert_eq!(guest.runtime.report().calls, 1);
}

#[test]
fn the_first_result_that_is_not_zero_is_the_loops() {
    // Every call returns the number of input bytes it got.
    let body = looping(
        "(call $await (call $chain_range (i32.const 1) (i64.const 0) (i64.const 9) (i64.const 1)
            (i32.const 0) (i32.const 2)))",
    );
    assert_eq!(Guest::new(threads(2), &body).value(0), 2);
}

#[test]
fn wrong_ranges_and_outputs_of_loops_are_refused() {
    for (lo, hi, grain) in [(5, 4, 1), (0, 1, 0), (0, 1, -1), (i64::MAX, i64::MIN, 1)] {
        let why = Guest::new(threads(1), &looping(&range(lo, hi, grain))).failure(0);
        assert!(why.contains("mobula_chain_range") && why.contains("grain"), "{why}");
    }
    let body = looping(
        "(call $await_output (call $chain_range (i32.const 1) (i64.const 0) (i64.const 2)
            (i64.const 1) (i32.const 0) (i32.const 0)) (i32.const 0) (i32.const 4))",
    );
    let why = Guest::new(threads(1), &body).failure(0);
    assert!(why.contains("parallel loop") && why.contains("faasmAwaitCall"), "{why}");
    let why = Guest::new(
        threads(1),
        &looping(
            "(drop (call $chain_range (i32.const 9) (i64.const 0) (i64.const 2) (i64.const 1)
            (i32.const 0) (i32.const 0))) (i32.const 0)",
        ),
    )
    .failure(0);
    assert!(why.contains("no entry 9"), "{why}");
}

#[test]
fn a_loop_that_is_never_awaited_still_runs_to_its_end() {
    let main = "(drop (call $chain_range (i32.const 1) (i64.const 0) (i64.const 100) (i64.const 1)
        (i32.const 0) (i32.const 0))) (i32.const 0)";
    let guest = Guest::new(threads(2), &looping(main));
    assert_eq!(guest.value(0), 0);
    assert_eq!(left(&guest)[1], 100);
}

#[test]
fn a_range_is_its_own_calls_only() {
    let body = format!(
        r#"{IMPORTS} (memory 1)
        (func (export "_faasm_func_0") (result i32)
          (i64.store (i32.const 64) (i64.const 5)) (i64.store (i32.const 72) (i64.const 5))
          (if (call $range (i32.const 64) (i32.const 72)) (then unreachable))
          (i32.wrap_i64 (i64.or (i64.load (i32.const 64)) (i64.load (i32.const 72)))))
        (func (export "_faasm_func_1") (result i32) (call $range (i32.const 0) (i32.const 65529)))
        (func (export "_faasm_func_2") (result i32) (call $range (i32.const -1) (i32.const 0)))"#
    );
    let guest = Guest::new(threads(1), &body);
    assert_eq!(guest.value(0), 0);
    for entry in [1, 2] {
        let why = guest.failure(entry);
        assert!(why.contains("mobula_get_range") && why.contains("outside the memory"), "{why}");
    }
}

/// Table with functions of a good and a wrong type; entry 0 chains the address in its input.
fn pointers(export: &str) -> String {
    format!(
        r#"{IMPORTS} (memory 1) (table 4 funcref) (elem (i32.const 1) $good $wrong)
        (type $plain (func (result i32)))
        (global $g (mut i32) (i32.const 3))
        (func $good (result i32)
          (global.set $g (i32.add (global.get $g) (i32.const 1)))
          (i32.add (i32.mul (global.get $g) (i32.const 10)) (call $idx)))
        (func $wrong (param i32))
        (func (export "{export}") (param i32) (result i32)
          (call_indirect (type $plain) (local.get 0)))
        (func (export "_faasm_func_0") (result i32)
          (drop (call $input (i32.const 0) (i32.const 4)))
          (drop (call $await (call $chain_ptr (i32.load (i32.const 0)) (i32.const 0) (i32.const 0))))
          (call $await (call $chain_ptr (i32.load (i32.const 0)) (i32.const 0) (i32.const 0))))"#
    )
}

#[test]
fn a_function_is_chained_by_its_address_in_a_fresh_memory() {
    let guest = Guest::new(threads(1), &pointers("__mobula_call_pointer"));
    assert_eq!(guest.value_with(0, &1u32.to_le_bytes()), 40);
    // No function, one of another type, past the table: that call traps, its parent gets a code.
    for address in [0u32, 2, 3, 4, u32::MAX] {
        assert_eq!(guest.value_with(0, &address.to_le_bytes()), -101, "{address}");
    }
    assert_eq!(guest.value_with(0, &1u32.to_le_bytes()), 40);
    let why = Guest::new(threads(1), &pointers("other")).failure(0);
    assert!(why.contains("__mobula_call_pointer") && why.contains("core.h"), "{why}");
}

#[test]
fn a_place_is_a_hint_but_is_checked() {
    let at = |key: &str, offset: i64| {
        format!(
            r#"{IMPORTS} (memory 1) (data (i32.const 0) "{key}\00")
            (func (export "_faasm_func_0") (result i32)
              (call $await (call $chain_at (i32.const 0) (i64.const {offset}) (i32.const 1)
                (i32.const 0) (i32.const 3))))
            (func (export "_faasm_func_1") (result i32) (call $input (i32.const 0) (i32.const 0)))"#
        )
    };
    let run = |key: &str, offset| {
        let guest = Guest::new(threads(1), &at(key, offset));
        guest.set_state("k", &[0; 10]);
        guest.call(0).outcome
    };
    assert_eq!(run("k", 9), Outcome::Returned(3));
    assert_eq!(run("new", 1 << 40), Outcome::Returned(3));
    for (key, offset, part) in
        [("k", 10, "10 bytes"), ("k", -1, "-1"), ("new", -1, "-1"), ("", 0, "1 to 255")]
    {
        let outcome = run(key, offset);
        let why = outcome.failure().expect("it is refused");
        assert!(why.contains("mobula_chain_at") && why.contains(part), "{why}");
    }
}

/// Entry 1 waits for the lock that main holds, entry 2 returns its input at once, entry 3 traps, entry
/// 4 never ends.
const FIRST: &str = r#"(memory 1) (data (i32.const 0) "l\00")
    (func (export "_faasm_func_1") (result i32) (call $lock (i32.const 0)) (i32.const 1))
    (func (export "_faasm_func_2") (result i32)
      (drop (call $input (i32.const 64) (i32.const 4))) (i32.load (i32.const 64)))
    (func (export "_faasm_func_3") (result i32) unreachable)
    (func (export "_faasm_func_4") (result i32) (loop $l (br $l)) (i32.const 0))"#;

fn any(main: &str) -> String {
    format!(
        r#"{IMPORTS} {FIRST}
        (func $start (param $entry i32) (param $in i32) (param $to i32)
          (i32.store (i32.const 96) (local.get $in))
          (i32.store (local.get $to) (call $chain (local.get $entry) (i32.const 96) (i32.const 4))))
        (func (export "_faasm_func_0") (result i32)
          (local $id i32) (local $at i32) (local $i i32) (local $sum i32) {main})"#
    )
}

#[test]
fn the_first_to_end_is_named_and_still_to_be_awaited() {
    for n in [1, 2] {
        // Many that end, taken one by one: every result comes exactly once.
        let guest = Guest::new(
            threads(n),
            &any("(loop $l
              (call $start (i32.const 2) (local.get $i)
                (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4))))
              (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const 100))))
            (local.set $i (i32.const 0))
            (loop $l
              (local.set $id (call $await_any (i32.const 1024) (i32.const 100)))
              (local.set $sum (i32.add (local.get $sum) (call $await (local.get $id))))
              (local.set $at (i32.const 1024))
              (loop $find
                (if (i32.ne (i32.load (local.get $at)) (local.get $id)) (then
                  (local.set $at (i32.add (local.get $at) (i32.const 4))) (br $find))))
              (i32.store (local.get $at) (i32.const 0))
              (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const 100))))
            (local.get $sum)"),
        );
        assert_eq!(guest.value(0), 4950, "{n} threads");
    }
}

#[test]
fn the_end_of_the_last_one_is_never_missed() {
    // The only call left may end at any moment of the wait for it.
    let guest = Guest::new(
        threads(2),
        &any("(loop $l
              (call $start (i32.const 2) (i32.const 7) (i32.const 1024))
              (call $start (i32.const 2) (i32.const 7) (i32.const 1028))
              (local.set $id (call $await_any (i32.const 1024) (i32.const 2)))
              (local.set $sum (i32.add (local.get $sum) (call $await (local.get $id))))
              (i32.store (select (i32.const 1024) (i32.const 1028)
                (i32.eq (local.get $id) (i32.load (i32.const 1024)))) (i32.const 0))
              (local.set $id (call $await_any (i32.const 1024) (i32.const 2)))
              (local.set $sum (i32.add (local.get $sum) (call $await (local.get $id))))
              (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const 50000))))
            (local.get $sum)"),
    );
    for _ in 0..4 {
        assert_eq!(guest.value(0), 2 * 7 * 50_000);
    }
}

#[test]
fn one_that_fails_is_among_the_first() {
    let guest = Guest::new(
        threads(1),
        &any("(call $start (i32.const 3) (i32.const 0) (i32.const 1024))
         (local.set $id (call $await_any (i32.const 1020) (i32.const 2)))
         (call $await (local.get $id))"),
    );
    assert_eq!(guest.value(0), -101);
}

#[test]
fn waiting_for_any_with_a_lock_they_need_is_told_and_does_not_hang() {
    for n in [1, 2] {
        let guest = Guest::new(
            threads(n),
            &any("(call $lock (i32.const 0))
             (call $start (i32.const 1) (i32.const 0) (i32.const 1024))
             (call $start (i32.const 1) (i32.const 0) (i32.const 1028))
             (call $await (call $await_any (i32.const 1024) (i32.const 2)))"),
        );
        assert_eq!(guest.value(0), -101, "{n} threads");
        assert!(guest.said.stderr().contains("deadlock"), "{}", guest.said.stderr());
    }
}

#[test]
fn wrong_lists_are_refused() {
    for (main, part) in [
        ("(call $await_any (i32.const 1024) (i32.const 4))", "none of the 4 ids"),
        ("(call $await_any (i32.const 1024) (i32.const 0))", "none of the 0 ids"),
        ("(call $await_any (i32.const 1024) (i32.const -1))", "negative"),
        ("(call $await_any (i32.const 65532) (i32.const 2))", "outside the memory"),
        ("(call $await_any (i32.const 1024) (i32.const 1073741824))", "outside the memory"),
        (
            "(i32.store (i32.const 1024) (i32.const 77))
             (call $await_any (i32.const 1024) (i32.const 1))",
            "not given to this call",
        ),
        (
            "(call $start (i32.const 2) (i32.const 0) (i32.const 1024))
             (drop (call $await (i32.load (i32.const 1024))))
             (call $await_any (i32.const 1024) (i32.const 1))",
            "awaited before",
        ),
    ] {
        let why = Guest::new(threads(1), &any(main)).failure(0);
        assert!(why.contains("mobula_await_any") && why.contains(part), "{main}: {why}");
    }
}

#[test]
fn a_time_out_ends_waiting_for_any() {
    let timeout = Some(std::time::Duration::from_millis(50));
    let guest = Guest::new(
        Config { timeout, ..threads(1) },
        &any("(call $start (i32.const 4) (i32.const 0) (i32.const 1024))
              (call $await_any (i32.const 1024) (i32.const 1))"),
    );
    // Main and its child run out of time together; whoever is first, the call ends.
    assert!(matches!(guest.call(0).outcome, Outcome::TimedOut(_) | Outcome::Returned(_)));
    assert!(guest.said.stderr().contains("timed out"));
}
