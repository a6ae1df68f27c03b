//! The host by the imports of a module, and the exports that every module has.
//!
//! Unsafe because a declaration of an import cannot be checked. Each block passes addresses and
//! lengths of slices that live as long as the host uses them, which is during the call; the host
//! checks them again against the guest's memory. Names and types are those of [`crate::abi`].

use core::cell::RefCell;
use core::ffi::c_char;
use core::ops::Range;

use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec;
use alloc::vec::Vec;

use super::views::Views;

/// Declares imports of the module `env`. All are safe to call with addresses of what lives: a
/// pointer that is wrong traps this call.
macro_rules! imports {
    ($($import:literal $name:ident($($arg:ident: $of:ty),*) $(-> $result:ty)?;)*) => {
        #[link(wasm_import_module = "env")]
        unsafe extern "C" {$(
            #[link_name = $import]
            safe fn $name($($arg: $of),*) $(-> $result)?;
        )*}
    };
}

type Name = *const c_char;
type Bytes = *const u8;

imports! {
    "__faasm_read_input" host_read_input(to: *mut u8, len: i32) -> i32;
    "__faasm_write_output" host_write_output(from: Bytes, len: i32);
    "__faasm_get_idx" host_get_idx() -> i32;
    "__faasm_get_conf_flag" host_get_conf_flag(key: Name) -> i32;
    "__faasm_chain_function" host_chain_function(name: Name, input: Bytes, len: i32) -> u32;
    "__faasm_chain_this" host_chain_this(idx: i32, input: Bytes, len: i32) -> u32;
    "__mobula_chain_range"
        host_chain_range(idx: i32, lo: i64, hi: i64, grain: i64, input: Bytes, len: i32) -> u32;
    "__mobula_get_range" host_get_range(lo: *mut i64, hi: *mut i64) -> i32;
    "__mobula_chain_at"
        host_chain_at(key: Name, offset: i64, idx: i32, input: Bytes, len: i32) -> u32;
    "__mobula_await_any" host_await_any(ids: *const u32, n: i32) -> u32;
    "__faasm_await_call" host_await_call(id: u32) -> i32;
    "__mobula_await_output_size" host_await_output_size(id: u32, size: *mut u32) -> i32;
    "__mobula_take_output" host_take_output(id: u32, to: *mut u8, len: i32) -> i32;
    "__faasm_read_state" host_read_state(key: Name, to: *mut u8, len: i32) -> i32;
    "__faasm_write_state" host_write_state(key: Name, from: Bytes, len: i32);
    "__faasm_read_state_offset"
        host_read_state_offset(key: Name, total: i32, offset: i32, to: *mut u8, len: i32);
    "__faasm_write_state_offset"
        host_write_state_offset(key: Name, total: i32, offset: i32, from: Bytes, len: i32);
    "__faasm_read_state_offset_ptr"
        host_window(key: Name, total: i32, offset: i32, len: i32) -> *mut u8;
    "__faasm_flag_state_dirty" host_flag_state(key: Name, total: i32);
    "__faasm_flag_state_offset_dirty"
        host_flag_state_offset(key: Name, total: i32, offset: i32, len: i32);
    "__faasm_push_state" host_push_state(key: Name);
    "__faasm_push_state_partial" host_push_state_partial(key: Name);
    "__faasm_push_state_partial_mask" host_push_state_masked(key: Name, mask: Name);
    "__mobula_push_merge" host_push_merge(key: Name, of: i32, op: i32);
    "__mobula_merge_state" host_merge_state(
        key: Name, total: i32, offset: i32, from: Bytes, len: i32, of: i32, op: i32);
    "__mobula_state_create" host_create_state(key: Name, len: i32);
    "__mobula_state_delete" host_delete_state(key: Name);
    "__mobula_unmap" host_unmap(window: *mut u8);
    "__faasm_pull_state" host_pull_state(key: Name, len: i32);
    "__faasm_append_state" host_append_state(key: Name, from: Bytes, len: i32);
    "__faasm_read_appended_state" host_read_appended(key: Name, to: *mut u8, len: i32, n: i32);
    "__faasm_clear_appended_state" host_clear_appended(key: Name);
    "__faasm_lock_state_read" host_lock_read(key: Name);
    "__faasm_unlock_state_read" host_unlock_read(key: Name);
    "__faasm_lock_state_write" host_lock_write(key: Name);
    "__faasm_unlock_state_write" host_unlock_write(key: Name);
    "__faasm_lock_state_global" host_lock_global(key: Name);
    "__faasm_unlock_state_global" host_unlock_global(key: Name);
}

/// A length or an offset as the host takes it.
fn long(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or_else(|_| panic!("{bytes} bytes: at most 2 GiB are possible"))
}

fn index(of: u32) -> i32 {
    i32::try_from(of).expect("the index of an entry is at most 2147483647")
}

pub(crate) fn read_input() -> Vec<u8> {
    let len = host_read_input(core::ptr::null_mut(), 0);
    let mut bytes = vec![0; usize::try_from(len).expect("a length is not negative")];
    if len > 0 {
        host_read_input(bytes.as_mut_ptr(), len);
    }
    bytes
}

pub(crate) fn write_output(bytes: &[u8]) {
    host_write_output(bytes.as_ptr(), long(bytes.len()));
}

pub(crate) fn current_index() -> u32 {
    host_get_idx().cast_unsigned()
}

pub(crate) fn conf_flag(key: &CString) -> bool {
    host_get_conf_flag(key.as_ptr()) != 0
}

pub(crate) fn chain_function(name: &CString, input: &[u8]) -> u32 {
    host_chain_function(name.as_ptr(), input.as_ptr(), long(input.len()))
}

pub(crate) fn chain_this(idx: u32, input: &[u8]) -> u32 {
    host_chain_this(index(idx), input.as_ptr(), long(input.len()))
}

pub(crate) fn chain_range(idx: u32, indices: Range<usize>, grain: usize, input: &[u8]) -> u32 {
    let (lo, hi, grain) = (indices.start as i64, indices.end as i64, grain as i64);
    host_chain_range(index(idx), lo, hi, grain, input.as_ptr(), long(input.len()))
}

pub(crate) fn range() -> Option<Range<usize>> {
    let (mut lo, mut hi) = (0, 0);
    if host_get_range(&raw mut lo, &raw mut hi) == 0 {
        return None;
    }
    // Another language may have started the loop with other indices.
    let index = |at: i64| usize::try_from(at).expect("the indices of the loop are those of memory");
    Some(index(lo)..index(hi))
}

pub(crate) fn chain_at(key: &CString, offset: usize, idx: u32, input: &[u8]) -> u32 {
    let (offset, len) = (offset as i64, long(input.len()));
    host_chain_at(key.as_ptr(), offset, index(idx), input.as_ptr(), len)
}

pub(crate) fn await_any(ids: &[u32]) -> u32 {
    host_await_any(ids.as_ptr(), long(ids.len()))
}

pub(crate) fn await_call(id: u32) -> i32 {
    host_await_call(id)
}

pub(crate) fn await_output(id: u32) -> (i32, Vec<u8>) {
    let mut size = 0;
    let code = host_await_output_size(id, &raw mut size);
    let mut bytes = vec![0; size as usize];
    host_take_output(id, bytes.as_mut_ptr(), long(bytes.len()));
    (code, bytes)
}

pub(crate) fn state_size(key: &CString) -> usize {
    host_read_state(key.as_ptr(), core::ptr::null_mut(), 0).cast_unsigned() as usize
}

pub(crate) fn read_state(key: &CString, to: &mut [u8]) -> usize {
    if to.is_empty() {
        return 0;
    }
    host_read_state(key.as_ptr(), to.as_mut_ptr(), long(to.len())).cast_unsigned() as usize
}

pub(crate) fn write_state(key: &CString, from: &[u8]) {
    host_write_state(key.as_ptr(), from.as_ptr(), long(from.len()));
}

pub(crate) fn read_state_offset(key: &CString, total: usize, offset: usize, to: &mut [u8]) {
    let (at, len) = (to.as_mut_ptr(), long(to.len()));
    host_read_state_offset(key.as_ptr(), long(total), long(offset), at, len);
}

pub(crate) fn write_state_offset(key: &CString, total: usize, offset: usize, from: &[u8]) {
    let (at, len) = (from.as_ptr(), long(from.len()));
    host_write_state_offset(key.as_ptr(), long(total), long(offset), at, len);
}

pub(crate) fn open_window(key: &CString, total: usize, offset: usize, len: usize) -> *mut u8 {
    host_window(key.as_ptr(), long(total), long(offset), long(len))
}

pub(crate) fn close_window(start: *mut u8) {
    host_unmap(start);
}

pub(crate) fn flag_state(key: &CString, total: usize) {
    host_flag_state(key.as_ptr(), long(total));
}

pub(crate) fn flag_state_offset(key: &CString, total: usize, offset: usize, len: usize) {
    host_flag_state_offset(key.as_ptr(), long(total), long(offset), long(len));
}

pub(crate) fn push_state(key: &CString) {
    host_push_state(key.as_ptr());
}

pub(crate) fn push_state_partial(key: &CString) {
    host_push_state_partial(key.as_ptr());
}

pub(crate) fn push_state_masked(key: &CString, mask: &CString) {
    host_push_state_masked(key.as_ptr(), mask.as_ptr());
}

pub(crate) fn push_merge(key: &CString, of: i32, op: i32) {
    host_push_merge(key.as_ptr(), of, op);
}

pub(crate) fn merge_state(
    key: &CString,
    total: usize,
    offset: usize,
    from: &[u8],
    (of, op): (i32, i32),
) {
    let (at, len) = (from.as_ptr(), long(from.len()));
    host_merge_state(key.as_ptr(), long(total), long(offset), at, len, of, op);
}

pub(crate) fn create_state(key: &CString, len: usize) {
    host_create_state(key.as_ptr(), long(len));
}

pub(crate) fn delete_state(key: &CString) {
    host_delete_state(key.as_ptr());
}

pub(crate) fn pull_state(key: &CString, len: usize) {
    host_pull_state(key.as_ptr(), long(len));
}

pub(crate) fn append_state(key: &CString, record: &[u8]) {
    host_append_state(key.as_ptr(), record.as_ptr(), long(record.len()));
}

pub(crate) fn read_appended_state(key: &CString, to: &mut [u8], n: usize) {
    host_read_appended(key.as_ptr(), to.as_mut_ptr(), long(to.len()), long(n));
}

pub(crate) fn clear_appended_state(key: &CString) {
    host_clear_appended(key.as_ptr());
}

pub(crate) fn lock_read(key: &CString) {
    host_lock_read(key.as_ptr());
}

pub(crate) fn unlock_read(key: &CString) {
    host_unlock_read(key.as_ptr());
}

pub(crate) fn lock_write(key: &CString) {
    host_lock_write(key.as_ptr());
}

pub(crate) fn unlock_write(key: &CString) {
    host_unlock_write(key.as_ptr());
}

pub(crate) fn lock_global(key: &CString) {
    host_lock_global(key.as_ptr());
}

pub(crate) fn unlock_global(key: &CString) {
    host_unlock_global(key.as_ptr());
}

/// The table of this call's windows.
struct Table(RefCell<Views>);

// SAFETY: a module has one thread.
unsafe impl Sync for Table {}

static TABLE: Table = Table(RefCell::new(Views::new()));

pub(crate) fn with_views<R>(what: impl FnOnce(&mut Views) -> R) -> R {
    what(&mut TABLE.0.borrow_mut())
}

/// All calls that a module's memory knows are this one.
pub(crate) fn current_call() -> u64 {
    0
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Runs the constructors, before the snapshot. The allocator takes all memory up to its present end
/// as heap when it is first used: that is now, before windows lie there. So is standard output's buffer:
/// every call flushes it, and would make it first.
// SAFETY: no other function has this name.
#[unsafe(no_mangle)]
extern "C" fn __mobula_init() {
    // SAFETY: the host calls this once, before anything else.
    unsafe { __wasm_call_ctors() };
    drop(core::hint::black_box(Box::new(1_u8)));
    super::flush();
}
