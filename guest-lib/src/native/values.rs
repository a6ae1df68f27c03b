//! Values and records by their keys.
//!
//! ```text
//!  VALUES: key ─▶ Slot { value ─▶ Arc<Value { words, len }>, records }
//!                          ▲
//!  OpenWindow of a call ───┘   while there is one, the value is neither resized nor removed
//! ```
//!
//! Bytes are copied outside of the table's lock, element by element and relaxed, as windows are
//! written to: who shares bytes between calls that run at once uses locks or atomics.

use std::boxed::Box;
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Mutex};
use std::vec::Vec;

use super::locked;
use crate::abi;
use crate::sys::atomic::Word;
use crate::sys::memory::Elements;

/// A named array of bytes. A resize makes another one.
pub(super) struct Value {
    words: Box<[AtomicU64]>,
    len: usize,
}

/// A window of a call.
pub(super) struct OpenWindow {
    /// Keeps the words, and counts.
    _value: Arc<Value>,
    pub(super) start: usize,
}

impl OpenWindow {
    pub(super) fn new(value: Arc<Value>, start: *mut u8) -> Self {
        Self { _value: value, start: start.addr() }
    }
}

#[derive(Default)]
struct Slot {
    value: Option<Arc<Value>>,
    records: Vec<Vec<u8>>,
}

static VALUES: LazyLock<Mutex<HashMap<CString, Slot>>> = LazyLock::new(Mutex::default);

const WORD: usize = size_of::<u64>();

impl Value {
    fn zeros(len: usize) -> Self {
        Self { words: bytemuck::zeroed_slice_box(len.div_ceil(WORD)), len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Address of a byte. Words are written to through shared references, so may be these bytes.
    pub(super) fn at(&self, offset: usize) -> *mut u8 {
        self.words.as_ptr().cast_mut().cast::<u8>().wrapping_add(offset)
    }

    /// Checks a range and cuts it into bytes before the first whole word, words, and bytes behind.
    fn cut(&self, function: &str, key: &CString, offset: usize, len: usize) -> (usize, usize) {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(
            inside,
            "{function}: key {key:?} has {} bytes; offset {offset} and length {len} lie outside",
            self.len
        );
        let head = (offset.next_multiple_of(WORD) - offset).min(len);
        (head, (len - head) / WORD)
    }

    fn bytes(&self, offset: usize, len: usize) -> Elements<u8> {
        Elements::new(self.at(offset), len)
    }

    fn words(&self, offset: usize, len: usize) -> Elements<u64> {
        Elements::new(self.at(offset), len)
    }

    pub(super) fn read(&self, function: &str, key: &CString, offset: usize, to: &mut [u8]) {
        let (head, count) = self.cut(function, key, offset, to.len());
        let (first, rest) = to.split_at_mut(head);
        let (middle, last) = rest.split_at_mut(count * WORD);
        let copy = |from: Elements<u8>, to: &mut [u8]| {
            to.iter_mut().enumerate().for_each(|(at, byte)| *byte = from.get(at));
        };
        copy(self.bytes(offset, head), first);
        if count > 0 {
            let from = self.words(offset + head, count);
            for (at, word) in middle.chunks_exact_mut(WORD).enumerate() {
                word.copy_from_slice(&from.get(at).to_ne_bytes());
            }
        }
        copy(self.bytes(offset + head + count * WORD, last.len()), last);
    }

    pub(super) fn write(&self, function: &str, key: &CString, offset: usize, from: &[u8]) {
        let (head, count) = self.cut(function, key, offset, from.len());
        let (first, rest) = from.split_at(head);
        let (middle, last) = rest.split_at(count * WORD);
        let copy = |to: Elements<u8>, from: &[u8]| {
            from.iter().enumerate().for_each(|(at, &byte)| to.set(at, byte));
        };
        copy(self.bytes(offset, head), first);
        if count > 0 {
            let to = self.words(offset + head, count);
            for (at, word) in middle.chunks_exact(WORD).enumerate() {
                to.set(at, bytemuck::pod_read_unaligned(word));
            }
        }
        copy(self.bytes(offset + head + count * WORD, last.len()), last);
    }

    /// Combines elements with those at this offset, each atomically.
    pub(super) fn merge(&self, key: &CString, offset: usize, from: &[u8], (of, op): (i32, i32)) {
        let narrow = [abi::TYPE_I32, abi::TYPE_F32].contains(&of);
        let size = if narrow { 4 } else { 8 };
        assert!(
            offset.is_multiple_of(size) && from.len().is_multiple_of(size),
            "merge: key {key:?}: offset {offset} and length {} are no multiples of {size}",
            from.len()
        );
        self.cut("merge", key, offset, from.len());
        for (at, with) in from.chunks_exact(size).enumerate() {
            let place = self.at(offset + at * size);
            if narrow {
                let with = bytemuck::pod_read_unaligned(with);
                let word = Elements::<u32>::new(place, 1);
                update(|| word.atomic(0), |old| u64::from(merged32(old as u32, with, of, op)));
            } else {
                let with = bytemuck::pod_read_unaligned(with);
                let word = Elements::<u64>::new(place, 1);
                update(|| word.atomic(0), |old| merged64(old, with, of, op));
            }
        }
    }
}

fn update<'a>(word: impl Fn() -> Word<'a>, change: impl Fn(u64) -> u64) {
    let mut seen = word().load();
    loop {
        let found = word().compare_exchange(seen, change(seen));
        if found == seen {
            return;
        }
        seen = found;
    }
}

fn merged<T: PartialOrd>(old: T, with: T, op: i32, sum: fn(T, T) -> T) -> T {
    // A number is preferred to a NaN, which compares to nothing.
    let keep = match op {
        abi::OP_SUM => return sum(old, with),
        abi::OP_MIN => old <= with,
        _ => old >= with,
    };
    if keep || with.partial_cmp(&with).is_none() { old } else { with }
}

fn merged32(old: u32, with: u32, of: i32, op: i32) -> u32 {
    if of == abi::TYPE_F32 {
        return merged(f32::from_bits(old), f32::from_bits(with), op, |a, b| a + b).to_bits();
    }
    merged(old.cast_signed(), with.cast_signed(), op, i32::wrapping_add).cast_unsigned()
}

fn merged64(old: u64, with: u64, of: i32, op: i32) -> u64 {
    if of == abi::TYPE_F64 {
        return merged(f64::from_bits(old), f64::from_bits(with), op, |a, b| a + b).to_bits();
    }
    merged(old.cast_signed(), with.cast_signed(), op, i64::wrapping_add).cast_unsigned()
}

/// Whether a call has a window on it: the table and whoever copies hold it, too, but not for long.
fn is_open(value: &Arc<Value>) -> bool {
    Arc::strong_count(value) > 1
}

/// The value, if there is one.
pub(super) fn get(key: &CString) -> Option<Arc<Value>> {
    locked(&VALUES).get(key)?.value.clone()
}

/// The value of this length; made of zeros if there is none.
pub(super) fn sized(function: &str, key: &CString, total: usize) -> Arc<Value> {
    let mut values = locked(&VALUES);
    let slot = values.entry(key.clone()).or_default();
    let value = Arc::clone(slot.value.get_or_insert_with(|| Arc::new(Value::zeros(total))));
    drop(values);
    assert!(
        value.len == total,
        "{function}: key {key:?} has {} bytes, not {total}; the first use of a key fixes its length",
        value.len
    );
    value
}

/// The value of a key that has one.
pub(super) fn known(function: &str, key: &CString) -> Arc<Value> {
    get(key).unwrap_or_else(|| {
        panic!(
            "{function}: key {key:?} has no value yet; write it, or name its total length, first"
        )
    })
}

/// Replaces the whole value.
pub(super) fn write_whole(key: &CString, from: &[u8]) {
    let mut values = locked(&VALUES);
    let slot = values.entry(key.clone()).or_default();
    let old = slot.value.take_if(|value| value.len != from.len());
    if let Some(old) = old.filter(is_open) {
        let len = old.len;
        slot.value = Some(old);
        drop(values);
        panic!(
            "write: key {key:?} cannot go from {len} to {} bytes while a window is open on it",
            from.len()
        );
    }
    let fresh = || Arc::new(Value::zeros(from.len()));
    let value = Arc::clone(slot.value.get_or_insert_with(fresh));
    drop(values);
    value.write("write", key, 0, from);
}

/// Removes a value.
pub(super) fn delete(key: &CString) {
    let mut values = locked(&VALUES);
    let Some(slot) = values.get_mut(key) else { return };
    let open = slot.value.as_ref().is_some_and(is_open);
    if !open {
        slot.value = None;
    }
    drop(values);
    assert!(!open, "delete: key {key:?} cannot be deleted while a call has a window on it");
}

pub(super) fn append(key: &CString, record: &[u8]) {
    locked(&VALUES).entry(key.clone()).or_default().records.push(record.to_vec());
}

pub(super) fn clear_records(key: &CString) {
    locked(&VALUES).entry(key.clone()).or_default().records.clear();
}

/// The first `n` records, one after the other.
pub(super) fn records(key: &CString, n: usize) -> Vec<u8> {
    let mut values = locked(&VALUES);
    let records = &values.entry(key.clone()).or_default().records;
    let (count, bytes) = (records.len(), records.iter().take(n).flatten().copied().collect());
    drop(values);
    assert!(n <= count, "appended: key {key:?} has {count} records, not {n}");
    bytes
}
