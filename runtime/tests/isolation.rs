//! A call never sees what an earlier call in the same faaslet wrote; shared state alone survives.

mod common;

use std::time::Duration;

use common::{Guest, STATE, threads};
use mobula_runtime::{Config, Outcome};

/// One thread and one faaslet: every call runs where the one before it ran.
fn alone() -> Config {
    Config { max_faaslets: 1, ..threads(1) }
}

/// Entry 1 leaves traces everywhere and ends as its input says, entry 2 looks for any.
const TRACES: &str = r#"(memory (export "memory") 4)
    (data (i32.const 8) "half\00") (data (i32.const 65536) "data")
    (global $a (mut i32) (i32.const 5)) (global $b (mut i64) (i64.const -6))
    (global $c (mut f32) (f32.const 1.5)) (global $d (mut f64) (f64.const 2.5))
    (func $any (param $at i32) (param $len i32) (result i32) (local $end i32)
      (local.set $end (i32.add (local.get $at) (local.get $len)))
      (loop $l
        (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (return (i32.const 1))))
        (br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $end))))
      (i32.const 0))
    (func $grow (result i32) (i32.mul (memory.grow (i32.const 3)) (i32.const 65536)))
    (func (export "_faasm_func_1") (result i32) (local $end i32)
      (drop (call $input (i32.const 16) (i32.const 4)))
      (local.set $end (i32.load (i32.const 16)))
      (memory.fill (i32.const 65536) (i32.const 0xAA) (i32.const 131072))
      (memory.fill (call $grow) (i32.const 0xBB) (i32.const 196608))
      (global.set $a (i32.const 1)) (global.set $b (i64.const 1))
      (global.set $c (f32.const 1)) (global.set $d (f64.const 1))
      (call $output (i32.const 65536) (i32.const 100))
      (i32.store (i32.const 32) (i32.const 8)) (i32.store (i32.const 36) (i32.const 4))
      (drop (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40)))
      (if (i32.eq (local.get $end) (i32.const 1)) (then unreachable))
      (if (i32.eq (local.get $end) (i32.const 2)) (then (call $exit (i32.const 7))))
      (if (i32.eq (local.get $end) (i32.const 3)) (then (loop $forever (br $forever))))
      (if (i32.eq (local.get $end) (i32.const 4)) (then
        (loop $forever
          (drop (call $await (call $chain (i32.const 4) (i32.const 0) (i32.const 0))))
          (br $forever))))
      (if (i32.eq (local.get $end) (i32.const 5)) (then
        (drop (call $await (call $chain (i32.const 3) (i32.const 0) (i32.const 0))))
        (memory.fill (i32.const 0x30000) (i32.const 0xCC) (i32.const 65536))))
      (i32.const 0))
    (func (export "_faasm_func_2") (result i32)
      (i32.or (i32.or (i32.or
        (i32.or (i32.ne (i32.load (i32.const 65536)) (i32.const 0x61746164))
                (call $any (i32.const 65544) (i32.const 196600)))
        (i32.shl (i32.or
          (i32.or (i32.ne (global.get $a) (i32.const 5)) (i64.ne (global.get $b) (i64.const -6)))
          (i32.or (f32.ne (global.get $c) (f32.const 1.5)) (f64.ne (global.get $d) (f64.const 2.5))))
          (i32.const 1)))
        (i32.shl (i32.ne (memory.size) (i32.const 4)) (i32.const 2)))
        (i32.shl (call $any (call $grow) (i32.const 196608)) (i32.const 3))))
    (func (export "_faasm_func_3") (result i32) (i32.const 0))
    (func (export "_faasm_func_4") (result i32) (loop $forever (br $forever)) (i32.const 0))
    ;; input: how many, and how entry 1 ends; two of each at once; returns what entry 2 found
    (func (export "_faasm_func_0") (result i32) (local $i i32) (local $bad i32) (local $n i32)
      (drop (call $input (i32.const 16) (i32.const 8)))
      (local.set $n (i32.load (i32.const 16)))
      (loop $l
        (i32.store (i32.const 48) (call $chain (i32.const 1) (i32.const 20) (i32.const 4)))
        (i32.store (i32.const 52) (call $chain (i32.const 2) (i32.const 0) (i32.const 0)))
        (i32.store (i32.const 56) (call $chain (i32.const 1) (i32.const 20) (i32.const 4)))
        (i32.store (i32.const 60) (call $chain (i32.const 2) (i32.const 0) (i32.const 0)))
        (drop (call $await (i32.load (i32.const 48))))
        (local.set $bad (i32.or (local.get $bad) (call $await (i32.load (i32.const 52)))))
        (drop (call $await (i32.load (i32.const 56))))
        (local.set $bad (i32.or (local.get $bad) (call $await (i32.load (i32.const 60)))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
      (local.get $bad))"#;

fn traces(config: Config) -> Guest {
    Guest::new(config, &format!("{STATE} {TRACES}"))
}

#[test]
fn no_trace_of_a_call_that_returned_trapped_or_exited() {
    let guest = traces(alone());
    for round in 0..60 {
        for (end, outcome) in [(0u32, Some(0)), (1, None), (2, Some(7))] {
            let finished = guest.call_with(1, &end.to_le_bytes());
            assert_eq!(finished.outcome.failure().is_none(), outcome.is_some(), "{finished:?}");
            assert_eq!(finished.outcome.code(), outcome.unwrap_or(-101));
            assert_eq!(finished.output, [0xAA; 100], "what a call wrote before its end comes back");
            let clean = guest.call(2);
            assert_eq!(clean.outcome, Outcome::Returned(0), "round {round}, end {end}");
            assert!(clean.output.is_empty(), "an earlier call's output");
        }
    }
    let report = guest.runtime.report();
    assert!(report.resets >= 299, "the last reset may still be under way: {report:?}");
    assert_eq!(report.faaslets_live_most, 1);
    assert_eq!(report.faaslets_created, 61, "one, and one after each trap");
}

#[test]
fn no_trace_of_a_call_that_ran_out_of_time() {
    let timeout = Some(Duration::from_millis(1500));
    let guest = traces(Config { timeout, max_faaslets: 2, ..threads(1) });
    for end in [4u32, 3, 0, 2] {
        let finished = guest.call_with(1, &end.to_le_bytes());
        let late = matches!(finished.outcome, Outcome::TimedOut(_));
        assert_eq!(late, end >= 3, "{end}: {finished:?}");
        for _ in 0..20 {
            let clean = guest.call(2);
            assert_eq!((clean.outcome, clean.output), (Outcome::Returned(0), vec![]), "end {end}");
        }
    }
}

#[test]
fn an_endless_loop_of_the_first_call_runs_out_of_time() {
    let timeout = Some(Duration::from_millis(300));
    let guest = traces(Config { timeout, ..threads(1) });
    assert!(matches!(guest.call(4).outcome, Outcome::TimedOut(_)));
}

#[test]
fn no_trace_between_chained_calls_however_they_end_and_wherever_they_run() {
    for n in [1, 2, 3] {
        let guest = traces(Config { max_faaslets: 4, ..threads(n) });
        for end in [0u32, 1, 2, 5] {
            let input: Vec<u8> = [100, end].iter().flat_map(|n| n.to_le_bytes()).collect();
            assert_eq!(guest.value_with(0, &input), 0, "{n} threads, end {end}");
        }
        assert!(guest.runtime.report().faaslets_live_most <= 4);
    }
}

#[test]
fn an_unfinished_line_appears_with_its_call_and_once() {
    let guest = traces(alone());
    // The main call writes through; chained ones collect lines.
    guest.call_with(1, &[0; 4]);
    assert_eq!(guest.said.stdout(), "half");
    let guest = traces(Config { max_faaslets: 2, ..threads(1) });
    for (end, told) in [(0u32, 2), (1, 4), (2, 6)] {
        let input: Vec<u8> = [1, end].iter().flat_map(|n| n.to_le_bytes()).collect();
        guest.value_with(0, &input);
        assert_eq!(guest.said.stdout(), "half".repeat(told), "after end {end}");
        guest.call(2);
        assert_eq!(guest.said.stdout(), "half".repeat(told), "a later call says it again");
    }
}

#[test]
fn what_a_failing_proto_function_printed_is_told() {
    let guest = Guest::new(
        alone(),
        r#"(memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\03\00\00\00") (data (i32.const 16) "why")
        (func (export "_faasm_func_0") (result i32) (i32.const 0))
        (func (export "_faasm_zygote") (result i32)
          (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
          (i32.const 9))"#,
    );
    let why = guest.failure(0);
    assert!(why.contains("_faasm_zygote failed before the first call: it returned 9"), "{why}");
    assert_eq!(guest.said.stdout(), "why");
}

/// Entries that do one thing each, as their input says: `total off len val key`.
const TOOLS: &str = r#"(memory 4)
    (func $arg (param i32) (result i32) (i32.load (i32.mul (local.get 0) (i32.const 4))))
    (func $in (drop (call $input (i32.const 0) (i32.const 300))))
    (func $open (result i32) (call $in)
      (call $window_at (i32.const 16) (call $arg (i32.const 0)) (call $arg (i32.const 1))
                       (call $arg (i32.const 2))))
    ;; 1: the window's address
    (func (export "_faasm_func_1") (result i32) (call $open))
    ;; 2: its first byte
    (func (export "_faasm_func_2") (result i32) (i32.load8_u (call $open)))
    ;; 3: fills it; its address
    (func (export "_faasm_func_3") (result i32) (local $p i32)
      (memory.fill (local.tee $p (call $open)) (call $arg (i32.const 3)) (call $arg (i32.const 2)))
      (local.get $p))
    ;; 4: the same, then traps
    (func (export "_faasm_func_4") (result i32)
      (memory.fill (call $open) (call $arg (i32.const 3)) (call $arg (i32.const 2)))
      unreachable)
    ;; 5: the byte at address off
    (func (export "_faasm_func_5") (result i32) (call $in) (i32.load8_u (call $arg (i32.const 1))))
    ;; 6: fills len bytes at address off
    (func (export "_faasm_func_6") (result i32) (call $in)
      (memory.fill (call $arg (i32.const 1)) (call $arg (i32.const 3)) (call $arg (i32.const 2)))
      (i32.const 0))
    ;; 7: grows by len pages and fills them; how many pages there were
    (func (export "_faasm_func_7") (result i32) (local $old i32) (call $in)
      (local.set $old (memory.grow (call $arg (i32.const 2))))
      (if (i32.ge_s (local.get $old) (i32.const 0)) (then
        (memory.fill (i32.mul (local.get $old) (i32.const 65536)) (call $arg (i32.const 3))
          (i32.mul (call $arg (i32.const 2)) (i32.const 65536)))))
      (local.get $old))
    ;; 8: pages
    (func (export "_faasm_func_8") (result i32) (memory.size))
    ;; 9: bytes that are not zero in len bytes at address off, growing to them if need be
    (func (export "_faasm_func_9") (result i32) (local $at i32) (local $end i32) (local $n i32)
      (call $in)
      (local.set $at (call $arg (i32.const 1)))
      (local.set $end (i32.add (local.get $at) (call $arg (i32.const 2))))
      (if (i32.lt_u (memory.size) (i32.shr_u (i32.add (local.get $end) (i32.const 65535)) (i32.const 16)))
        (then (drop (memory.grow (i32.sub
          (i32.shr_u (i32.add (local.get $end) (i32.const 65535)) (i32.const 16)) (memory.size))))))
      (loop $l
        (local.set $n (i32.add (local.get $n) (i32.ne (i32.load8_u (local.get $at)) (i32.const 0))))
        (br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
      (local.get $n))
    ;; 10: grows by val pages, then opens the window; -1 when it cannot grow
    (func (export "_faasm_func_10") (result i32) (call $in)
      (if (i32.lt_s (memory.grow (call $arg (i32.const 3))) (i32.const 0)) (then (return (i32.const -1))))
      (drop (call $open)) (i32.const 0))
    ;; 11: grows all but val pages, then opens the window
    (func (export "_faasm_func_11") (result i32) (call $in)
      (if (i32.lt_s (memory.grow (i32.sub (i32.const 65536)
            (i32.add (memory.size) (call $arg (i32.const 3))))) (i32.const 0))
        (then (return (i32.const -1))))
      (call $open))
    ;; 12: grows by a page and marks it, then opens the window: the mark
    (func (export "_faasm_func_12") (result i32) (local $at i32) (call $in)
      (local.set $at (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
      (i32.store8 (local.get $at) (i32.const 77))
      (drop (call $open))
      (i32.load8_u (local.get $at)))
    ;; 13: opens windows on the keys "val 00" to "val ff", fills each with val; memory.size
    (func (export "_faasm_func_13") (result i32) (local $i i32) (call $in)
      (loop $l
        (i32.store8 (i32.const 17) (i32.add (i32.const 97) (i32.shr_u (local.get $i) (i32.const 4))))
        (i32.store8 (i32.const 18) (i32.add (i32.const 97) (i32.and (local.get $i) (i32.const 15))))
        (memory.fill (call $window (i32.const 16) (call $arg (i32.const 0)))
          (call $arg (i32.const 3)) (call $arg (i32.const 0)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (call $arg (i32.const 2)))))
      (memory.size))"#;

/// The input of TOOLS.
fn args(total: i32, off: i32, len: i32, val: i32, key: &str) -> Vec<u8> {
    let mut input: Vec<u8> = [total, off, len, val].iter().flat_map(|n| n.to_le_bytes()).collect();
    input.extend_from_slice(key.as_bytes());
    input.push(0);
    input
}

const MB: i32 = 1 << 20;

#[test]
fn pages_first_written_late_are_put_back() {
    let guest = Guest::new(alone(), TOOLS);
    for i in 0..1200 {
        // Page 16 again and again; others once each, among them page 40 by call 500 only.
        let at = match i {
            500 => 40 * 4096,
            _ if i % 100 == 99 => (41 + i / 100) * 4096 - 1,
            _ => 16 * 4096,
        };
        guest.value_with(6, &args(0, at, 3, 0x55, ""));
        assert_eq!(guest.value_with(5, &args(0, at, 0, 0, "")), 0, "call {i}");
    }
    assert_eq!(guest.value_with(9, &args(0, 65536, 196_608, 0, "")), 0);
    assert_eq!(guest.runtime.report().faaslets_created, 1);
}

#[test]
fn a_page_written_first_by_the_last_of_a_batch_is_put_back() {
    // Proofs come in batches: a new page in any call of one must be found.
    let guest = Guest::new(
        threads(1),
        r#"(memory 8)
        (func (export "_faasm_func_0") (result i32) (local $i i32) (local $bad i32)
          (loop $l
            (i32.store (i32.const 0) (local.get $i))
            (local.set $bad (i32.or (local.get $bad)
              (call $await (call $chain (i32.const 1) (i32.const 0) (i32.const 4)))))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 6000))))
          (local.get $bad))
        (func (export "_faasm_func_1") (result i32) (local $i i32) (local $bad i32)
          (drop (call $input (i32.const 16) (i32.const 4)))
          (loop $l
            (local.set $bad (i32.or (local.get $bad)
              (i32.load (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 4096))))))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 112))))
          ;; every 61st call writes one more page
          (if (i32.eqz (i32.rem_u (i32.load (i32.const 16)) (i32.const 61))) (then
            (i32.store (i32.add (i32.const 65536) (i32.mul (i32.const 4096)
              (i32.rem_u (i32.div_u (i32.load (i32.const 16)) (i32.const 61)) (i32.const 112))))
              (i32.const -1))))
          (local.get $bad))"#,
    );
    assert_eq!(guest.value(0), 0);
    assert!(guest.runtime.report().faaslets_created < 100);
}

#[test]
fn large_writes_are_put_back_by_copy_and_by_discard() {
    // The snapshot is 50 MiB of 0x11 that the proto-function wrote.
    let guest = Guest::new(
        alone(),
        r#"(memory 900)
        (func (export "_faasm_zygote") (result i32)
          (memory.fill (i32.const 65536) (i32.const 0x11) (i32.const 52428800)) (i32.const 0))
        (func (export "_faasm_func_0") (result i32)
          (drop (call $input (i32.const 0) (i32.const 4)))
          (memory.fill (i32.const 65536) (i32.const 0x22) (i32.load (i32.const 0))) (i32.const 0))
        (func (export "_faasm_func_1") (result i32) (local $at i32) (local $n i32)
          (local.set $at (i32.const 65536))
          (loop $l
            (local.set $n (i32.add (local.get $n)
              (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x11))))
            (br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 512)))
              (i32.const 52494336))))
          (local.get $n))"#,
    );
    for pages in [1u32, 65, 300, 4096, 12_800, 1, 9000, 65] {
        guest.value_with(0, &(pages * 4096).to_le_bytes());
        assert_eq!(guest.value(1), 0, "after a call that wrote {pages} pages");
    }
    let report = guest.runtime.report();
    assert!(report.discards > 0 && report.faaslets_created == 1, "{report:?}");
}

#[test]
fn a_grown_heap_shrinks_and_is_zero_again() {
    let guest = Guest::new(alone(), TOOLS);
    for pages in [1, 20, 640, 3, 1000] {
        assert_eq!(guest.value_with(7, &args(0, 0, pages, 0x66, "")), 4, "memory.size went back");
        assert_eq!(guest.value(8), 4);
        assert_eq!(guest.value_with(9, &args(0, 65536, (pages + 3) * 65536, 0, "")), 0, "{pages}");
    }
    for _ in 0..5000 {
        assert_eq!(guest.value_with(7, &args(0, 0, 17, 0x66, "")), 4);
    }
    assert_eq!(guest.runtime.report().faaslets_created, 1);
}

#[test]
fn shared_state_survives_resets_and_a_trap_between_them() {
    let guest = Guest::new(alone(), TOOLS);
    guest.value_with(3, &args(3 * MB, 0, 3 * MB, 1, "k"));
    for i in 0..200 {
        let val = i % 100 + 2;
        if i % 7 == 3 {
            assert!(
                guest
                    .call_with(4, &args(3 * MB, i * 4099, 5000, val, "k"))
                    .outcome
                    .failure()
                    .is_some()
            );
        } else {
            guest.value_with(3, &args(3 * MB, i * 4099, 5000, val, "k"));
        }
        // Private pages change too, so that every reset has work to do beside the window.
        guest.value_with(6, &args(0, 65536, 190_000, 0x77, ""));
        guest.value_with(7, &args(0, 0, 2, 0x77, ""));
        let mut expected = vec![1; 5000];
        let state = guest.state("k");
        expected.fill(u8::try_from(val).unwrap());
        let at = usize::try_from(i * 4099).unwrap();
        assert_eq!(state[at..at + 5000], expected, "call {i}");
        assert!(state[at + 5000..].iter().all(|&b| b == 1), "call {i}");
    }
}

#[test]
fn the_rest_of_a_windows_last_page_is_private_and_put_back() {
    let guest = Guest::new(alone(), TOOLS);
    guest.set_state("before", &[9; 100]);
    let ptr = guest.value_with(1, &args(5000, 0, 5000, 0, "k"));
    guest.set_state("after", &[9; 100]);
    for round in 0..5 {
        // The value ends at 5000; its last 4 KiB page at 8192; the guest's page at 65536.
        guest.value_with(6, &args(0, ptr + 8192, 65536 - 8192, 0x33, ""));
        assert_eq!(
            guest.value_with(9, &args(0, ptr + 8192, 65536 - 8192, 0, "")),
            0,
            "round {round}"
        );
        assert_eq!(guest.value_with(1, &args(5000, 0, 5000, 0, "k")), ptr);
    }
    assert_eq!(guest.state("k"), [0; 5000]);
    assert_eq!(guest.state("before"), [9; 100]);
    assert_eq!(guest.state("after"), [9; 100]);
}

#[test]
fn windows_of_two_keys_do_not_mix() {
    let guest = Guest::new(alone(), TOOLS);
    let a = guest.value_with(3, &args(100_000, 0, 100_000, 1, "a"));
    let b = guest.value_with(3, &args(100_000, 0, 100_000, 2, "b"));
    assert!((a - b).abs() >= 131_072, "{a:#x} {b:#x}");
    assert_eq!(guest.value_with(2, &args(100_000, 0, 100_000, 0, "a")), 1);
    assert_eq!(guest.state("a"), [1; 100_000]);
    assert_eq!(guest.state("b"), [2; 100_000]);
}

#[test]
fn more_windows_than_are_kept_are_dropped_and_mapped_again() {
    let guest = Guest::new(alone(), TOOLS);
    let key = |i: usize, c: char| {
        format!("{c}{}{}", (97 + i / 16) as u8 as char, (97 + i % 16) as u8 as char)
    };
    // Two hundred keys over as many calls, and in one call.
    for i in 0..200 {
        guest.value_with(3, &args(70_000, 0, 70_000, 1, &key(i, 'x')));
    }
    let size = guest.value_with(13, &args(5000, 0, 200, 2, "yaa"));
    assert!(size >= 204);
    assert_eq!(guest.value(8), 4, "too many windows are dropped and their address space with them");
    assert_eq!(
        guest.value_with(9, &args(0, 65536, size * 65536 - 65536, 0, "")),
        0,
        "zero pages again"
    );
    for i in 0..200 {
        assert_eq!(guest.state(&key(i, 'x')), [1; 70_000]);
        assert_eq!(guest.state(&key(i, 'y')), [2; 5000]);
        assert_eq!(guest.value_with(2, &args(70_000, 69_999, 1, 0, &key(i, 'x'))), 1);
    }
}

#[test]
fn a_window_where_an_earlier_call_had_its_heap_is_not_wiped() {
    let guest = Guest::new(alone(), TOOLS);
    for round in 0..3 {
        // Known pages behind the memory's end, where the next windows come to lie.
        assert_eq!(guest.value_with(7, &args(0, 0, 8, 0xCC, "")), 4 + 2 * round);
        let key = format!("k{round}");
        let ptr = guest.value_with(1, &args(100_000, 0, 100_000, 0, &key));
        assert_eq!(ptr, (4 + 2 * round) * 65536, "this test wants the window where the heap was");
        assert_eq!(guest.state(&key), vec![0; 100_000]);
        guest.value_with(3, &args(100_000, 0, 100_000, 3, &key));
        for _ in 0..4 {
            guest.value_with(6, &args(0, 65536, 1000, 0x44, ""));
        }
        assert_eq!(guest.state(&key), vec![3; 100_000]);
    }
    // The rest of each window's last page, where heap was too.
    assert_eq!(guest.value_with(9, &args(0, 4 * 65536 + 102_400, 131_072 - 102_400, 0, "")), 0);
}

#[test]
fn unaligned_equal_and_inner_ranges() {
    let guest = Guest::new(alone(), TOOLS);
    let bytes: Vec<u8> = (0..MB as u32).map(|i| (i % 251) as u8).collect();
    guest.set_state("k", &bytes);
    let first = guest.value_with(1, &args(MB, 70_001, 300_000, 0, "k"));
    for i in [0, 1, 4095, 65_535, 200_000, 299_999] {
        let at = usize::try_from(70_001 + i).unwrap();
        assert_eq!(guest.value_with(2, &args(MB, 70_001 + i, 1, 0, "k")), i32::from(bytes[at]));
        assert_eq!(guest.value_with(1, &args(MB, 70_001 + i, 1, 0, "k")), first + i, "inner range");
    }
    assert_eq!(guest.value_with(1, &args(MB, 70_001, 300_000, 0, "k")), first, "same range");
    let report = guest.runtime.report();
    assert_eq!((report.windows_mapped, report.windows_warm), (1, 13));
    // An overlapping range that no window holds shows the same bytes.
    let other = guest.value_with(3, &args(MB, 300_000, 200_000, 255, "k"));
    assert_ne!(other, first + 229_999);
    assert_eq!(guest.value_with(2, &args(MB, 300_000, 1, 0, "k")), 255);
    assert_eq!(guest.value_with(2, &args(MB, 299_999, 1, 0, "k")), i32::from(bytes[299_999]));
    assert_eq!(guest.value_with(5, &args(0, first + 229_999, 0, 0, "")), 255, "both see the store");
}

/// What windows of earlier calls leave between them must not count against a later call.
#[test]
fn heap_below_kept_windows_does_not_use_up_the_memory_of_later_calls() {
    let guest = Guest::new(Config { max_memory: 16 * MB as usize, ..alone() }, TOOLS);
    for i in 0..60 {
        let input = args(100, 0, 100, 32, &format!("k{i}"));
        assert_eq!(guest.value_with(10, &input), 0, "call {i} cannot grow by 2 MiB of its 16");
    }
}

#[test]
fn heap_below_kept_windows_does_not_use_up_the_address_space_of_later_calls() {
    let guest = Guest::new(alone(), TOOLS);
    for i in 0..60 {
        let input = args(100, 0, 100, 1600, &format!("k{i}"));
        assert_eq!(guest.value_with(10, &input), 0, "call {i} cannot grow by 100 MiB of 4 GiB");
    }
}

#[test]
fn a_window_never_comes_to_lie_on_the_heap() {
    let guest = Guest::new(alone(), TOOLS);
    guest.value_with(3, &args(16 * 65536, 0, 16 * 65536, 1, "big"));
    // No room but that of the unused window: it is given up, and part of its place stays a hole.
    assert!(guest.value_with(11, &args(100, 0, 100, 1, "small")) > 0);
    assert_eq!(guest.value_with(12, &args(100, 0, 100, 0, "third")), 77, "the heap's own byte");
    assert_eq!(guest.state("third"), [0; 100]);
}

/// The proto-function keeps a window's address in a global; entries use it without asking again.
const PROTO_WINDOW: &str = r#"(memory 4) (data (i32.const 512) "k\00") (data (i32.const 520) "big\00")
    (data (i32.const 528) "n00\00") (global $p (mut i32) (i32.const 0))
    (func (export "_faasm_zygote") (result i32)
      (global.set $p (call $window (i32.const 512) (i32.const 5000)))
      ;; in the private rest of the window's page
      (i32.store offset=8192 (global.get $p) (i32.const 99))
      (i32.const 0))
    (func (export "_faasm_func_0") (result i32)
      (i32.atomic.rmw.add (global.get $p) (i32.const 1)))
    (func (export "_faasm_func_1") (result i32) (i32.load offset=8192 (global.get $p)))
    ;; 2: too many windows to keep
    (func (export "_faasm_func_2") (result i32) (local $i i32)
      (loop $l
        (i32.store8 (i32.const 529) (i32.add (i32.const 48) (local.get $i)))
        (drop (call $window (i32.const 528) (i32.const 100)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 70))))
      (i32.const 0))
    ;; 3: little room is left behind its windows
    (func (export "_faasm_func_3") (result i32) (local $i i32)
      (drop (memory.grow (i32.const 64500)))
      (loop $l
        (drop (call $window_at (i32.const 520) (i32.const 0x2000000)
          (i32.mul (local.get $i) (i32.const 65536)) (i32.const 0x1000000)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))
      (i32.load (global.get $p)))
    ;; 4: resizes the value
    (func (export "_faasm_func_4") (result i32)
      (call $write (i32.const 512) (i32.const 0) (i32.const 100)) (i32.const 0))
    ;; 5: a window that takes the place of unused ones, and the cached address again
    (func (export "_faasm_func_5") (result i32)
      (drop (memory.grow (i32.const 65520)))
      (drop (call $window (i32.const 520) (i32.const 0x2000000)))
      (i32.load (global.get $p)))"#;

#[test]
fn a_window_of_the_proto_function_is_every_faaslets() {
    for n in [1, 3] {
        let guest = Guest::new(threads(n), PROTO_WINDOW);
        for i in 0..50 {
            assert_eq!(guest.value(0), i);
            assert_eq!(guest.value(1), 99);
        }
        assert_eq!(guest.state("k")[..4], 50u32.to_le_bytes());
    }
}

#[test]
fn a_window_of_the_proto_function_survives_dropping_the_others() {
    let guest = Guest::new(alone(), PROTO_WINDOW);
    guest.value(0);
    guest.value(2);
    assert_eq!(guest.value(0), 1, "the window is where it was");
    guest.value(2);
    assert_eq!(guest.value(1), 99, "and so is what the proto-function wrote beside it");
}

#[test]
fn a_window_of_the_proto_function_is_not_given_up_for_address_space() {
    let guest = Guest::new(alone(), PROTO_WINDOW);
    guest.set_state("k", &[7; 5000]);
    for entry in [3, 5] {
        // Either the call is told that there is no room, or it still sees the value.
        if let Outcome::Returned(value) = guest.call(entry).outcome {
            assert_eq!(value, 0x0707_0707, "entry {entry} lost the window");
        }
    }
    assert_eq!(guest.value(0), 0x0707_0707, "a later call lost the window");
}

#[test]
fn a_value_under_the_proto_functions_window_keeps_its_length() {
    let guest = Guest::new(alone(), PROTO_WINDOW);
    guest.value(0);
    let resized = guest.call(4).outcome.failure().is_none();
    guest.value(0);
    let first = u32::from_le_bytes(guest.state("k")[..4].try_into().unwrap());
    assert!(!resized, "resized: the cached window shows another value now ({first} in the key's)");
}

#[test]
fn users_never_reach_each_others_keys() {
    let body = r#"(memory 1) (data (i32.const 8) "b_c\00") (data (i32.const 16) "c\00")
        (func (export "_faasm_func_0") (result i32)
          (i32.store (call $window (i32.const 8) (i32.const 4)) (i32.const 1)) (i32.const 0))
        (func (export "_faasm_func_1") (result i32)
          (i32.load (call $window (i32.const 16) (i32.const 4))))"#;
    let guest = Guest::new(alone(), body);
    guest.register("a", "f", body);
    guest.register("a_b", "f", body);
    let call = |user: &str, entry| guest.runtime.call(user, "f", entry, vec![]).unwrap().outcome;
    for _ in 0..3 {
        assert_eq!(call("a", 0), Outcome::Returned(0));
        assert_eq!(call("a_b", 1), Outcome::Returned(0), "a's b_c is not a_b's c");
        assert_eq!(call("u", 1), Outcome::Returned(0));
    }
    assert!(guest.runtime.state().user("a_b").get(b"b_c").is_none());
    assert!(guest.runtime.state().user("u").get(b"b_c").is_none());
}

/// wasmtime #10740 and #12053: data segments on a memory that a `MemoryCreator` made.
#[test]
fn data_segments_arrive_and_are_put_back_beside_a_window() {
    let guest = Guest::new(
        alone(),
        r#"(memory 4) (data (i32.const 65530) "across a page") (data $passive "passive")
        (data (i32.const 8) "k\00")
        (func $sum (param $at i32) (param $len i32) (result i32) (local $s i32)
          (loop $l
            (local.set $s (i32.add (local.get $s) (i32.load8_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $l (local.tee $len (i32.sub (local.get $len) (i32.const 1)))))
          (local.get $s))
        (func (export "_faasm_func_0") (result i32) (call $sum (i32.const 65530) (i32.const 20)))
        (func (export "_faasm_func_1") (result i32)
          (memory.fill (i32.const 65530) (i32.const 1) (i32.const 20))
          (memory.init $passive (i32.const 131072) (i32.const 0) (i32.const 7))
          (call $sum (i32.const 131072) (i32.const 8)))
        (func (export "_faasm_func_2") (result i32) (call $sum (i32.const 131072) (i32.const 8)))
        (func (export "_faasm_func_3") (result i32)
          (memory.init $passive (call $window (i32.const 8) (i32.const 7)) (i32.const 0) (i32.const 7))
          (i32.const 0))
        (func (export "_faasm_func_4") (result i32)
          (call $sum (call $window (i32.const 8) (i32.const 7)) (i32.const 7)))"#,
    );
    let sum = |text: &str| text.bytes().map(i32::from).sum::<i32>();
    for _ in 0..5 {
        assert_eq!(guest.value(0), sum("across a page"));
        assert_eq!(guest.value(1), sum("passive"));
        assert_eq!(guest.value(2), 0);
    }
    guest.value(3);
    assert_eq!(guest.state("k"), b"passive");
    guest.runtime.state().user("u").known(b"k").unwrap().bytes().copy_in(0, b"PASSIVE").unwrap();
    assert_eq!(guest.value(4), sum("PASSIVE"), "a store from outside is seen inside");
    assert_eq!(guest.runtime.report().faaslets_created, 1);
}

/// Start function, constructors and proto-function count their runs in state; entry 1 returns how
/// they were left: in memory and in a global.
const ONCE: &str = r#"(memory 1) (data (i32.const 8) "k\00") (global $g (mut i32) (i32.const 0))
    (func $count (param i32)
      (drop (i32.atomic.rmw.add (i32.add (call $window (i32.const 8) (i32.const 12)) (local.get 0))
                                (i32.const 1)))
      (i32.store (i32.const 1024) (i32.add (i32.load (i32.const 1024)) (i32.const 1)))
      (global.set $g (i32.add (global.get $g) (i32.const 10))))
    (func $start (call $count (i32.const 0))) (start $start)
    (func (export "__mobula_init") (call $count (i32.const 4)))
    (func (export "_faasm_zygote") (result i32) (call $count (i32.const 8)) (i32.const 0))
    (func (export "_faasm_func_0") (result i32) (local $i i32) (local $bad i32)
      (loop $l
        (i32.store (i32.add (i32.const 2048) (i32.mul (local.get $i) (i32.const 4)))
          (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
      (local.set $i (i32.const 0))
      (loop $l
        (local.set $bad (i32.add (local.get $bad) (i32.ne (i32.const 33) (call $await
          (i32.load (i32.add (i32.const 2048) (i32.mul (local.get $i) (i32.const 4))))))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
      (local.get $bad))
    (func (export "_faasm_func_1") (result i32)
      (i32.add (i32.load (i32.const 1024)) (global.get $g))
      (i32.store (i32.const 1024) (i32.const -1)) (global.set $g (i32.const -1)))"#;

#[test]
fn start_constructors_and_proto_function_run_once() {
    let guest = Guest::new(threads(3), ONCE);
    assert_eq!(guest.value(0), 0, "every call starts from what they left");
    let counts: Vec<u8> = [1u32; 3].iter().flat_map(|n| n.to_le_bytes()).collect();
    assert_eq!(guest.state("k"), counts);
    assert!(guest.runtime.report().faaslets_created > 1, "more than one faaslet adopted them");
}

#[test]
fn a_module_that_defeats_snapshots_is_instantiated_for_every_call() {
    let guest = Guest::new(
        alone(),
        r#"(memory 1) (table 2 funcref) (elem (i32.const 0) $one) (elem declare func $two)
        (data $d "abc") (global $g (mut i32) (i32.const 3)) (type $t (func (result i32)))
        (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
        (func (export "_faasm_func_0") (result i32) (local $before i32)
          (local.set $before (i32.add (call_indirect (type $t) (i32.const 0))
            (i32.add (global.get $g) (i32.add (i32.load (i32.const 1000)) (memory.size)))))
          (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3))
          (data.drop $d) (table.set (i32.const 0) (ref.func $two))
          (global.set $g (i32.const 9)) (i32.store (i32.const 1000) (i32.const 9))
          (drop (memory.grow (i32.const 1)))
          (local.get $before))"#,
    );
    for _ in 0..20 {
        assert_eq!(guest.value(0), 5, "table, globals, memory and its size as in the module");
    }
    let report = guest.runtime.report();
    // The last one may not be counted yet; see the_report_counts_every_call_that_ended.
    assert_eq!((report.faaslets_created, report.resets), (20, 0), "{report:?}");
    assert!(report.reinstantiated_calls >= 19, "{report:?}");
    assert!(report.unresettable[0].starts_with("u/f: it "), "{report:?}");
}

#[test]
fn the_report_counts_every_call_that_ended() {
    let guest = Guest::new(alone(), TOOLS);
    for calls in 1..=2000 {
        guest.value(8);
        assert_eq!(guest.runtime.report().calls, calls);
    }
}

#[test]
fn a_call_that_polls_lets_others_run() {
    let guest = Guest::new(
        threads(1),
        r#"(memory 1) (data (i32.const 8) "k\00")
        (func (export "_faasm_func_0") (result i32) (local $p i32)
          (local.set $p (call $window (i32.const 8) (i32.const 4)))
          (drop (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))
          (loop $l
            (drop (call $await (call $chain (i32.const 2) (i32.const 0) (i32.const 0))))
            (br_if $l (i32.eqz (i32.atomic.load (local.get $p)))))
          (i32.const 5))
        (func (export "_faasm_func_1") (result i32)
          (i32.atomic.store (call $window (i32.const 8) (i32.const 4)) (i32.const 1)) (i32.const 0))
        (func (export "_faasm_func_2") (result i32) (i32.const 0))"#,
    );
    assert_eq!(guest.value(0), 5);
}
