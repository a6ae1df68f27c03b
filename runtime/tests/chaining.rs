//! Chaining, awaiting, ordering, deadlocks, depth.

mod common;

use common::{FIB, Guest, fan_out, threads};
use mobula_runtime::{Config, Outcome};

/// Main (0) chains entry 1 n times with inputs 0..n and adds up what they return; 1 returns its
/// input plus a global that it changes.
fn fan(n: u32) -> String {
    let main = fan_out(n);
    format!(
        r#"(memory 8) (global $g (mut i32) (i32.const 5))
        {main}
        (func (export "_faasm_func_1") (result i32)
          (drop (call $input (i32.const 16) (i32.const 4)))
          (global.set $g (i32.add (global.get $g) (i32.const 1)))
          (i32.store (i32.const 4096) (i32.add (i32.load (i32.const 4096)) (i32.const 1)))
          (i32.add (i32.load (i32.const 16)) (i32.add (global.get $g) (i32.load (i32.const 4096)))))"#
    )
}

#[test]
fn a_thousand_calls_each_start_from_the_snapshot() {
    for n in [1, 2, 3] {
        let guest = Guest::new(threads(n), &fan(1000));
        for _ in 0..20 {
            assert_eq!(guest.value(0), (0..1000).map(|i| i + 7).sum::<i32>());
        }
    }
}

#[test]
fn fibonacci_of_22_by_chained_calls() {
    for n in [1, 2] {
        let guest = Guest::new(threads(n), FIB);
        let finished = guest.call_with(0, &22u32.to_le_bytes());
        assert_eq!(finished.outcome, Outcome::Returned(17_711), "{n} threads");
        assert_eq!(guest.runtime.report().calls, 57_313);
        // Depth first: as many live as the recursion is deep, a few per thread, and idle ones.
        let live = guest.runtime.report().faaslets_live_most;
        assert!(live < 500, "{live} faaslets for a recursion 22 deep");
    }
}

#[test]
fn recursion_deeper_than_all_faaslets_is_refused_and_not_a_hang() {
    // Depth first on one thread: no more are alive than the recursion is deep.
    let config = Config { max_faaslets: 10, ..threads(1) };
    let guest = Guest::new(config, FIB);
    assert_eq!(
        guest.call_with(0, &7u32.to_le_bytes()).outcome,
        Outcome::Returned(13),
        "what fits in the limit works"
    );
    let guest = Guest::new(
        Config { max_faaslets: 5, ..threads(2) },
        r#"(memory 1)
        (func (export "_faasm_func_0") (result i32)
          (call $await (call $chain (i32.const 0) (i32.const 0) (i32.const 0))))"#,
    );
    let Outcome::Returned(code) = guest.call(0).outcome else { panic!("main itself goes on") };
    assert!(code < 0, "the deepest parent sees the refusal: {code}");
    assert!(guest.said.stderr().contains("all 5 live faaslets"), "{}", guest.said.stderr());
}

#[test]
fn a_fan_out_far_beyond_the_limit_queues_and_ends() {
    let guest = Guest::new(Config { max_faaslets: 3, ..threads(2) }, &fan(20_000));
    assert_eq!(guest.value(0), (0..20_000i32).map(|i| i + 7).fold(0, i32::wrapping_add));
    assert!(guest.runtime.report().faaslets_live_most <= 3);
}

#[test]
fn a_trap_in_one_of_a_thousand_fails_that_one() {
    let guest = Guest::new(
        threads(2),
        r#"(memory 8)
        (func (export "_faasm_func_0") (result i32) (local $i i32) (local $bad i32) (local $rc i32)
          (loop $l
            (i32.store (i32.const 0) (local.get $i))
            (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4)))
              (call $chain (i32.const 1) (i32.const 0) (i32.const 4)))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
          (local.set $i (i32.const 0))
          (loop $l
            (local.set $rc (call $await
              (i32.load (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4))))))
            (if (i32.ne (local.get $rc) (local.get $i)) (then
              (local.set $bad (i32.add (i32.const 1000000) (i32.add (local.get $bad) (local.get $i))))))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
          (local.get $bad))
        (func (export "_faasm_func_1") (result i32) (local $i i32)
          (drop (call $input (i32.const 16) (i32.const 4)))
          (local.set $i (i32.load (i32.const 16)))
          (if (i32.eq (local.get $i) (i32.const 517)) (then unreachable))
          (local.get $i))"#,
    );
    assert_eq!(guest.value(0), 1_000_517, "one call failed, and it is the right one");
    assert!(guest.said.stderr().contains("u/f[1] trapped: wasm trap: wasm `unreachable`"));
    assert_eq!(guest.runtime.report().failed_calls, 1);
}

#[test]
fn ids_of_others_unknown_ones_and_used_ones_trap() {
    let awaits = |body: &str| {
        Guest::new(
            threads(2),
            &format!(
                r#"(memory 1) (func (export "_faasm_func_0") (result i32) (local $id i32) {body})
                (func (export "_faasm_func_1") (result i32)
                  (drop (call $input (i32.const 0) (i32.const 4)))
                  (call $await (i32.load (i32.const 0))))
                (func (export "_faasm_func_2") (result i32) (i32.const 3))"#
            ),
        )
    };
    let never = awaits("(call $await (i32.const 12345))");
    assert!(never.failure(0).contains("12345 was not given to this call"));
    let twice = awaits(
        "(local.set $id (call $chain (i32.const 2) (i32.const 0) (i32.const 0)))
         (drop (call $await (local.get $id))) (call $await (local.get $id))",
    );
    assert!(twice.failure(0).contains("awaited before"));
    let others = awaits(
        "(i32.store (i32.const 0) (call $chain (i32.const 2) (i32.const 0) (i32.const 0)))
         (call $await (call $chain (i32.const 1) (i32.const 0) (i32.const 4)))",
    );
    assert!(others.value(0) < 0);
    assert!(others.said.stderr().contains("only the call that chained it can await it"));
    let index = awaits("(call $chain (i32.const 9) (i32.const 0) (i32.const 0))");
    assert!(index.failure(0).contains("u/f has no entry 9; it has entries 0, 1, 2"));
}

#[test]
fn calls_that_nobody_awaits_still_end_before_the_job() {
    let guest = Guest::new(
        threads(2),
        r#"(memory 1) (data (i32.const 8) "k\00")
        (func (export "_faasm_func_0") (result i32) (local $i i32)
          (loop $l
            (drop (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300))))
          (i32.const 0))
        (func (export "_faasm_func_1") (result i32)
          (drop (i32.atomic.rmw.add (call $window (i32.const 8) (i32.const 4)) (i32.const 1)))
          (i32.const 0))"#,
    );
    assert_eq!(guest.value(0), 0);
    let value = guest.runtime.state().user("u").known(b"k").unwrap();
    assert_eq!(value.bytes().read_vec(0, 4).unwrap(), 300u32.to_le_bytes());
}

/// Main locks, then awaits a child that needs the lock: the child's wait cannot end.
const PARENT_HOLDS: &str = r#"(memory 1) (data (i32.const 8) "k\00")
    (func (export "_faasm_func_0") (result i32)
      (call $lock (i32.const 8))
      (call $await (call $chain (i32.const 1) (i32.const 0) (i32.const 0))))
    (func (export "_faasm_func_1") (result i32)
      (call $await (call $chain (i32.const 2) (i32.const 0) (i32.const 0))))
    (func (export "_faasm_func_2") (result i32)
      (call $lock (i32.const 8)) (i32.const 1))
    (func (export "_faasm_func_3") (result i32)
      (call $lock (i32.const 8)) (call $lock (i32.const 8)) (i32.const 1))"#;

#[test]
fn a_parent_that_awaits_children_that_need_its_lock_is_told() {
    for n in [1, 2] {
        let guest = Guest::new(threads(n), PARENT_HOLDS);
        for _ in 0..50 {
            assert!(guest.value(0) < 0, "the grandchild's failure travels");
        }
        assert!(guest.said.stderr().contains("deadlock: the write lock on key \"k\""));
        assert!(guest.failure(3).contains("already holds a write lock"));
    }
}

#[test]
fn stores_before_a_chain_and_before_an_end_are_seen() {
    let guest = Guest::new(
        threads(3),
        r#"(memory 1) (data (i32.const 8) "k\00")
        (func (export "_faasm_func_0") (result i32) (local $i i32) (local $w i32)
          (local.set $w (call $window (i32.const 8) (i32.const 8)))
          (loop $l
            (i32.store (local.get $w) (local.get $i))
            (if (i32.ne (call $await (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))
                        (local.get $i)) (then (return (i32.const -1))))
            (if (i32.ne (i32.load offset=4 (local.get $w)) (i32.mul (local.get $i) (i32.const 3)))
              (then (return (i32.const -2))))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3000))))
          (i32.const 0))
        (func (export "_faasm_func_1") (result i32) (local $w i32)
          (local.set $w (call $window (i32.const 8) (i32.const 8)))
          (i32.store offset=4 (local.get $w) (i32.mul (i32.load (local.get $w)) (i32.const 3)))
          (i32.load (local.get $w)))"#,
    );
    assert_eq!(guest.value(0), 0);
}

#[test]
fn the_interpreters_way_out_is_not_for_other_modules() {
    let module = r#"(module
        (import "host" "call" (func $door (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "host_alloc") (param i32) (result i32)
            (drop (call $door (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 12)))
            (i32.const 64))
        (func (export "_faasm_func_0") (result i32) (call $door
            (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 12))))"#;
    let stdio = std::sync::Arc::new(mobula_runtime::ProcessStdio);
    let runtime = mobula_runtime::Runtime::new(common::threads(1), stdio).unwrap();
    let refused = runtime.register("u", "f", &wat::parse_str(module).unwrap()).unwrap_err();
    assert_eq!(refused.to_string(), "the module imports functions that Mobula lacks: host.call");
}
