//! Hostile guests: random calls of every host function with arguments at and past every edge.
//!
//! ```text
//!  script (random) ─input─▶ guest that carries it out ─▶ host functions ─▶ results, for later steps
//!                                 └─ chains itself with pieces of memory as scripts, two deep
//! ```
//!
//! A refused step traps its call and nothing else. After each round a second user's function and state
//! must be what they were. A hang fails by the watchdog; a panic of a worker ends the test's process.
//!
//! `MOBULA_FUZZ_SECONDS` says for how long (60), `MOBULA_FUZZ_SEED` where to start; a failure names the
//! seed of its round.

mod common;

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{threads, watchdog};
use mobula_runtime::{Config, Outcome, Runtime, Sink, Stream};

/// What a parameter means, and so from which values it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A pointer to data or results.
    Ptr,
    /// A pointer to a NUL-terminated key or name.
    Key,
    /// A length or count.
    Len,
    /// The total length of a value, or an offset in one.
    Total,
    /// The same as an i64.
    Wide,
    /// A 64-bit float.
    Real,
    /// 0 or 1.
    Flag,
    /// An id, entry, type, descriptor: small numbers and results of earlier steps.
    Small,
}

use Kind::{Flag, Key, Len, Ptr, Real, Small, Total, Wide};

/// Every function that guests may import from us, with the meaning of its parameters; `true` for a
/// result.
const OURS: &[(&str, &[Kind], bool)] = &[
    ("__faasm_read_input", &[Ptr, Len], true),
    ("__faasm_write_output", &[Ptr, Len], false),
    ("__faasm_get_idx", &[], true),
    ("__faasm_get_conf_flag", &[Key], true),
    ("__faasm_chain_function", &[Key, Ptr, Len], true),
    ("__faasm_chain_this", &[Small, Ptr, Len], true),
    ("__faasm_chain_ptr", &[Small, Ptr, Len], true),
    ("__mobula_chain_range", &[Small, Wide, Wide, Wide, Ptr, Len], true),
    ("__mobula_get_range", &[Ptr, Ptr], true),
    ("__mobula_chain_at", &[Key, Wide, Small, Ptr, Len], true),
    ("__mobula_await_any", &[Ptr, Len], true),
    ("__faasm_await_call", &[Small], true),
    ("__faasm_await_call_output", &[Small, Ptr, Len], true),
    ("__mobula_await_output_size", &[Small, Ptr], true),
    ("__mobula_take_output", &[Small, Ptr, Len], true),
    ("__faasm_read_state", &[Key, Ptr, Len], true),
    ("__faasm_write_state", &[Key, Ptr, Len], false),
    ("__faasm_read_state_offset", &[Key, Total, Total, Ptr, Len], false),
    ("__faasm_write_state_offset", &[Key, Total, Total, Ptr, Len], false),
    ("__faasm_read_state_ptr", &[Key, Total], true),
    ("__faasm_read_state_offset_ptr", &[Key, Total, Total, Total], true),
    ("__faasm_flag_state_dirty", &[Key, Total], false),
    ("__faasm_flag_state_offset_dirty", &[Key, Total, Total, Total], false),
    ("__faasm_push_state", &[Key], false),
    ("__faasm_push_state_partial", &[Key], false),
    ("__faasm_push_state_partial_mask", &[Key, Key], false),
    ("__mobula_push_merge", &[Key, Small, Small], false),
    ("__mobula_merge_state", &[Key, Total, Total, Ptr, Len, Small, Small], false),
    ("__mobula_state_create", &[Key, Total], false),
    ("__mobula_state_delete", &[Key], false),
    ("__mobula_unmap", &[Ptr], false),
    ("__faasm_pull_state", &[Key, Total], false),
    ("__faasm_append_state", &[Key, Ptr, Len], false),
    ("__faasm_read_appended_state", &[Key, Ptr, Len, Len], false),
    ("__faasm_clear_appended_state", &[Key], false),
    ("__faasm_lock_state_read", &[Key], false),
    ("__faasm_unlock_state_read", &[Key], false),
    ("__faasm_lock_state_write", &[Key], false),
    ("__faasm_unlock_state_write", &[Key], false),
    ("__faasm_lock_state_global", &[Key], false),
    ("__faasm_unlock_state_global", &[Key], false),
    (DOT, &[Len, Ptr, Small, Ptr, Small], true),
    ("__mobula_blas_daxpy", &[Len, Real, Ptr, Small, Ptr, Small], false),
    ("__mobula_blas_dgemv", &[Flag, Len, Len, Real, Ptr, Len, Ptr, Small, Real, Ptr, Small], false),
    ("__mobula_blas_dgemm", GEMM, false),
    ("__mobula_blas_sgemm", GEMM, false),
    ("__mobula_blas_dspmv", &[Len, Len, Len, Real, Ptr, Ptr, Ptr, Ptr, Real, Ptr], false),
];

/// The one function whose result is a float.
const DOT: &str = "__mobula_blas_ddot";
const GEMM: &[Kind] = &[Flag, Flag, Len, Len, Len, Real, Ptr, Len, Ptr, Len, Real, Ptr, Len];

/// Functions of WASI that take pointers.
const WASI: &[(&str, &[Kind], bool)] = &[
    ("args_get", &[Ptr, Ptr], true),
    ("args_sizes_get", &[Ptr, Ptr], true),
    ("environ_get", &[Ptr, Ptr], true),
    ("clock_time_get", &[Small, Wide, Ptr], true),
    ("fd_write", &[Small, Ptr, Len, Ptr], true),
    ("fd_read", &[Small, Ptr, Len, Ptr], true),
    ("fd_readdir", &[Small, Ptr, Len, Wide, Ptr], true),
    ("fd_prestat_get", &[Small, Ptr], true),
    ("fd_prestat_dir_name", &[Small, Ptr, Len], true),
    ("fd_seek", &[Small, Wide, Small, Ptr], true),
    ("fd_close", &[Small], true),
    ("path_open", &[Small, Small, Ptr, Len, Small, Wide, Wide, Small, Ptr], true),
    ("path_filestat_get", &[Small, Small, Ptr, Len, Ptr], true),
    ("random_get", &[Ptr, Len], true),
];

/// A number, and so many arguments.
const STEP_BYTES: usize = 8 + 8 * ARGUMENTS;
const ARGUMENTS: usize = 13;
const SCRIPT_AT: usize = 4096;
const MOST_STEPS: usize = 48;
const PAGES: usize = 3;
const MEMORY: i64 = (PAGES * 65536) as i64;
/// Where the guest keeps results of steps.
const RESULTS_AT: usize = 1024;
/// Keys: a, b, mask, 255 and 256 bytes, none, one without an end at the end of the memory.
const KEYS: [i64; 7] = [16, 18, 20, 2048, 2560, 0, MEMORY - 3];

fn all() -> impl Iterator<Item = (&'static str, &'static (&'static str, &'static [Kind], bool))> {
    let wasi = WASI.iter().map(|function| ("wasi_snapshot_preview1", function));
    OURS.iter().map(|function| ("env", function)).chain(wasi)
}

fn wasm_type(kind: Kind) -> &'static str {
    match kind {
        Wide => "i64",
        Real => "f64",
        _ => "i32",
    }
}

/// The guest: carries out the steps of its input. Input: u32 how deep it may chain, u32 unused, then
/// steps of an u64 function number and the arguments, 8 bytes each.
fn guest() -> Vec<u8> {
    let mut wat = String::from("(module\n");
    for (module, (name, kinds, result)) in all() {
        let params: String = kinds.iter().map(|k| format!(" {}", wasm_type(*k))).collect();
        let result = match (*result, *name) {
            (false, _) => "",
            (true, DOT) => "(result f64)",
            (true, _) => "(result i32)",
        };
        writeln!(wat, "(import \"{module}\" \"{name}\" (func ${name} (param{params}) {result}))")
            .unwrap();
    }
    let (long, longer) = ("x".repeat(255), "y".repeat(256));
    write!(
        wat,
        r#"(memory (export "memory") {PAGES}) (table 4 funcref) (elem (i32.const 1) $run)
        (type $plain (func (result i32)))
        (data (i32.const 16) "a\00b\00mask\00") (data (i32.const 2048) "{long}\00")
        (data (i32.const 2560) "{longer}\00") (data (i32.const {end}) "end")
        (func (export "__mobula_call_pointer") (param i32) (result i32)
          (call_indirect (type $plain) (local.get 0)))
        (func (export "_faasm_func_0") (result i32) (call $run))
        (func (export "_faasm_func_1") (result i32) (call $run))
        "#,
        end = MEMORY - 3
    )
    .unwrap();
    add_step(&mut wat);
    add_run(&mut wat);
    wat.push(')');
    wat::parse_str(&wat).unwrap_or_else(|err| panic!("{err}\n{wat}"))
}

/// One call; its result is kept in a ring of 32.
fn add_step(wat: &mut String) {
    wat.push_str("(func $step (param $at i32) (param $n i32) (local $r i32)\n");
    for _ in all() {
        wat.push_str("(block ");
    }
    let labels: String = (0..all().count()).map(|i| format!(" {i}")).collect();
    writeln!(wat, "(br_table {labels} (i32.wrap_i64 (i64.load (local.get $at)))))").unwrap();
    for (index, (_, (name, kinds, result))) in all().enumerate() {
        let arg = |i: usize, kind: &Kind| {
            let load = |ty| format!("({ty}.load offset={} (local.get $at))", 8 + 8 * i);
            match kind {
                Wide => load("i64"),
                Real => load("f64"),
                _ => format!("(i32.wrap_i64 {})", load("i64")),
            }
        };
        let args: String = kinds.iter().enumerate().map(|(i, kind)| arg(i, kind)).collect();
        if name.contains("chain")
            && let Some(ptr) = kinds.iter().position(|kind| *kind == Ptr)
        {
            // What is chained may chain one level less; where it cannot be noted, the host refuses.
            writeln!(
                wat,
                "(if (i32.lt_u {at} (i32.const {})) (then (i64.store {at} (i64.extend_i32_u
                   (i32.sub (i32.load (i32.const {SCRIPT_AT})) (i32.const 1))))))",
                MEMORY - 8,
                at = arg(ptr, &Ptr)
            )
            .unwrap();
        }
        let mut call = format!("(call ${name} {args})");
        if *name == DOT {
            call = format!("(i32.trunc_sat_f64_s {call})");
        }
        let keep = if *result { format!("(local.set $r {call})") } else { call };
        writeln!(
            wat,
            "{keep} (i32.store (i32.add (i32.const {RESULTS_AT}) (i32.shl (i32.and
            (local.get $n) (i32.const 31)) (i32.const 2))) (local.get $r)) (return)"
        )
        .unwrap();
        if index + 1 < all().count() {
            wat.push_str(")\n");
        }
    }
    wat.push_str(")\n");
}

/// Reads the input and carries out its steps.
fn add_run(wat: &mut String) {
    write!(
        wat,
        r#"(func $run (result i32) (local $end i32) (local $at i32) (local $n i32) (local $i i32)
          (local $from i64)
          (local.set $end (i32.add (i32.const {SCRIPT_AT})
            (call $__faasm_read_input (i32.const {SCRIPT_AT}) (i32.const {most}))))
          (if (i32.gt_u (i32.load (i32.const {SCRIPT_AT})) (i32.const 2)) (then (return (i32.const 3))))
          (if (i32.eqz (i32.load (i32.const {SCRIPT_AT}))) (then (return (i32.const 4))))
          (local.set $at (i32.const {first}))
          (loop $next
            (if (i32.gt_u (i32.add (local.get $at) (i32.const {STEP_BYTES})) (local.get $end))
              (then (return (i32.const 0))))
            ;; Arguments above 2^40 stand for the results of earlier steps.
            (local.set $i (i32.const 8))
            (loop $arg
              (local.set $from (i64.load (i32.add (local.get $at) (local.get $i))))
              (if (i64.eq (i64.shr_u (local.get $from) (i64.const 40)) (i64.const 1)) (then
                (i64.store (i32.add (local.get $at) (local.get $i)) (i64.extend_i32_s (i32.load
                  (i32.add (i32.const {RESULTS_AT}) (i32.shl (i32.and
                    (i32.wrap_i64 (local.get $from)) (i32.const 31)) (i32.const 2))))))))
              (br_if $arg (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8)))
                (i32.const {STEP_BYTES}))))
            (if (i64.ge_u (i64.load (local.get $at)) (i64.const {count})) (then
              (drop (memory.grow (i32.const 1))))
            (else (call $step (local.get $at) (local.get $n))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (local.set $at (i32.add (local.get $at) (i32.const {STEP_BYTES})))
            (br $next))
          unreachable)"#,
        most = 8 + MOST_STEPS * STEP_BYTES,
        first = SCRIPT_AT + 8,
        count = all().count(),
    )
    .unwrap();
}

/// A small generator of random numbers (splitmix64).
struct Random {
    state: u64,
    /// One argument in so many is from an edge.
    rarity: usize,
}

impl Random {
    fn new(seed: u64) -> Self {
        // Wild scripts try every edge and are refused soon; tame ones get deep.
        let rarity = [8, 64, 512][usize::try_from(seed % 3).expect("a small number")];
        Self { state: seed, rarity }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn pick(&mut self, values: &[i64]) -> i64 {
        values[self.below(values.len())]
    }

    fn result(&mut self) -> i64 {
        (1 << 40) + self.below(32) as i64
    }

    fn argument(&mut self, kind: Kind) -> i64 {
        let edge =
            [MEMORY, MEMORY - 1, MEMORY - 4, MEMORY - 8, MEMORY + 1, -1, i64::from(i32::MIN)];
        match (kind, self.below(self.rarity)) {
            (Ptr, 0) => self.pick(&edge),
            (Ptr, 1 | 9) => self.result(),
            (Ptr, 2 | 10) => (SCRIPT_AT + self.below(MOST_STEPS * STEP_BYTES)) as i64,
            (Ptr, _) => (12288 + 8 * self.below(20_000)) as i64,
            (Key, 0) => self.pick(&KEYS),
            (Key, 1) => self.pick(&edge),
            (Key, _) => KEYS[self.below(3)],
            (Len, 0) => self.pick(&[-1, i64::from(i32::MAX), i64::from(i32::MIN), MEMORY, 65537]),
            (Len, 1) => self.pick(&[0, 1, 3, 65536]),
            (Len, _) => 8 * self.below(16) as i64 + i64::from(self.below(20) == 0),
            (Total, 0) => self.pick(&[-1, i64::from(i32::MIN), 0, 65535, 65536, 65537, 1 << 20]),
            (Total, 1) => self.pick(&[i64::from(i32::MAX), i64::from(i32::MAX) - 7]) / 64,
            (Total, 2) => 8 * self.below(20_000) as i64,
            (Total, _) => self.pick(&[0, 8, 64, 128, 100_000]),
            (Wide, 0) => self.pick(&[i64::MAX, i64::MIN, -1, 1 << 33]),
            (Wide, _) => self.below(200) as i64,
            (Real, n) => [1.0, 0.0, -0.5, f64::NAN, f64::MAX][n % 5].to_bits().cast_signed(),
            (Flag, 0) => self.pick(&[-1, 2, 111]),
            (Flag, n) => (n % 2) as i64,
            (Small, 0) => self.pick(&[-1, 99, i64::from(i32::MAX), i64::from(i32::MIN)]),
            (Small, 1 | 2) => self.below(6) as i64,
            (Small, _) => self.result(),
        }
    }

    fn script(&mut self) -> Vec<u8> {
        let mut bytes = 2u64.to_le_bytes().to_vec();
        for _ in 0..1 + self.below(MOST_STEPS) {
            let functions = all().count();
            let number = self.below(functions + 1);
            bytes.extend((number as u64).to_le_bytes());
            let kinds = all().nth(number).map_or(&[][..], |(_, (_, kinds, _))| *kinds);
            let mut args: Vec<i64> = kinds.iter().map(|&kind| self.argument(kind)).collect();
            args.resize(ARGUMENTS, 0);
            args.iter().for_each(|arg| bytes.extend(arg.to_le_bytes()));
        }
        bytes
    }
}

/// Keeps nothing of what is said but the number of failures.
#[derive(Debug, Default)]
struct Quiet;

impl Sink for Quiet {
    fn write(&self, _: Stream, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
    fn is_terminal(&self, _: Stream) -> bool {
        false
    }
}

/// Says which seed failed when its round ends in a panic.
struct NameOnPanic(u64);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("MOBULA_FUZZ_SEED={}", self.0);
        }
    }
}

/// A function of somebody else's that counts in a window and returns the count.
const BYSTANDER: &str = r#"(module
    (import "env" "__faasm_read_state_ptr" (func $window (param i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "a\00")
    (func (export "_faasm_func_0") (result i32) (local $w i32)
      (local.set $w (call $window (i32.const 0) (i32.const 64)))
      (i32.store (local.get $w) (i32.add (i32.load (local.get $w)) (i32.const 1)))
      (i32.load (local.get $w))))"#;

fn seconds() -> u64 {
    let set = std::env::var("MOBULA_FUZZ_SECONDS").ok();
    set.map_or(60, |text| text.parse().expect("MOBULA_FUZZ_SECONDS is a number"))
}

fn first_seed() -> u64 {
    let set = std::env::var("MOBULA_FUZZ_SEED").ok();
    set.map_or(1, |text| text.parse().expect("MOBULA_FUZZ_SEED is a number"))
}

fn runtime(wasm: &[u8]) -> Arc<Runtime> {
    let timeout = Some(Duration::from_secs(2));
    let config =
        Config { timeout, max_faaslets: 48, track_writes: true, max_memory: 1 << 20, ..threads(2) };
    let runtime = Arc::new(Runtime::new(config, Arc::new(Quiet)).unwrap());
    runtime.register("hostile", "f", wasm).unwrap();
    runtime.register("other", "g", &wat::parse_str(BYSTANDER).unwrap()).unwrap();
    runtime
}

#[test]
fn no_guest_hurts_anything_but_its_own_call() {
    let wasm = guest();
    let end = Instant::now() + Duration::from_secs(seconds());
    let (mut seed, mut calls, mut failed, mut steps) = (first_seed(), 0u64, 0u64, 0u64);
    while Instant::now() < end {
        let runtime = runtime(&wasm);
        for round in 1..=200i32 {
            let script = Random::new(seed).script();
            steps += (script.len() / STEP_BYTES) as u64;
            let shared = runtime.clone();
            let _name = NameOnPanic(seed);
            watchdog(move || shared.call("hostile", "f", 0, script).unwrap());
            let shared = runtime.clone();
            let bystander = watchdog(move || shared.call("other", "g", 0, Vec::new()).unwrap());
            assert_eq!(bystander.outcome, Outcome::Returned(round), "seed {seed}");
            seed += 1;
        }
        let other = runtime.state().user("other").known(b"a").unwrap();
        let bytes = other.bytes().read_vec(0, 64).unwrap();
        assert!(bytes[..4] == 200i32.to_le_bytes() && bytes[4..].iter().all(|b| *b == 0), "{seed}");
        let report = runtime.report();
        calls += report.calls;
        failed += report.failed_calls;
    }
    println!("{calls} calls, {failed} of them refused, {steps} first steps, seeds to {seed}");
    assert!(calls > failed && failed > 0, "scripts are neither all refused nor all tame");
}

#[test]
fn every_host_function_is_tried() {
    let text = include_str!("../../guest-lib/src/abi.rs");
    let quoted = text.split('"').skip(1).step_by(2);
    let functions = quoted.filter(|name| {
        (name.starts_with("__faasm_") || name.starts_with("__mobula_"))
            && !["__mobula_main", "__mobula_init", "__mobula_call_pointer"].contains(name)
    });
    for name in functions {
        assert!(OURS.iter().any(|(ours, ..)| *ours == name), "{name} is not in the list");
    }
}
