//! The guest crate as an ordinary program: what calls give, what state holds, what is refused.
//!
//! Each test is a call of its own; keys differ from test to test, as state is the process's.

extern crate mobula_guest as mobula;

use std::panic::{AssertUnwindSafe, catch_unwind};

use mobula::{CallError, Op, Raw, State, Status, Window, chain, parallel_for, wait_all, wait_any};

/// What a refusal says.
fn refusal<R>(what: impl FnOnce() -> R) -> String {
    let Err(why) = catch_unwind(AssertUnwindSafe(what)) else { panic!("this is not refused") };
    let text = why.downcast_ref::<String>().cloned();
    text.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a text")
}

#[mobula::func]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[mobula::func(12)]
fn give(code: i32) -> Status {
    Status(code)
}

#[mobula::func]
fn index() -> u32 {
    mobula::current_index()
}

#[mobula::func]
fn reverse(bytes: Raw) -> Raw {
    Raw(bytes.0.into_iter().rev().collect())
}

#[mobula::func]
fn panicking() {
    panic!("as it should");
}

#[test]
fn values_travel_and_failures_are_told() {
    assert_eq!(chain(add, &(3, -5)).wait(), Ok(-2));
    assert_eq!(add(3, -5), -2);
    assert_eq!(chain(reverse, &Raw::from("abc")).wait(), Ok(Raw::from("cba")));
    assert_eq!(chain(give, &7).wait(), Err(CallError::Failed(7)));
    assert_eq!(chain(give, &0).wait_raw(), (0, Vec::new()));
    assert_eq!(chain(panicking, &()).wait(), Err(CallError::Trapped));
    assert_eq!((give.index(), chain(index, &()).wait()), (12, Ok(index.index())));
}

#[test]
fn a_name_gives_the_same_index_everywhere() {
    // FNV-1a of "add", folded: other languages chain it by this number.
    let hash = b"add"
        .iter()
        .fold(0x811C_9DC5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    assert_eq!(add.index(), 65536 + hash % (i32::MAX as u32 - 65536));
}

#[test]
fn the_first_to_end_is_taken_out() {
    let mut calls: Vec<_> = (0..20).map(|x| chain(add, &(x, x))).collect();
    let mut sum = 0;
    while let Some((_, value)) = wait_any(&mut calls) {
        sum += value.unwrap();
    }
    assert_eq!(sum, 380);
}

const LEN: usize = 10_000;

#[mobula::func]
fn fill(key: String) {
    let part = mobula::range();
    let mut window = Window::<u64>::open(&key, LEN);
    for (number, at) in window.exclusive(part.clone()).iter_mut().zip(part) {
        *number += at as u64;
    }
}

#[test]
fn a_parallel_loop_covers_all_indices_once() {
    parallel_for(fill, 0..LEN, 7, &"loop".to_owned()).wait().unwrap();
    let window = Window::<u64>::open("loop", LEN);
    assert!(window.shared(0..LEN).iter().copied().eq(0..LEN as u64));
    parallel_for(fill, 5..5, 7, &"loop".to_owned()).wait().unwrap();
    assert!(refusal(mobula::range).contains("parallel_for"));
}

#[mobula::func]
fn count(key: String) {
    let window = Window::<i64>::open(&key, 1);
    for _ in 0..1000 {
        window.atomic(0).fetch_add(1);
    }
    drop(window);
    State::new(&key).merge(8, 0, &[1000_i64], Op::Sum);
}

#[test]
fn atomics_and_merges_lose_nothing() {
    wait_all((0..8).map(|_| chain(count, &"count".to_owned())).collect::<Vec<_>>()).unwrap();
    let window = Window::<i64>::open("count", 1);
    let cell = window.atomic(0);
    assert_eq!(cell.load(), 16_000);
    assert_eq!(cell.compare_exchange(1, 2), Err(16_000));
    assert_eq!(cell.compare_exchange(16_000, -1), Ok(16_000));
    assert_eq!((cell.swap(12), cell.fetch_and(10), cell.fetch_or(3)), (-1, 12, 8));
    assert_eq!(cell.fetch_update(|x| x * 2), 11);
    cell.store(i64::MIN);
    assert_eq!(window.get(0), i64::MIN);
}

#[test]
fn merges_prefer_numbers() {
    let state = State::new("merge");
    state.set(&[f64::NAN, 3.0]);
    state.merge(16, 0, &[1.0, f64::NAN], Op::Max);
    assert_eq!(state.get::<[f64; 2]>(), [1.0, 3.0]);
    state.merge(16, 8, &[-0.5_f64], Op::Min);
    assert_eq!(state.get::<[f64; 2]>(), [1.0, -0.5]);
}

#[test]
fn copies_at_any_offset() {
    let state = State::new("copies");
    let all: Vec<u8> = (0..41).collect();
    state.write(&all);
    for offset in 0..20 {
        for len in 0..20 {
            let mut part = vec![0_u8; len];
            state.read_at(41, offset, &mut part);
            assert_eq!(part, all[offset..offset + len]);
            state.write_at(41, offset, &part);
        }
    }
    assert_eq!(state.read(), all);
}

#[test]
fn what_does_not_fit_is_refused() {
    let state = State::new("refused");
    state.create(16);
    assert!(refusal(|| state.read_at(17, 0, &mut [0_u8])).contains("has 16 bytes, not 17"));
    assert!(refusal(|| state.read_at(16, 15, &mut [0_u8; 2])).contains("lie outside"));
    assert!(refusal(|| State::new("")).contains("1 to 255 bytes"));
    assert!(refusal(|| State::new("a\0b")).contains("no NUL"));
    assert!(refusal(|| Window::<u32>::part("refused", 16, 2, 1)).contains("not a multiple of 4"));
    assert!(refusal(|| State::new("none").push()).contains("has no value yet"));
    let window = Window::<u32>::open("refused", 4);
    assert!(refusal(|| state.write([0; 3])).contains("while a window is open"));
    assert!(refusal(|| state.delete()).contains("has a window on it"));
    assert!(refusal(|| window.get(4)).contains("none at 4"));
    window.close();
    state.delete();
    assert_eq!(state.size(), 0);
}

#[mobula::func]
fn take(exclusive: bool) {
    let mut window = Window::<u8>::open("rules", 100);
    if exclusive {
        window.exclusive(50..60)[0] += 1;
    } else {
        assert_eq!(window.shared(50..60).len(), 10);
    }
}

#[test]
fn views_that_exclude_each_other_are_found() {
    let mut window = Window::<u8>::open("rules", 100);
    assert!(refusal(|| Window::<u8>::part("rules", 100, 99, 1)).contains("has a window"));
    drop(Window::<u8>::open("rules2", 100));
    let shared = window.shared(0..51);
    assert!(refusal(|| window.set(99, 1)).contains("shared view"));
    assert_eq!(chain(take, &true).wait(), Err(CallError::Trapped));
    assert_eq!(chain(take, &false).wait(), Ok(()));
    drop(shared);
    let exclusive = window.exclusive(0..51);
    assert_eq!(chain(take, &false).wait(), Err(CallError::Trapped));
    drop(exclusive);
    assert_eq!(chain(take, &true).wait(), Ok(()));
    assert_eq!(window.get(50), 1);
}

#[mobula::func]
fn lock_again() {
    let _lock = State::new("locked").lock_write();
}

#[mobula::func]
fn hold_and_panic() {
    let _lock = State::new("locked").lock_write();
    panic!("as it should");
}

#[test]
fn locks_end_with_their_call_and_circles_are_found() {
    assert_eq!(chain(hold_and_panic, &()).wait(), Err(CallError::Trapped));
    let state = State::new("locked");
    let held = state.lock_write();
    assert_eq!(chain(lock_again, &()).wait(), Err(CallError::Trapped));
    assert!(refusal(|| state.lock_read()).contains("its holder is this call"));
    drop(held);
    assert_eq!(chain(lock_again, &()).wait(), Ok(()));
    // Readers share; the global lock is another one.
    let _both = (state.lock_read(), state.lock_read(), state.lock_global());
}

#[test]
fn records_keep_their_order() {
    let log = State::new("log");
    (0..3_u8).for_each(|number| log.append([number, 7]));
    assert_eq!(log.appended(2, 4), [0, 7, 1, 7]);
    assert!(refusal(|| log.appended(4, 8)).contains("has 3 records"));
    log.clear_appended();
    assert!(log.appended(0, 0).is_empty());
}
