//! The functions of `sys`, by values, locks and calls of this process.

use std::ffi::CString;
use std::ops::Range;
use std::sync::Mutex;
use std::vec::Vec;

use super::locks::{Mode, lock, unlock};
use super::pool::{self, Call, Job, current};
use super::values::{self, OpenWindow};
use super::{locked, program};
use crate::sys::views::Views;

pub(crate) fn read_input() -> Vec<u8> {
    current().input.clone()
}

pub(crate) fn write_output(bytes: &[u8]) {
    locked(&current().own).output = bytes.to_vec();
}

pub(crate) fn current_index() -> u32 {
    current().index
}

pub(crate) fn conf_flag(key: &CString) -> bool {
    program::conf_flag(key)
}

pub(crate) fn chain_function(name: &CString, input: &[u8]) -> u32 {
    let other = program::named(name);
    let run = {
        let input = input.to_vec();
        move || other.run(&input)
    };
    pool::chain(Call::new(0, Vec::new(), Job::Other(std::boxed::Box::new(run))))
}

pub(crate) fn chain_this(idx: u32, input: &[u8]) -> u32 {
    pool::chain(Call::new(idx, input.to_vec(), Job::Entry(program::entry(idx))))
}

/// Several parts for each thread, so that fast ones take more.
const PARTS_OF_THREAD: usize = 4;

pub(crate) fn chain_range(idx: u32, indices: Range<usize>, grain: usize, input: &[u8]) -> u32 {
    let entry = program::entry(idx);
    let parts = PARTS_OF_THREAD * pool::threads();
    let step = indices.len().div_ceil(parts).max(grain).max(1);
    let part = |lo: usize| {
        let mut call = Call::new(idx, input.to_vec(), Job::Entry(entry));
        call.range = Some(lo..indices.end.min(lo.saturating_add(step)));
        call
    };
    pool::chain_loop(indices.clone().step_by(step).map(part).collect())
}

pub(crate) fn range() -> Option<Range<usize>> {
    current().range.clone()
}

pub(crate) fn chain_at(_: &CString, _: usize, idx: u32, input: &[u8]) -> u32 {
    chain_this(idx, input)
}

pub(crate) fn await_any(ids: &[u32]) -> u32 {
    pool::await_any(ids)
}

pub(crate) fn await_call(id: u32) -> i32 {
    pool::await_call(id)
}

pub(crate) fn await_output(id: u32) -> (i32, Vec<u8>) {
    pool::await_output(id)
}

pub(crate) fn state_size(key: &CString) -> usize {
    values::get(key).map_or(0, |value| value.len())
}

pub(crate) fn read_state(key: &CString, to: &mut [u8]) -> usize {
    let Some(value) = values::get(key) else { return 0 };
    let len = value.len().min(to.len());
    value.read("read", key, 0, &mut to[..len]);
    len
}

pub(crate) fn write_state(key: &CString, from: &[u8]) {
    values::write_whole(key, from);
}

pub(crate) fn read_state_offset(key: &CString, total: usize, offset: usize, to: &mut [u8]) {
    values::sized("read_at", key, total).read("read_at", key, offset, to);
}

pub(crate) fn write_state_offset(key: &CString, total: usize, offset: usize, from: &[u8]) {
    values::sized("write_at", key, total).write("write_at", key, offset, from);
}

pub(crate) fn open_window(key: &CString, total: usize, offset: usize, len: usize) -> *mut u8 {
    let value = values::sized("window", key, total);
    value.read("window", key, offset + len, &mut []);
    let start = value.at(offset);
    let me = current();
    locked(&me.own).windows.push(OpenWindow::new(value, start));
    start
}

pub(crate) fn close_window(start: *mut u8) {
    let me = current();
    locked(&me.own).windows.retain(|window| window.start != start.addr());
}

pub(crate) fn flag_state(key: &CString, total: usize) {
    values::sized("flag", key, total);
}

pub(crate) fn flag_state_offset(key: &CString, total: usize, offset: usize, len: usize) {
    values::sized("flag_at", key, total).read("flag_at", key, offset + len, &mut []);
}

/// There is one host, which is home.
pub(crate) fn push_state(key: &CString) {
    values::known("push", key);
}

pub(crate) fn push_state_partial(key: &CString) {
    values::known("push_partial", key);
}

pub(crate) fn push_state_masked(key: &CString, mask: &CString) {
    let value = values::known("push_masked", key);
    let (len, name) = (value.len(), mask);
    let mask = values::known("push_masked", mask);
    assert!(
        mask.len() == len,
        "push_masked: key {key:?} has {len} bytes, its mask {name:?} has {}",
        mask.len()
    );
    mask.write("push_masked", name, 0, &std::vec![0; len]);
}

pub(crate) fn push_merge(key: &CString, _: i32, _: i32) {
    values::known("push_merge", key);
}

pub(crate) fn merge_state(
    key: &CString,
    total: usize,
    offset: usize,
    from: &[u8],
    how: (i32, i32),
) {
    values::sized("merge", key, total).merge(key, offset, from, how);
}

pub(crate) fn create_state(key: &CString, len: usize) {
    values::sized("create", key, len);
}

pub(crate) fn delete_state(key: &CString) {
    values::delete(key);
}

pub(crate) fn pull_state(key: &CString, len: usize) {
    values::sized("pull", key, len);
}

pub(crate) fn append_state(key: &CString, record: &[u8]) {
    values::append(key, record);
}

pub(crate) fn read_appended_state(key: &CString, to: &mut [u8], n: usize) {
    let bytes = values::records(key, n);
    assert!(
        bytes.len() <= to.len(),
        "appended: key {key:?}: {n} records have {} bytes, not {}",
        bytes.len(),
        to.len()
    );
    to[..bytes.len()].copy_from_slice(&bytes);
}

pub(crate) fn clear_appended_state(key: &CString) {
    values::clear_records(key);
}

pub(crate) fn lock_read(key: &CString) {
    lock(key, Mode::Read);
}

pub(crate) fn unlock_read(key: &CString) {
    unlock(key, Mode::Read);
}

pub(crate) fn lock_write(key: &CString) {
    lock(key, Mode::Write);
}

pub(crate) fn unlock_write(key: &CString) {
    unlock(key, Mode::Write);
}

pub(crate) fn lock_global(key: &CString) {
    lock(key, Mode::Global);
}

pub(crate) fn unlock_global(key: &CString) {
    unlock(key, Mode::Global);
}

static VIEWS: Mutex<Views> = Mutex::new(Views::new());

pub(crate) fn with_views<R>(what: impl FnOnce(&mut Views) -> R) -> R {
    what(&mut locked(&VIEWS))
}

/// Number of the call that runs.
pub(crate) fn current_call() -> u64 {
    current().number
}
