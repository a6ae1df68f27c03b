//! State: every host call by what it means and by what it refuses; locks under contention.

mod common;

use std::time::Duration;

use common::{Guest, STATE, threads};
use mobula_runtime::{Config, Outcome};

/// Keys and data that the guests here use: `k` at 0, `m` at 4, "" at 8, 255 bytes at 1024, 256 at
/// 2048, one without an end at the end of the memory (65536).
fn memory() -> String {
    let (long, longer) = ("x".repeat(255), "y".repeat(256));
    format!(
        r#"(memory (export "memory") 1)
        (data (i32.const 0) "k\00\00\00m\00\00\00\00\00\00\00") (data (i32.const 1024) "{long}\00")
        (data (i32.const 2048) "{longer}\00") (data (i32.const 65532) "open")
        (data (i32.const 512) "0123456789abcdef")"#
    )
}

/// A guest whose entry 0 runs `body` and returns what it leaves.
fn guest_of(body: &str) -> Guest {
    guest_with(threads(1), body)
}

fn guest_with(config: Config, body: &str) -> Guest {
    let memory = memory();
    let main = format!(r#"(func (export "_faasm_func_0") (result i32) (local $i i32) {body})"#);
    Guest::new(config, &format!("{STATE} {memory} {main}"))
}

/// What entry 0 returns when it runs `body` beside the values `k` (16 bytes) and `m` (4 bytes).
fn run(body: &str) -> (i32, Guest) {
    let guest = guest_of(body);
    guest.set_state("k", b"ABCDEFGHIJKLMNOP");
    guest.set_state("m", b"mmmm");
    (guest.value(0), guest)
}

/// Why `body` is refused, beside the same values; nothing may have changed.
fn refused(body: &str) -> String {
    let guest = guest_of(&format!("{body} (i32.const 0)"));
    guest.set_state("k", b"ABCDEFGHIJKLMNOP");
    guest.set_state("m", b"mmmm");
    let why = guest.failure(0);
    assert_eq!(guest.state("k"), b"ABCDEFGHIJKLMNOP", "{body}");
    assert_eq!(guest.state("m"), b"mmmm", "{body}");
    assert!(guest.runtime.state().user("u").get(b"new").is_none(), "{body}");
    why
}

#[track_caller]
fn refuses(body: &str, parts: &[&str]) {
    let why = refused(body);
    for part in parts {
        assert!(why.contains(part), "{body}\nsays {why:?}, not {part:?}");
    }
}

fn i32_le(text: &[u8; 4]) -> i32 {
    i32::from_le_bytes(*text)
}

#[test]
fn whole_reads_and_writes() {
    let (n, _) = run("(call $read (i32.const 0) (i32.const 100) (i32.const 0))");
    assert_eq!(n, 16, "the size");
    // A smaller buffer gets what fits, and nothing lies behind it.
    let (n, _) = run("(i32.store (i32.const 100) (i32.const -1))
        (i32.add (i32.mul (i32.const 1000) (call $read (i32.const 0) (i32.const 97) (i32.const 4)))
                 (i32.load8_u (i32.const 101)))");
    assert_eq!(n, 4255);
    // A larger one gets the value, and the rest is left alone.
    let (n, _) = run("(memory.fill (i32.const 100) (i32.const 7) (i32.const 32))
        (if (i32.ne (call $read (i32.const 0) (i32.const 100) (i32.const 32)) (i32.const 16))
          (then unreachable))
        (i32.load (i32.const 114))");
    assert_eq!(n, i32_le(b"OP\x07\x07"));
    // Nobody wrote it: zeros.
    let (n, guest) = run("(memory.fill (i32.const 100) (i32.const 7) (i32.const 8))
        (i32.or (call $read (i32.const 1024) (i32.const 100) (i32.const 8)) (i32.load (i32.const 104)))");
    assert_eq!(n, 0);
    assert!(guest.runtime.state().user("u").get(&[b'x'; 255]).is_none(), "reading makes no value");
    // Writes: same length, shorter, longer, empty, a new key of 255 bytes.
    for (len, key, name) in
        [(16, 0, "k"), (5, 0, "k"), (40_000, 0, "k"), (0, 0, "k"), (9, 1024, &*"x".repeat(255))]
    {
        let body = format!(
            "(call $write (i32.const {key}) (i32.const 512) (i32.const {len}))
             (call $read (i32.const {key}) (i32.const 0) (i32.const 0))"
        );
        let (n, guest) = run(&body);
        assert_eq!(n, len);
        let state = guest.state(name);
        assert_eq!(state.len(), usize::try_from(len).unwrap());
        assert!(state.starts_with(&b"0123456789abcdef"[..state.len().min(16)]));
    }
}

#[test]
fn reads_and_writes_at_offsets() {
    let (n, _) = run(
        "(call $read_at (i32.const 0) (i32.const 16) (i32.const 3) (i32.const 100) (i32.const 4))
        (i32.load (i32.const 100))",
    );
    assert_eq!(n, i32_le(b"DEFG"));
    let (_, guest) = run(
        "(call $write_at (i32.const 0) (i32.const 16) (i32.const 11) (i32.const 512) (i32.const 5))
        (i32.const 0)",
    );
    assert_eq!(guest.state("k"), b"ABCDEFGHIJK01234");
    // The first use of a key fixes its length; what nobody wrote reads as zeros.
    let (n, guest) = run("(call $write_at (i32.const 1024) (i32.const 70000) (i32.const 69999) (i32.const 512) (i32.const 1))
        (call $read_at (i32.const 1024) (i32.const 70000) (i32.const 69996) (i32.const 100) (i32.const 4))
        (i32.load (i32.const 100))");
    assert_eq!(n, i32_le(b"\0\0\x000"));
    assert_eq!(guest.state(&"x".repeat(255)).len(), 70_000);
    // Length 0 anywhere up to the end, and whole ranges.
    let (n, guest) = run(
        "(call $write_at (i32.const 0) (i32.const 16) (i32.const 16) (i32.const 512) (i32.const 0))
        (call $read_at (i32.const 0) (i32.const 16) (i32.const 16) (i32.const 512) (i32.const 0))
        (call $write_at (i32.const 0) (i32.const 16) (i32.const 0) (i32.const 512) (i32.const 16))
        (i32.const 3)",
    );
    assert_eq!((n, guest.state("k")), (3, b"0123456789abcdef".to_vec()));
}

#[test]
fn ranges_that_do_not_lie_in_the_value_are_refused() {
    for (off, len) in [
        (0, 17),
        (16, 1),
        (17, 0),
        (15, 2),
        (-1, 1),
        (-1, 2),
        (0, -1),
        (8, -8),
        (i32::MAX, i32::MAX),
        (i32::MIN, i32::MIN),
        (-16, 16),
        (1, i32::MAX),
        (4095, 1),
    ] {
        let numbers = format!("has 16 bytes; offset {off} and length {len} lie outside");
        for (call, name) in [
            (
                format!(
                    "(call $read_at (i32.const 0) (i32.const 16) (i32.const {off}) (i32.const 99) (i32.const {len}))"
                ),
                "read_state_offset",
            ),
            (
                format!(
                    "(call $write_at (i32.const 0) (i32.const 16) (i32.const {off}) (i32.const 512) (i32.const {len}))"
                ),
                "write_state_offset",
            ),
            (
                format!(
                    "(call $flag_at (i32.const 0) (i32.const 16) (i32.const {off}) (i32.const {len}))"
                ),
                "flag_state_offset_dirty",
            ),
            (
                format!(
                    "(drop (call $window_at (i32.const 0) (i32.const 16) (i32.const {off}) (i32.const {len})))"
                ),
                "read_state_offset_ptr",
            ),
        ] {
            refuses(&call, &[&format!("faasm_{name}: key \"k\" {numbers}")]);
        }
    }
}

#[test]
fn totals_other_than_the_values_length_are_refused() {
    for total in [15, 17, 0, 1 << 30, -1, i32::MIN] {
        let says = match total {
            ..0 => format!("the total length is negative: {total}"),
            _ => format!("key \"k\" has 16 bytes, not {total}; the first use of a key fixes"),
        };
        for call in [
            format!(
                "(call $read_at (i32.const 0) (i32.const {total}) (i32.const 0) (i32.const 99) (i32.const 0))"
            ),
            format!(
                "(call $write_at (i32.const 0) (i32.const {total}) (i32.const 0) (i32.const 99) (i32.const 0))"
            ),
            format!("(call $flag (i32.const 0) (i32.const {total}))"),
            format!(
                "(call $flag_at (i32.const 0) (i32.const {total}) (i32.const 0) (i32.const 0))"
            ),
            format!("(drop (call $window (i32.const 0) (i32.const {total})))"),
            format!(
                "(drop (call $window_at (i32.const 0) (i32.const {total}) (i32.const 0) (i32.const 0)))"
            ),
        ] {
            refuses(&call, &[&says]);
        }
    }
    refuses(
        "(call $pull (i32.const 0) (i32.const 15))",
        &["pull_state: key \"k\" has 16 bytes, not 15"],
    );
    refuses("(call $pull (i32.const 0) (i32.const -1))", &["negative: -1"]);
}

/// Every function with a key, as a call on the key at `k`.
fn keyed(k: i32) -> Vec<String> {
    let k = format!("(i32.const {k})");
    let n = "(i32.const 16)";
    let zero = "(i32.const 0)";
    vec![
        format!("(drop (call $read {k} (i32.const 99) {n}))"),
        format!("(drop (call $read {k} (i32.const 99) {zero}))"),
        format!("(call $write {k} (i32.const 99) {n})"),
        format!("(call $read_at {k} {n} {zero} (i32.const 99) {n})"),
        format!("(call $write_at {k} {n} {zero} (i32.const 99) {n})"),
        format!("(drop (call $window {k} {n}))"),
        format!("(drop (call $window_at {k} {n} {zero} {n}))"),
        format!("(call $flag {k} {n})"),
        format!("(call $flag_at {k} {n} {zero} {n})"),
        format!("(call $push {k})"),
        format!("(call $push_partial {k})"),
        format!("(call $push_masked {k} (i32.const 4))"),
        format!("(call $push_masked (i32.const 4) {k})"),
        format!("(call $pull {k} {n})"),
        format!("(call $append {k} (i32.const 99) {n})"),
        format!("(call $read_appended {k} (i32.const 99) {n} {zero})"),
        format!("(call $clear_appended {k})"),
        format!("(call $lock {k})"),
        format!("(call $lock_read {k})"),
        format!("(call $lock_global {k})"),
        format!("(call $unlock {k})"),
        format!("(call $unlock_read {k})"),
        format!("(call $unlock_global {k})"),
    ]
}

#[test]
fn bad_keys_are_refused_by_every_function() {
    for (at, says) in [
        (8, "a key has 1 to 255 bytes and no NUL; this one has 0 bytes"),
        (2048, "a key has 1 to 255 bytes"),
        (65_532, "a key has 1 to 255 bytes"),
        (65_535, "a key has 1 to 255 bytes"),
        (65_536, "pointer 0x10000 with length 1 lies outside the memory of 65536 bytes"),
        (-1, "pointer 0xffffffff with length 1 lies outside the memory of 65536 bytes"),
    ] {
        for call in keyed(at) {
            refuses(&call, &[says]);
        }
    }
}

#[test]
fn keys_of_255_bytes_and_at_the_edge_of_memory_are_good() {
    let write = |key: i32| format!("(call $write (i32.const {key}) (i32.const 512) (i32.const 1))");
    let (_, guest) = run(&format!("{} (i32.const 0)", write(1024)));
    assert_eq!(guest.state(&"x".repeat(255)), b"0");
    // "ope" and the NUL are the last four bytes of the memory.
    let (_, guest) = run(&format!(
        "(i32.store8 (i32.const 65535) (i32.const 0)) {} (i32.const 0)",
        write(65_532)
    ));
    assert_eq!(guest.state("ope"), b"0");
}

#[test]
fn buffers_at_the_edge_of_memory_are_good_and_past_it_refused() {
    let calls = |at: i32, len: i32| {
        let (at, len) = (format!("(i32.const {at})"), format!("(i32.const {len})"));
        [
            format!("(drop (call $read (i32.const 0) {at} {len}))"),
            format!("(drop (call $read (i32.const 1024) {at} {len}))"),
            format!("(call $write (i32.const 1024) {at} {len})"),
            format!("(call $read_at (i32.const 0) (i32.const 16) (i32.const 0) {at} {len})"),
            format!("(call $write_at (i32.const 0) (i32.const 16) (i32.const 0) {at} {len})"),
            format!("(call $append (i32.const 1024) {at} {len})"),
        ]
    };
    for call in calls(65_536 - 16, 16).iter().chain(&calls(65_536, 0)[..5]) {
        let guest = guest_of(&format!("{call} (i32.const 5)"));
        guest.set_state("k", &[1; 16]);
        assert_eq!(guest.value(0), 5, "{call}");
    }
    for (at, len) in [(65_536 - 15, 16), (65_536, 1), (-1, 1), (-16, 16), (1 << 30, 16)] {
        for call in calls(at, len) {
            refuses(&call, &[" lies outside the memory of 65536 bytes"]);
        }
    }
    // The buffer counts, not what the value has for it: 16 bytes would fit, 17 are named.
    refuses(
        "(drop (call $read (i32.const 0) (i32.const 65520) (i32.const 17)))",
        &["0xfff0 with length 17"],
    );
    for call in [
        "(drop (call $read (i32.const 0) (i32.const 99) (i32.const -1)))",
        "(call $write (i32.const 0) (i32.const 99) (i32.const -1))",
        "(call $append (i32.const 0) (i32.const 99) (i32.const -5))",
    ] {
        refuses(call, &["is negative: -"]);
    }
}

#[test]
fn resizing_is_refused_while_a_window_is_open_and_only_then() {
    let write = "(call $write (i32.const 0) (i32.const 512) (i32.const 8))";
    refuses(
        &format!(
            "(drop (call $window_at (i32.const 0) (i32.const 16) (i32.const 0) (i32.const 1))) {write}"
        ),
        &["key \"k\" cannot go from 16 to 8 bytes while a window is open on it"],
    );
    // Another call's window counts too; it is closed by the end of that call, also by a trap.
    let guest = Guest::new(
        Config { max_faaslets: 4, ..threads(2) },
        &format!(
            r#"{STATE} {} (func (export "_faasm_func_0") (result i32)
              (drop (call $window (i32.const 0) (i32.const 16)))
              (call $await (call $chain (i32.const 1) (i32.const 0) (i32.const 0))))
            (func (export "_faasm_func_1") (result i32) {write} (i32.const 4))
            (func (export "_faasm_func_2") (result i32)
              (drop (call $window (i32.const 0) (i32.const 16))) unreachable)
            (func (export "_faasm_func_3") (result i32)
              (i32.load (call $window (i32.const 0) (i32.const 8))))"#,
            memory()
        ),
    );
    guest.set_state("k", b"ABCDEFGHIJKLMNOP");
    assert!(guest.value(0) < 0);
    assert!(guest.said.stderr().contains("cannot go from 16 to 8 bytes while a window is open"));
    guest.failure(2);
    assert_eq!(guest.value(1), 4);
    assert_eq!(guest.state("k"), b"01234567");
    for _ in 0..3 {
        assert_eq!(guest.value(3), i32_le(b"0123"), "windows show the new value");
    }
}

#[test]
fn a_whole_write_of_the_same_length_is_seen_through_an_open_window() {
    let (n, _) = run("(local.set $i (call $window (i32.const 0) (i32.const 16)))
        (call $write (i32.const 0) (i32.const 512) (i32.const 16)) (i32.load (local.get $i))");
    assert_eq!(n, i32_le(b"0123"));
}

#[test]
fn pushes_count_the_chunks_that_were_flagged_or_written() {
    let pushed = |body: &str| {
        let (_, guest) = run(&format!("{body} (call $push (i32.const 1024)) (i32.const 0)"));
        let report = guest.runtime.report();
        (report.pushes, report.pushed_chunks)
    };
    // A value of 10 chunks of 64 KiB.
    let flag = |off: i32, len: i32| {
        format!(
            "(call $flag_at (i32.const 1024) (i32.const 655360) (i32.const {off}) (i32.const {len}))"
        )
    };
    assert_eq!(pushed(&flag(0, 1)), (1, 1));
    assert_eq!(pushed(&flag(65_535, 2)), (1, 2));
    assert_eq!(pushed(&flag(65_536, 65_536)), (1, 1));
    assert_eq!(pushed(&flag(5, 0)), (1, 0));
    assert_eq!(pushed(&flag(0, 655_360)), (1, 10));
    assert_eq!(pushed("(call $flag (i32.const 1024) (i32.const 655360))"), (1, 10));
    assert_eq!(pushed(&(flag(0, 1) + &flag(10, 10) + &flag(655_359, 1))), (1, 2));
    let write = "(call $write_at (i32.const 1024) (i32.const 655360) (i32.const 131070) (i32.const 0) (i32.const 4))";
    assert_eq!(pushed(write), (1, 2), "copies flag what they write");
    assert_eq!(pushed(&(flag(0, 9) + "(call $push (i32.const 1024))")), (2, 1), "once");
    assert_eq!(pushed(&(flag(0, 9) + "(call $push_partial (i32.const 1024))")), (2, 1));
    let read = "(call $read_at (i32.const 1024) (i32.const 655360) (i32.const 0) (i32.const 99) (i32.const 4))";
    assert_eq!(pushed(read), (1, 0));
    let window = "(i32.store8 (call $window (i32.const 1024) (i32.const 655360)) (i32.const 1))";
    assert_eq!(pushed(&(window.to_owned() + &flag(0, 1))), (1, 1));
    refuses(
        "(call $push (i32.const 1024))",
        &["has no value yet; write it, or name its total length"],
    );
    refuses("(call $push_partial (i32.const 1024))", &["has no value yet"]);
    assert_eq!(
        run("(call $pull (i32.const 0) (i32.const 16)) (i32.const 0)").1.runtime.report().pulls,
        1
    );
}

#[test]
fn a_masked_push_zeroes_the_mask_and_refuses_another_size() {
    let guest = guest_of(
        "(local.set $i (call $window (i32.const 4) (i32.const 16)))
         (call $push_masked (i32.const 0) (i32.const 4)) (i32.load (local.get $i))",
    );
    guest.set_state("k", b"ABCDEFGHIJKLMNOP");
    guest.set_state("m", &[255; 16]);
    assert_eq!(guest.value(0), 0, "an open window sees it at once");
    assert_eq!(guest.state("m"), [0; 16]);
    assert_eq!(guest.state("k"), b"ABCDEFGHIJKLMNOP");
    refuses(
        "(call $push_masked (i32.const 0) (i32.const 4))",
        &["mask \"m\" has 4 bytes but key \"k\" has 16; they must be equal"],
    );
    refuses("(call $push_masked (i32.const 0) (i32.const 1024))", &["has no value yet"]);
    refuses("(call $push_masked (i32.const 1024) (i32.const 4))", &["has no value yet"]);
}

#[test]
fn appended_records_come_back_in_order_and_only_as_many_as_there_are_and_fit() {
    let append = "(call $append (i32.const 0) (i32.const 512) (i32.const 3))
        (call $append (i32.const 0) (i32.const 515) (i32.const 0))
        (call $append (i32.const 0) (i32.const 515) (i32.const 1))";
    let read = |len: i32, n: i32| {
        format!(
            "(call $read_appended (i32.const 0) (i32.const 99) (i32.const {len}) (i32.const {n}))"
        )
    };
    for (len, n, bytes) in [
        (4, 3, b"0123"),
        (100, 3, b"0123"),
        (3, 2, b"012\0"),
        (3, 1, b"012\0"),
        (0, 0, b"\0\0\0\0"),
    ] {
        let (value, guest) = run(&format!("{append} {} (i32.load (i32.const 99))", read(len, n)));
        assert_eq!(value, i32_le(bytes), "{n} in {len}");
        assert_eq!(guest.state("k"), b"ABCDEFGHIJKLMNOP", "the plain value of the key is another");
    }
    for (len, n) in [(100, 4), (3, 3), (2, 1), (100, -1), (-1, 1), (100, i32::MAX), (0, 1)] {
        let says = format!("key \"k\" has 3 appended elements; {n} of them need");
        refuses(&format!("{append} {}", read(len, n)), &[&says, &format!("the buffer has {len}")]);
    }
    refuses(
        &format!("{append} (call $clear_appended (i32.const 0)) {}", read(9, 1)),
        &["has 0 appended"],
    );
    let past = "(call $read_appended (i32.const 0) (i32.const 65533) (i32.const 4) (i32.const 3))";
    refuses(&format!("{append} {past}"), &["lies outside the memory"]);
}

#[test]
fn appends_of_many_calls_stay_whole() {
    let guest = Guest::new(
        threads(3),
        &format!(
            r#"{STATE} {} (func (export "_faasm_func_0") (result i32) (local $i i32) (local $bad i32)
              (loop $l
                (i32.store8 (i32.const 600) (i32.rem_u (local.get $i) (i32.const 7)))
                (drop (call $chain (i32.const 1) (i32.const 600) (i32.const 1)))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 700))))
              (i32.const 0))
            (func (export "_faasm_func_1") (result i32)
              (drop (call $input (i32.const 600) (i32.const 1)))
              (memory.fill (i32.const 601) (i32.load8_u (i32.const 600)) (i32.const 49))
              (call $append (i32.const 0) (i32.const 600) (i32.const 50)) (i32.const 0))
            ;; 2: every record is 50 equal bytes, and there is each a hundred times
            (func (export "_faasm_func_2") (result i32) (local $i i32) (local $bad i32)
              (call $read_appended (i32.const 0) (i32.const 4096) (i32.const 35000) (i32.const 700))
              (loop $l
                (local.set $bad (i32.or (local.get $bad) (i32.ne
                  (i32.load8_u (i32.add (i32.const 4096) (local.get $i)))
                  (i32.load8_u (i32.add (i32.const 4096)
                    (i32.mul (i32.div_u (local.get $i) (i32.const 50)) (i32.const 50)))))))
                (local.set $bad (i32.add (local.get $bad) (i32.shl
                  (i32.eq (i32.load8_u (i32.add (i32.const 4096) (local.get $i))) (i32.const 3))
                  (i32.const 1))))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 35000))))
              (local.get $bad))"#,
            memory()
        ),
    );
    assert_eq!(guest.value(0), 0);
    assert_eq!(guest.value(2), 100 * 50 * 2);
}

#[test]
fn windows_of_length_zero_and_of_empty_values_are_harmless() {
    let (ptr, _) =
        run("(call $window_at (i32.const 0) (i32.const 16) (i32.const 16) (i32.const 0))");
    assert!(ptr > 0);
    let (ptr, guest) = run("(call $window (i32.const 1024) (i32.const 0))");
    assert!(ptr > 0);
    assert_eq!(guest.state(&"x".repeat(255)), b"");
}

// ------------------------------------------------------------------ locks

/// Entry 0 starts `n` calls of entry 1, awaits them all and returns the sum of what they return.
fn fan(n: u32, entries: &str) -> String {
    format!(
        r#"{STATE} {} (func $chain_all (export "_faasm_func_0") (result i32) (local $i i32) (local $s i32)
          (loop $l
            (i32.store (i32.add (i32.const 4096) (i32.mul (local.get $i) (i32.const 4)))
              (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {n}))))
          (local.set $i (i32.const 0))
          (loop $l
            (local.set $s (i32.add (local.get $s) (call $await
              (i32.load (i32.add (i32.const 4096) (i32.mul (local.get $i) (i32.const 4)))))))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {n}))))
          (local.get $s))
        {entries}"#,
        memory()
    )
}

/// A counter in a window, read and written with time between, so that it counts only under a lock.
fn count_under(lock: &str, unlock: &str) -> String {
    fan(
        2000,
        &format!(
            r#"(func (export "_faasm_func_1") (result i32) (local $p i32) (local $v i32) (local $i i32)
              (local.set $p (call $window (i32.const 4) (i32.const 4)))
              (call ${lock} (i32.const 0))
              (local.set $v (i32.atomic.load (local.get $p)))
              (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const 2000))))
              (i32.atomic.store (local.get $p) (i32.add (local.get $v) (i32.const 1)))
              (call ${unlock} (i32.const 0))
              (i32.const 1))"#
        ),
    )
}

#[test]
fn two_thousand_calls_count_correctly_under_a_lock() {
    for (lock, unlock) in [("lock", "unlock"), ("lock_global", "unlock_global")] {
        for n in [1, 3] {
            let guest = Guest::new(threads(n), &count_under(lock, unlock));
            for round in 1..=3u32 {
                assert_eq!(guest.value(0), 2000, "{lock}");
                assert_eq!(guest.state("m"), (round * 2000).to_le_bytes(), "{lock}, {n} threads");
            }
        }
    }
}

#[test]
fn calls_that_end_trap_or_exit_while_they_hold_a_lock_release_it() {
    for lock in ["lock", "lock_read", "lock_global"] {
        for end in ["(i32.const 1)", "unreachable", "(call $exit (i32.const 1)) (i32.const 0)"] {
            let entry = format!(
                r#"(func (export "_faasm_func_1") (result i32)
                  (call ${lock} (i32.const 0)) (call ${lock} (i32.const 4)) {end})
                (func (export "_faasm_func_2") (result i32)
                  (call $lock (i32.const 0)) (call $lock_global (i32.const 0)) (i32.const 3))"#
            );
            for n in [1, 3] {
                let guest =
                    Guest::new(Config { max_faaslets: 20, ..threads(n) }, &fan(100, &entry));
                let each = if end == "unreachable" { -101 } else { 1 };
                assert_eq!(guest.value(0), 100 * each, "{lock} {end}");
                assert_eq!(guest.value(2), 3, "both locks are free: {lock} {end}");
            }
        }
    }
}

#[test]
fn readers_share_and_a_writer_excludes() {
    // Main reads while its children do; had one to wait, it would be told of a deadlock.
    let guest = Guest::new(
        threads(2),
        &fan(
            20,
            r#"(func (export "_faasm_func_1") (result i32)
              (call $lock_read (i32.const 0)) (call $unlock_read (i32.const 0)) (i32.const 1))
            (func (export "_faasm_func_2") (result i32)
              (call $lock_read (i32.const 0)) (call $chain_all))"#,
        ),
    );
    assert_eq!(guest.value(2), 20);
    // Readers and writers mixed: writers make the two halves differ for a while; no reader sees it.
    let guest = Guest::new(
        threads(3),
        &fan(
            900,
            r#"(func (export "_faasm_func_1") (result i32) (local $p i32) (local $v i32) (local $i i32)
              (local.set $p (call $window (i32.const 4) (i32.const 12)))
              (if (i32.rem_u (i32.atomic.rmw.add offset=8 (local.get $p) (i32.const 1)) (i32.const 3))
                (then
                  (call $lock_read (i32.const 0))
                  (local.set $v (i32.ne (i32.atomic.load (local.get $p))
                                        (i32.atomic.load offset=4 (local.get $p))))
                  (call $unlock_read (i32.const 0))
                  (return (local.get $v))))
              (call $lock (i32.const 0))
              (drop (i32.atomic.rmw.add (local.get $p) (i32.const 1)))
              (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const 3000))))
              (drop (call $await (call $chain (i32.const 2) (i32.const 0) (i32.const 0))))
              (drop (i32.atomic.rmw.add offset=4 (local.get $p) (i32.const 1)))
              (call $unlock (i32.const 0)) (i32.const 0))
            (func (export "_faasm_func_2") (result i32) (i32.const 0))"#,
        ),
    );
    assert_eq!(guest.value(0), 0, "readers that saw a writer at work");
    assert_eq!(guest.state("m")[..8], [300u32.to_le_bytes(), 300u32.to_le_bytes()].concat());
}

#[test]
fn unlocks_without_the_lock_trap() {
    let says = |kind: &str| format!("this call holds no {kind} lock on key \"k\"");
    for (lock, unlock, kind) in [
        ("", "unlock", "write"),
        ("", "unlock_read", "read"),
        ("", "unlock_global", "global"),
        ("(call $lock (i32.const 0))", "unlock_read", "read"),
        ("(call $lock (i32.const 0))", "unlock_global", "global"),
        ("(call $lock_read (i32.const 0))", "unlock", "write"),
        ("(call $lock_global (i32.const 0))", "unlock", "write"),
        ("(call $lock (i32.const 0)) (call $unlock (i32.const 0))", "unlock", "write"),
    ] {
        refuses(&format!("{lock} (call ${unlock} (i32.const 0))"), &[&says(kind)]);
    }
    // Nor may a call unlock what another holds.
    let guest = Guest::new(
        threads(2),
        &format!(
            r#"{STATE} {} (func (export "_faasm_func_0") (result i32) (local $i i32)
              (call $lock (i32.const 0))
              (local.set $i (call $await (call $chain (i32.const 1) (i32.const 0) (i32.const 0))))
              (call $unlock (i32.const 0)) (local.get $i))
            (func (export "_faasm_func_1") (result i32) (call $unlock (i32.const 0)) (i32.const 1))"#,
            memory()
        ),
    );
    assert_eq!(guest.value(0), -101);
    assert!(guest.said.stderr().contains(&says("write")));
}

#[test]
fn a_read_lock_taken_twice_is_released_twice_and_upgrades_are_refused() {
    let (n, _) = run("(call $lock_read (i32.const 0)) (call $lock_read (i32.const 0))
        (call $unlock_read (i32.const 0)) (call $unlock_read (i32.const 0))
        (call $lock (i32.const 0)) (call $unlock (i32.const 0)) (i32.const 8)");
    assert_eq!(n, 8);
    for (held, asked) in [
        ("lock_read", "lock"),
        ("lock", "lock_read"),
        ("lock", "lock"),
        ("lock_global", "lock_global"),
    ] {
        refuses(
            &format!("(call ${held} (i32.const 0)) (call ${asked} (i32.const 0))"),
            &["this call already holds a "],
        );
    }
    // The global lock is another one.
    let (n, _) = run("(call $lock (i32.const 0)) (call $lock_global (i32.const 0)) (i32.const 8)");
    assert_eq!(n, 8);
}

#[test]
fn lock_waiters_that_run_out_of_time_leave_the_queue() {
    // Main holds the lock longer than the time-out lets anybody wait; then the lock is free again.
    let guest = Guest::new(
        Config { timeout: Some(Duration::from_millis(1500)), ..threads(2) },
        &format!(
            r#"{STATE} {} (func (export "_faasm_func_0") (result i32) (local $i i32)
              (drop (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))
              (drop (call $chain (i32.const 2) (i32.const 0) (i32.const 0)))
              (drop (call $chain (i32.const 2) (i32.const 0) (i32.const 0)))
              (i32.const 0))
            (func (export "_faasm_func_1") (result i32)
              (call $lock (i32.const 0))
              (loop $forever (br $forever)) (i32.const 0))
            (func (export "_faasm_func_2") (result i32)
              (loop $until (br_if $until (i32.eqz (call $taken))))
              (call $lock_read (i32.const 0)) (i32.const 0))
            (func $taken (result i32) (i32.const 1))
            (func (export "_faasm_func_3") (result i32)
              (call $lock (i32.const 0)) (call $unlock (i32.const 0)) (i32.const 5))
            (func (export "_faasm_func_4") (result i32)
              (call $await (call $chain (i32.const 5) (i32.const 0) (i32.const 0))))
            (func (export "_faasm_func_5") (result i32) (loop $forever (br $forever)) (i32.const 0))"#,
            memory()
        ),
    );
    guest.call(4);
    guest.call(0);
    assert!(guest.said.stderr().contains("u/f[1] timed out"), "{}", guest.said.stderr());
    for _ in 0..10 {
        assert_eq!(guest.value(3), 5, "the lock is free");
    }
}

/// Two readers of `m` wait for main's lock on `k`; then main asks for `m`: two circles at once.
#[test]
fn two_circles_closed_by_one_wait_are_both_broken() {
    let guest = Guest::new(
        threads(1),
        &format!(
            r#"{STATE} {} (func (export "_faasm_func_0") (result i32) (local $a i32) (local $b i32) (local $i i32)
              (call $lock (i32.const 0))
              ;; the last chained runs first: when the first has run, the others wait
              (local.set $i (call $chain (i32.const 2) (i32.const 0) (i32.const 0)))
              (local.set $a (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))
              (local.set $b (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))
              (drop (call $await (local.get $i)))
              (call $lock (i32.const 4)) (call $unlock (i32.const 4)) (call $unlock (i32.const 0))
              (drop (call $await (local.get $a))) (drop (call $await (local.get $b)))
              (i32.const 6))
            (func (export "_faasm_func_1") (result i32)
              (call $lock_read (i32.const 4)) (call $lock (i32.const 0)) (i32.const 0))
            (func (export "_faasm_func_2") (result i32) (i32.const 0))"#,
            memory()
        ),
    );
    // Who is told does not matter, as long as somebody is and the rest goes on.
    let outcome = guest.call(0).outcome;
    assert!(matches!(outcome, Outcome::Returned(6) | Outcome::Trapped(_)), "{outcome:?}");
    assert!(guest.said.stderr().contains("deadlock: "), "{}", guest.said.stderr());
}
