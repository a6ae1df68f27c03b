//! Values made, merged and removed; windows given back.

mod common;

use common::{Guest, threads};

const IMPORTS: &str = r#"
(import "env" "__mobula_push_merge" (func $push_merge (param i32 i32 i32)))
(import "env" "__mobula_merge_state"
    (func $merge (param i32 i32 i32 i32 i32 i32 i32)))
(import "env" "__mobula_state_create" (func $create (param i32 i32)))
(import "env" "__mobula_state_delete" (func $delete (param i32)))
(import "env" "__mobula_unmap" (func $unmap (param i32)))
"#;

/// Keys "k" at 0, "m" at 4; entry 0 runs `main`, entry 1 `other`.
fn guest_on(n: usize, main: &str, other: &str) -> Guest {
    let body = format!(
        r#"{IMPORTS} (memory 2) (data (i32.const 0) "k\00\00\00m\00")
        (func (export "_faasm_func_0") (result i32) (local $w i32) (local $v i32) (local $i i32)
          {main})
        (func (export "_faasm_func_1") (result i32) (local $w i32) (local $i i32) {other})"#
    );
    Guest::new(threads(n), &body)
}

fn guest(main: &str) -> Guest {
    guest_on(1, main, "(i32.const 0)")
}

#[track_caller]
fn refuses(main: &str, parts: &[&str]) {
    let guest = guest(main);
    guest.set_state("k", &[1; 24]);
    let why = guest.failure(0);
    assert!(parts.iter().all(|part| why.contains(part)), "{main}\nsays {why:?}, not {parts:?}");
    assert_eq!(guest.state("k"), [1; 24], "nothing changed");
}

/// `$merge` of `len` bytes at 64 into "k" of 24 bytes at `off`.
fn merge(off: i32, data: i32, len: i32, element: i32, op: i32) -> String {
    format!(
        "(call $merge (i32.const 0) (i32.const 24) (i32.const {off}) (i32.const {data})
            (i32.const {len}) (i32.const {element}) (i32.const {op}))"
    )
}

#[test]
fn concurrent_merges_lose_nothing() {
    // 64 calls each add 1, 2, … 1024 (as f64) to the elements of "k".
    let main = "(loop $l
        (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4)))
          (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
      (local.set $i (i32.const 0))
      (loop $l
        (drop (call $await (i32.load
          (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4))))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
      (call $push_merge (i32.const 0) (i32.const 3) (i32.const 0))
      (i32.const 0)";
    let worker = "(loop $l
        (f64.store (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 8)))
          (f64.convert_i32_u (i32.add (local.get $i) (i32.const 1))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
      (call $merge (i32.const 0) (i32.const 8192) (i32.const 0) (i32.const 65536) (i32.const 8192)
        (i32.const 3) (i32.const 0))
      (i32.const 0)";
    for n in [1, 2] {
        let guest = guest_on(n, main, worker);
        assert_eq!(guest.value(0), 0);
        let bytes = guest.state("k");
        let sums: Vec<f64> =
            bytes.chunks(8).map(|word| f64::from_le_bytes(word.try_into().unwrap())).collect();
        let expected: Vec<f64> = (1..=1024).map(|i| 64.0 * f64::from(i)).collect();
        assert_eq!(sums, expected, "{n} threads");
        assert_eq!(guest.runtime.report().pushed_chunks, 1, "merging marks what it changed");
    }
}

#[test]
fn minimum_and_maximum_at_an_offset() {
    let main = format!(
        "(i32.store (i32.const 64) (i32.const -5)) (i32.store (i32.const 68) (i32.const 9))
         {} {} (i32.const 0)",
        merge(4, 64, 8, 0, 1),
        merge(16, 64, 8, 0, 2)
    );
    let guest = guest(&main);
    guest.set_state("k", &[0; 24]);
    assert_eq!(guest.value(0), 0);
    let bytes = guest.state("k");
    let words: Vec<i32> =
        bytes.chunks(4).map(|word| i32::from_le_bytes(word.try_into().unwrap())).collect();
    assert_eq!(words, [0, -5, 0, 0, 0, 9]);
}

#[test]
fn wrong_merges_are_refused_and_change_nothing() {
    let done = "(i32.const 0)";
    for (merge, parts) in [
        (merge(4, 64, 8, 1, 0), ["offset 4", "multiples of 8"]),
        (merge(0, 64, 6, 2, 0), ["length 6", "multiples of 4"]),
        (merge(16, 64, 16, 1, 0), ["24 bytes", "outside"]),
        (merge(-8, 64, 8, 1, 0), ["offset -8", "outside"]),
        (merge(0, 64, -8, 1, 0), ["length -8", "outside"]),
        (merge(0, 131_065, 8, 1, 0), ["mobula_merge_state", "outside the memory"]),
        (merge(0, -8, 8, 1, 0), ["mobula_merge_state", "outside the memory"]),
        (merge(0, 64, 8, 4, 0), ["type 4", "mobula.h"]),
        (merge(0, 64, 8, 1, 3), ["operation 3", "mobula.h"]),
    ] {
        refuses(&format!("{merge} {done}"), &parts);
    }
    refuses(
        "(call $push_merge (i32.const 0) (i32.const 9) (i32.const 0)) (i32.const 0)",
        &["mobula_push_merge", "type 9"],
    );
    refuses(
        "(call $push_merge (i32.const 4) (i32.const 0) (i32.const 0)) (i32.const 0)",
        &["no value yet"],
    );
    let odd = guest("(call $push_merge (i32.const 4) (i32.const 1) (i32.const 0)) (i32.const 0)");
    odd.set_state("m", &[0; 12]);
    assert!(odd.failure(0).contains("multiples of 8"));
}

#[test]
fn values_are_made_of_zeros_and_removed() {
    let guest = guest(
        "(call $create (i32.const 4) (i32.const 8))
         (call $create (i32.const 4) (i32.const 8))
         (if (i32.ne (call $read (i32.const 4) (i32.const 0) (i32.const 0)) (i32.const 8))
           (then unreachable))
         (call $write (i32.const 4) (i32.const 0) (i32.const 8))
         (call $delete (i32.const 4))
         (call $delete (i32.const 4))
         (if (call $read (i32.const 4) (i32.const 0) (i32.const 0)) (then unreachable))
         (call $create (i32.const 4) (i32.const 100))
         (call $read (i32.const 4) (i32.const 64) (i32.const 4))",
    );
    assert_eq!(guest.value(0), 4);
    assert_eq!(guest.state("m"), [0; 100], "the new value has nothing of the old one");
    refuses("(call $create (i32.const 0) (i32.const 8)) (i32.const 0)", &["24 bytes, not 8"]);
    refuses("(call $create (i32.const 4) (i32.const -1)) (i32.const 0)", &["negative"]);
    refuses("(call $create (i32.const 8) (i32.const 1)) (i32.const 0)", &["1 to 255 bytes"]);
    refuses("(call $delete (i32.const 8)) (i32.const 0)", &["1 to 255 bytes"]);
}

#[test]
fn a_value_with_a_window_on_it_cannot_be_removed() {
    refuses(
        "(drop (call $window (i32.const 0) (i32.const 24)))
         (call $delete (i32.const 0)) (i32.const 0)",
        &["mobula_state_delete", "window"],
    );
    // A window of another call: the parent's.
    let guest = guest_on(
        1,
        "(drop (call $window (i32.const 0) (i32.const 24)))
         (call $await (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))",
        "(call $delete (i32.const 0)) (i32.const 0)",
    );
    assert_eq!(guest.value(0), -101);
    // Given back, or its call ended: it can.
    let guest = guest_on(
        1,
        "(drop (call $await (call $chain (i32.const 1) (i32.const 0) (i32.const 0))))
         (local.set $w (call $window (i32.const 0) (i32.const 24)))
         (call $unmap (i32.add (local.get $w) (i32.const 3)))
         (call $delete (i32.const 0)) (i32.const 0)",
        "(drop (call $window (i32.const 0) (i32.const 24))) (i32.const 0)",
    );
    assert_eq!(guest.value(0), 0);
    assert!(guest.runtime.state().user("u").get(b"k").is_none());
}

#[test]
fn an_unmapped_window_is_private_zeros_and_its_space_is_used_again() {
    let guest = guest(
        "(local.set $w (call $window (i32.const 0) (i32.const 24)))
         (i32.store (local.get $w) (i32.const 77))
         (call $unmap (local.get $w))
         (if (i32.load (local.get $w)) (then (return (i32.const 1))))
         (i32.store (local.get $w) (i32.const 5))
         (local.set $v (call $window (i32.const 4) (i32.const 8)))
         (if (i32.ne (local.get $v) (local.get $w)) (then (return (i32.const 2))))
         (i32.store (local.get $v) (i32.const 6))
         (i32.const 0)",
    );
    assert_eq!(guest.value(0), 0, "{}", guest.said.stderr());
    assert_eq!((guest.state("k")[0], guest.state("m")[0]), (77, 6));
}

#[test]
fn what_a_call_wrote_where_a_window_was_is_gone_with_it() {
    let guest = guest_on(
        1,
        "(local.set $w (call $window (i32.const 0) (i32.const 24)))
         (call $unmap (local.get $w))
         (i64.store (local.get $w) (i64.const -1))
         (local.get $w)",
        "(if (i32.ne (memory.grow (i32.const 1)) (i32.const 2)) (then (return (i32.const 1))))
         (i32.load (i32.const 131072))",
    );
    for _ in 0..40 {
        assert_eq!(guest.value(0), 131_072);
        assert_eq!(guest.value(1), 0);
    }
}

#[test]
fn a_value_stays_open_as_long_as_one_window_is_on_it() {
    let guest = guest(
        "(local.set $w (call $window_at (i32.const 0) (i32.const 200000) (i32.const 0) (i32.const 4)))
         (local.set $v
           (call $window_at (i32.const 0) (i32.const 200000) (i32.const 150000) (i32.const 4)))
         (call $unmap (local.get $w))
         (call $delete (i32.const 0)) (i32.const 0)",
    );
    assert!(guest.failure(0).contains("window"));
}

#[test]
fn what_is_no_window_cannot_be_unmapped() {
    for ptr in ["(i32.const 0)", "(i32.const 131072)", "(i32.const -1)"] {
        refuses(&format!("(call $unmap {ptr}) (i32.const 0)"), &["mobula_unmap", "no window"]);
    }
    refuses(
        "(local.set $w (call $window (i32.const 4) (i32.const 24)))
         (call $unmap (local.get $w)) (call $unmap (local.get $w)) (i32.const 0)",
        &["no window"],
    );
    // A window that an earlier call left mapped is not this call's.
    let guest = guest_on(
        1,
        "(local.set $w (call $window (i32.const 0) (i32.const 24))) (local.get $w)",
        "(call $unmap (i32.const 131072)) (i32.const 0)",
    );
    assert_eq!(guest.value(0), 131_072);
    assert!(guest.failure(1).contains("no window"));
}
