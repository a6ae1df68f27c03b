//! A store behind a rank: what is asked for, how often, and what happens when it fails.

mod common;

use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Guest, PRELUDE, STATE, threads};
use mobula_runtime::{Config, Records, Store, StoreError, StoredValue};

/// A store in memory that counts what it is asked for.
#[derive(Debug, Default)]
struct Memory {
    functions: HashMap<String, Vec<u8>>,
    values: HashMap<Vec<u8>, Vec<u8>>,
    /// Keys whose reading ends with an error.
    broken: Vec<Vec<u8>>,
    records: HashMap<Vec<u8>, Records>,
    asked: AtomicUsize,
    names: Mutex<Vec<String>>,
}

impl Memory {
    fn note(&self, what: String) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.names.lock().unwrap().push(what);
        // So that others come while this one is at it.
        std::thread::sleep(Duration::from_millis(20));
    }

    fn times(&self, what: &str) -> usize {
        self.names.lock().unwrap().iter().filter(|name| *name == what).count()
    }
}

/// Fails where it should end.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("its sum is wrong"))
    }
}

impl Store for Memory {
    fn function(&self, user: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.note(format!("function {user}/{name}"));
        if name == "locked" {
            let what = format!("function {user}/{name}");
            return Err(StoreError { what, reason: "permission denied".into() });
        }
        Ok(self.functions.get(name).cloned())
    }

    fn function_names(&self, _: &str) -> Vec<String> {
        self.functions.keys().cloned().collect()
    }

    fn value(&self, user: &str, key: &[u8]) -> Result<Option<StoredValue>, StoreError> {
        self.note(format!("value {user}/{}", key.escape_ascii()));
        let bytes = self.values.get(key).cloned();
        Ok(bytes.map(|bytes| {
            let len = bytes.len() as u64;
            let end: Box<dyn Read + Send> = if self.broken.contains(&key.to_vec()) {
                Box::new(Broken)
            } else {
                Box::new(std::io::empty())
            };
            StoredValue { len, bytes: Box::new(std::io::Cursor::new(bytes).chain(end)) }
        }))
    }

    fn records(&self, user: &str, key: &[u8]) -> Result<Option<Records>, StoreError> {
        self.note(format!("records {user}/{}", key.escape_ascii()));
        Ok(self.records.get(key).cloned())
    }
}

fn guest(store: Memory, n: usize, body: &str) -> (Guest, Arc<Memory>) {
    let store = Arc::new(store);
    let config = Config { store: Some(store.clone()), ..threads(n) };
    (Guest::new(config, body), store)
}

fn module(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {PRELUDE} {body})")).unwrap()
}

const CHAIN: &str = r#"(import "env" "__faasm_chain_function"
    (func $chain_name (param i32 i32 i32) (result i32)))"#;

/// Entry 0 chains the function named at 64 sixteen times by way of entry 1; returns the sum.
fn chains(name: &str) -> String {
    let mut calls = String::new();
    for i in 0..16 {
        calls += &format!(
            "(i32.store (i32.const {}) (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))\n",
            1024 + 4 * i
        );
    }
    let awaits = (0..16).map(|i| {
        format!(
            "(local.set $s (i32.add (local.get $s) (call $await (i32.load (i32.const {})))))\n",
            1024 + 4 * i
        )
    });
    format!(
        r#"{CHAIN} (memory 1) (data (i32.const 64) "{name}\00")
        (func (export "_faasm_func_0") (result i32) (local $s i32) {calls} {} (local.get $s))
        (func (export "_faasm_func_1") (result i32)
          (call $await (call $chain_name (i32.const 64) (i32.const 0) (i32.const 0))))"#,
        awaits.collect::<String>()
    )
}

const THREE: &str = r#"(memory 1) (func (export "_faasm_func_0") (result i32) i32.const 3)"#;

#[test]
fn a_function_is_loaded_once_however_many_chain_it() {
    let functions = HashMap::from([("other".to_owned(), module(THREE))]);
    let (guest, store) = guest(Memory { functions, ..Memory::default() }, 4, &chains("other"));
    assert_eq!(guest.value(0), 48);
    assert_eq!(guest.value(0), 48);
    assert_eq!(store.times("function u/other"), 1);
    assert_eq!(store.asked.load(Ordering::Relaxed), 1, "what is registered is not asked for");
}

#[test]
fn functions_that_cannot_be_had_fail_their_caller_and_say_why() {
    for (name, wasm, says) in [
        ("none", None, "user u has no function \"none\"; it has f"),
        ("locked", None, "the store cannot give function u/locked: permission denied"),
        ("bad", Some(b"nonsense".to_vec()), "function u/bad of the store: not a valid"),
    ] {
        let functions = wasm.into_iter().map(|wasm| (name.to_owned(), wasm)).collect();
        let (guest, _) = guest(Memory { functions, ..Memory::default() }, 2, &chains(name));
        assert!(guest.value(0) < 0, "each child fails");
        assert!(guest.said.stderr().contains(says), "{}", guest.said.stderr());
    }
}

/// Entry 0: how long "k" is. 1: first byte of a window of 4. 2: writes "k" whole, 1 byte.
/// 3: appends "x", then all three records to the output. 4: many calls of 1 at once.
fn uses_state() -> String {
    let calls: String = (0..8)
        .map(|i| {
            format!(
                "(i32.store (i32.const {}) (call $chain (i32.const 1) (i32.const 0) (i32.const 0)))",
                1024 + 4 * i
            )
        })
        .collect();
    let awaits: String = (0..8)
        .map(|i| format!("(drop (call $await (i32.load (i32.const {}))))", 1024 + 4 * i))
        .collect();
    format!(
        r#"{STATE} (memory 1) (data (i32.const 8) "k\00") (data (i32.const 16) "x")
        (func (export "_faasm_func_0") (result i32)
          (call $read (i32.const 8) (i32.const 0) (i32.const 0)))
        (func (export "_faasm_func_1") (result i32)
          (i32.load8_u (call $window (i32.const 8) (i32.const 4))))
        (func (export "_faasm_func_2") (result i32)
          (call $write (i32.const 8) (i32.const 16) (i32.const 1)) i32.const 0)
        (func (export "_faasm_func_3") (result i32)
          (call $append (i32.const 8) (i32.const 16) (i32.const 1))
          (call $read_appended (i32.const 8) (i32.const 32) (i32.const 9) (i32.const 3))
          (call $output (i32.const 32) (i32.const 5)) i32.const 0)
        (func (export "_faasm_func_4") (result i32) {calls} {awaits} i32.const 0)"#
    )
}

fn with_value(bytes: &[u8]) -> Memory {
    Memory { values: HashMap::from([(b"k".to_vec(), bytes.to_vec())]), ..Memory::default() }
}

#[test]
fn a_value_is_read_once_at_its_first_use() {
    let (guest, store) = guest(with_value(b"abcd"), 4, &uses_state());
    assert_eq!(store.asked.load(Ordering::Relaxed), 0, "not before it is used");
    assert_eq!(guest.value(4), 0);
    assert_eq!((guest.value(1), guest.value(0)), (97, 4));
    assert_eq!(store.times("value u/k"), 1);
    assert_eq!(guest.state("k"), b"abcd");
}

#[test]
fn what_the_store_lacks_is_asked_for_once() {
    let (guest, store) = guest(Memory::default(), 2, &uses_state());
    assert_eq!((guest.value(0), guest.value(0)), (0, 0));
    assert_eq!((guest.value(1), guest.value(0)), (0, 4), "made of zeros");
    assert_eq!(store.times("value u/k"), 1);
}

#[test]
fn a_whole_write_does_not_read_what_it_replaces() {
    let (guest, store) = guest(with_value(b"abcd"), 2, &uses_state());
    assert_eq!((guest.value(2), guest.value(0)), (0, 1));
    assert_eq!(store.asked.load(Ordering::Relaxed), 0);
    assert_eq!(guest.state("k"), b"x");
}

#[test]
fn values_that_cannot_be_had_are_refusals_and_stay_unknown() {
    let broken = Memory { broken: vec![b"k".to_vec()], ..with_value(b"abcd") };
    let (first, store) = guest(broken, 2, &uses_state());
    for _ in 0..2 {
        let why = first.failure(1);
        assert!(why.contains("the store cannot give key \"k\": its sum is wrong"), "{why}");
    }
    assert_eq!(store.times("value u/k"), 2, "tried anew");
    assert!(first.runtime.state().user("u").get(b"k").is_none());
    assert_eq!((first.value(2), first.value(0)), (0, 1), "a whole write replaces it");
    let (other, _) = guest(with_value(b"abcde"), 2, &uses_state());
    let why = other.failure(1);
    assert!(why.contains("key \"k\" has 5 bytes, not 4"), "{why}");
}

#[test]
fn records_go_on_where_the_store_ends() {
    let mut records = Records::default();
    records.push(b"ab");
    records.push(b"cd");
    let records = HashMap::from([(b"k".to_vec(), records)]);
    let (guest, store) = guest(Memory { records, ..Memory::default() }, 2, &uses_state());
    assert_eq!(guest.call(3).output, b"abcdx");
    assert_eq!(store.times("records u/k"), 1);
    let all = guest.runtime.state().user("u").all_records();
    assert_eq!(all[0].1.iter().collect::<Vec<_>>(), [b"ab".as_slice(), b"cd", b"x"]);
}
