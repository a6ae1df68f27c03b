//! What the runtime's tests share: guests in text form, a sink that remembers, a watchdog.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mobula_runtime::fabric::Local;
use mobula_runtime::{Config, Finished, Outcome, Runtime, Sink, Stream};

/// Imports that most guests here use; `{chain}` etc. need the memory for inputs.
pub const PRELUDE: &str = r#"
(import "env" "__faasm_chain_this" (func $chain (param i32 i32 i32) (result i32)))
(import "env" "__faasm_await_call" (func $await (param i32) (result i32)))
(import "env" "__faasm_await_call_output" (func $await_output (param i32 i32 i32) (result i32)))
(import "env" "__faasm_read_input" (func $input (param i32 i32) (result i32)))
(import "env" "__faasm_write_output" (func $output (param i32 i32)))
(import "env" "__faasm_read_state_ptr" (func $window (param i32 i32) (result i32)))
(import "env" "__faasm_read_state_offset_ptr" (func $window_at (param i32 i32 i32 i32) (result i32)))
(import "env" "__faasm_write_state" (func $write (param i32 i32 i32)))
(import "env" "__faasm_read_state" (func $read (param i32 i32 i32) (result i32)))
(import "env" "__faasm_lock_state_write" (func $lock (param i32)))
(import "env" "__faasm_unlock_state_write" (func $unlock (param i32)))
(import "env" "__faasm_lock_state_read" (func $lock_read (param i32)))
(import "env" "__faasm_unlock_state_read" (func $unlock_read (param i32)))
(import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
"#;

/// The rest of the state interface, to stand in front of a body.
pub const STATE: &str = r#"
(import "env" "__faasm_read_state_offset" (func $read_at (param i32 i32 i32 i32 i32)))
(import "env" "__faasm_write_state_offset" (func $write_at (param i32 i32 i32 i32 i32)))
(import "env" "__faasm_flag_state_dirty" (func $flag (param i32 i32)))
(import "env" "__faasm_flag_state_offset_dirty" (func $flag_at (param i32 i32 i32 i32)))
(import "env" "__faasm_push_state" (func $push (param i32)))
(import "env" "__faasm_push_state_partial" (func $push_partial (param i32)))
(import "env" "__faasm_push_state_partial_mask" (func $push_masked (param i32 i32)))
(import "env" "__faasm_pull_state" (func $pull (param i32 i32)))
(import "env" "__faasm_append_state" (func $append (param i32 i32 i32)))
(import "env" "__faasm_read_appended_state" (func $read_appended (param i32 i32 i32 i32)))
(import "env" "__faasm_clear_appended_state" (func $clear_appended (param i32)))
(import "env" "__faasm_lock_state_global" (func $lock_global (param i32)))
(import "env" "__faasm_unlock_state_global" (func $unlock_global (param i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
"#;

/// Naive Fibonacci by chained calls: every call chains two and awaits them.
pub const FIB: &str = r#"(memory 1)
    (func (export "_faasm_func_0") (result i32) (local $n i32) (local $a i32) (local $b i32)
      (drop (call $input (i32.const 0) (i32.const 4)))
      (if (i32.lt_u (local.tee $n (i32.load (i32.const 0))) (i32.const 2)) (then (return (local.get $n))))
      (i32.store (i32.const 0) (i32.sub (local.get $n) (i32.const 1)))
      (local.set $a (call $chain (i32.const 0) (i32.const 0) (i32.const 4)))
      (i32.store (i32.const 0) (i32.sub (local.get $n) (i32.const 2)))
      (local.set $b (call $chain (i32.const 0) (i32.const 0) (i32.const 4)))
      (i32.add (call $await (local.get $a)) (call $await (local.get $b))))"#;

/// Entry 0 of a guest with 8 pages: chains entry 1 `n` times, each with its number, and adds up what they
/// return.
pub fn fan_out(n: u32) -> String {
    format!(
        r#"(func (export "_faasm_func_0") (result i32) (local $i i32) (local $s i32)
          (loop $l
            (i32.store (i32.const 0) (local.get $i))
            (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4)))
              (call $chain (i32.const 1) (i32.const 0) (i32.const 4)))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {n}))))
          (local.set $i (i32.const 0))
          (loop $l
            (local.set $s (i32.add (local.get $s) (call $await
              (i32.load (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4)))))))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {n}))))
          (local.get $s))"#
    )
}

/// Remembers what was printed.
#[derive(Debug, Default)]
pub struct Remember(pub Mutex<(String, String)>);

impl Sink for Remember {
    fn write(&self, stream: Stream, bytes: &[u8]) -> std::io::Result<()> {
        let mut texts = self.0.lock().unwrap();
        let text = String::from_utf8_lossy(bytes);
        match stream {
            Stream::Stdout => texts.0.push_str(&text),
            Stream::Stderr => texts.1.push_str(&text),
        }
        Ok(())
    }
    fn is_terminal(&self, _: Stream) -> bool {
        false
    }
}

impl Remember {
    pub fn stdout(&self) -> String {
        self.0.lock().unwrap().0.clone()
    }
    pub fn stderr(&self) -> String {
        self.0.lock().unwrap().1.clone()
    }
}

/// A runtime with one function, `u/f`.
pub struct Guest {
    pub runtime: Arc<Runtime>,
    pub said: Arc<Remember>,
}

/// A configuration with so many threads, not pinned, because tests run side by side.
pub fn threads(threads: usize) -> Config {
    Config { threads, cpus: Vec::new(), ..Config::default() }
}

impl Guest {
    /// Registers `(module PRELUDE body)` as `u/f`.
    pub fn new(config: Config, body: &str) -> Self {
        let said = Arc::new(Remember::default());
        let runtime = Arc::new(Runtime::new(config, said.clone()).unwrap());
        let guest = Self { runtime, said };
        guest.register("u", "f", body);
        guest
    }

    pub fn register(&self, user: &str, name: &str, body: &str) {
        let wasm = wat::parse_str(format!("(module {PRELUDE} {body})")).unwrap();
        self.runtime.register(user, name, &wasm).unwrap();
    }

    /// Calls an entry of `u/f`; a call that does not end fails the test.
    pub fn call(&self, entry: i32) -> Finished {
        self.call_with(entry, &[])
    }

    pub fn call_with(&self, entry: i32, input: &[u8]) -> Finished {
        let (runtime, input) = (self.runtime.clone(), input.to_vec());
        watchdog(move || runtime.call("u", "f", entry, input).unwrap())
    }

    /// Calls an entry that must return normally; its value.
    pub fn value(&self, entry: i32) -> i32 {
        match self.call(entry).outcome {
            Outcome::Returned(value) => value,
            other => panic!("{other:?}\n{}", self.said.stderr()),
        }
    }

    /// Calls an entry with an input; the value it must return.
    pub fn value_with(&self, entry: i32, input: &[u8]) -> i32 {
        match self.call_with(entry, input).outcome {
            Outcome::Returned(value) => value,
            other => panic!("{other:?}\n{}", self.said.stderr()),
        }
    }

    /// The bytes of a value of user `u`.
    pub fn state(&self, key: &str) -> Vec<u8> {
        let value = self.runtime.state().user("u").known(key.as_bytes()).unwrap();
        value.bytes().read_vec(0, value.bytes().len()).unwrap()
    }

    /// Gives user `u` a value.
    pub fn set_state(&self, key: &str, bytes: &[u8]) {
        let value = self.runtime.state().user("u").with_len(key.as_bytes(), bytes.len() as u64);
        value.unwrap().bytes().copy_in(0, bytes).unwrap();
    }

    /// Calls an entry that must fail; why it did.
    pub fn failure(&self, entry: i32) -> String {
        let outcome = self.call(entry).outcome;
        outcome.failure().unwrap_or_else(|| panic!("it ended well: {outcome:?}")).to_owned()
    }
}

/// Runs `f` on a thread of its own and panics if it hangs: far longer than anything takes on a busy machine.
pub fn watchdog<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, receive) = channel();
    let thread = std::thread::spawn(move || send.send(f()).unwrap());
    match receive.recv_timeout(Duration::from_secs(240)) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("no end after four minutes"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the thread sends before it ends"),
        },
    }
}

/// A job of several ranks in this process; rank 0 is driven by the test, the others serve.
pub struct Ranks {
    pub first: Guest,
    pub fabric: Arc<Local>,
    others: Vec<std::thread::JoinHandle<()>>,
}

impl Ranks {
    /// A rank for each entry of `hosts`, which says on which host it is, with so many threads each.
    /// `(module PRELUDE body)` is `u/f`.
    pub fn new(hosts: &[u32], config: impl Fn() -> Config, body: &str) -> Self {
        let said = Arc::new(Remember::default());
        let mut ends = Local::ranks(hosts).into_iter();
        let fabric = ends.next().unwrap();
        let others = ends.map(|end| {
            let (config, said) = (config(), said.clone());
            std::thread::spawn(move || {
                let runtime = Runtime::join(config, said, end).unwrap();
                runtime.serve().unwrap();
            })
        });
        let others = others.collect();
        let runtime = Arc::new(Runtime::join(config(), said.clone(), fabric.clone()).unwrap());
        let first = Guest { runtime, said };
        first.register("u", "f", body);
        Self { first, fabric, others }
    }

    /// Ends the job and waits for every rank.
    pub fn end(self) {
        drop(self.first);
        let others = self.others;
        watchdog(move || others.into_iter().for_each(|rank| rank.join().unwrap()));
    }
}
