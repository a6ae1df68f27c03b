//! Stores through windows are found at a push, flagged or not.

mod common;

use common::{Guest, STATE, threads};
use mobula_runtime::Config;

const CHUNK: i32 = 65536;

/// Keys "k" of 16 chunks at 0; entry 0 runs `main`, entry 1 `other`, the proto-function `proto`.
fn guest(track_writes: bool, proto: &str, main: &str, other: &str) -> Guest {
    let body = format!(
        r#"{STATE} (memory 1) (data (i32.const 0) "k\00")
        (func $w (result i32) (call $window (i32.const 0) (i32.const {len})))
        (func (export "_faasm_zygote") (result i32) {proto} (i32.const 0))
        (func (export "_faasm_func_0") (result i32) (local $i i32) {main} (i32.const 0))
        (func (export "_faasm_func_1") (result i32) {other} (i32.const 0))"#,
        len = 16 * CHUNK
    );
    Guest::new(Config { track_writes, ..threads(1) }, &body)
}

fn store(chunk: i32) -> String {
    format!("(i32.store8 (i32.add (call $w) (i32.const {})) (i32.const 9))", chunk * CHUNK + 70)
}

const PUSH: &str = "(call $push (i32.const 0))";

fn pushed(guest: &Guest) -> u64 {
    guest.runtime.report().pushed_chunks
}

#[test]
fn a_push_finds_what_was_stored_without_flags() {
    let main = format!("{} {} {PUSH} {PUSH} {} {PUSH}", store(3), store(11), store(3));
    let tracked = guest(true, "", &main, "");
    for calls in 1..=40 {
        assert_eq!(tracked.value(0), 0);
        assert_eq!(pushed(&tracked), 3 * calls, "two chunks, none, one; in warm windows too");
    }
    // Without tracking only flags count, and on one host nothing is lost by that.
    let untracked = guest(false, "", &main, "");
    assert_eq!(untracked.value(0), 0);
    assert_eq!(pushed(&untracked), 0);
}

#[test]
fn reading_is_no_store() {
    let guest = guest(true, "", &format!("(drop (i32.load (call $w))) {PUSH}"), "");
    assert_eq!(guest.value(0), 0);
    assert_eq!(pushed(&guest), 0);
}

#[test]
fn stores_of_calls_that_ended_are_found_by_another_ones_push() {
    let chain = "(drop (call $await (call $chain (i32.const 1) (i32.const 0) (i32.const 0))))";
    let guest = guest(true, "", &format!("{chain} {chain} {PUSH}"), &store(7));
    for calls in 1..=3 {
        assert_eq!(guest.value(0), 0);
        assert_eq!(pushed(&guest), calls);
    }
}

#[test]
fn stores_of_a_faaslet_that_is_gone_are_found() {
    // The child traps after its store: its faaslet is thrown away with its windows.
    let chain = "(drop (call $await (call $chain (i32.const 1) (i32.const 0) (i32.const 0))))";
    let guest = guest(true, "", &format!("{chain} {PUSH}"), &format!("{} unreachable", store(5)));
    assert_eq!(guest.value(0), 0);
    assert_eq!(pushed(&guest), 1);
}

#[test]
fn windows_of_the_proto_function_are_tracked_in_every_call() {
    let guest = guest(true, "(drop (call $w))", &format!("{} {PUSH}", store(2)), "");
    for calls in 1..=20 {
        assert_eq!(guest.value(0), 0);
        assert_eq!(pushed(&guest), calls);
    }
}

#[test]
fn what_a_masked_push_did_not_send_is_not_sent_later() {
    let mask = "(data (i32.const 32) \"m\\00\")
        (func $mask (result i32) (call $window (i32.const 32) (i32.const 1048576)))";
    let body = format!(
        "{} (i32.store8 offset=70 (call $mask) (i32.const 255))
         (call $push_masked (i32.const 0) (i32.const 32)) {PUSH}",
        store(1)
    );
    let guest = guest(true, "", &body, &format!("(i32.const 0)) {mask} (func (result i32)"));
    for calls in 1..=3 {
        assert_eq!(guest.value(0), 0);
        assert_eq!(pushed(&guest), calls, "the masked push sends it, the plain one nothing more");
    }
}
