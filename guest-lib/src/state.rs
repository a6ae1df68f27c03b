//! State: named arrays of bytes that all calls of a user share. Copies of them here, the bytes
//! themselves in [`Window`](crate::Window).

use core::fmt;

use alloc::ffi::CString;
use alloc::vec;
use alloc::vec::Vec;

use bytemuck::Pod;

use crate::lock::{GlobalGuard, ReadGuard, WriteGuard};
use crate::{abi, sys};

/// A value by its key. The value is made by its first use, which fixes its length; what nobody
/// wrote reads as zeros.
///
/// Offsets and lengths are bytes; `total` is the length of the whole value, on which all who use a
/// part of it have to agree. A use that does not fit panics or traps.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
    name: CString,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&self.name).finish()
    }
}

/// How [`State::merge`] and [`State::push_merge`] combine two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Adds; integers wrap.
    Sum,
    /// Keeps the smaller.
    Min,
    /// Keeps the larger.
    Max,
}

impl Op {
    fn number(self) -> i32 {
        match self {
            Self::Sum => abi::OP_SUM,
            Self::Min => abi::OP_MIN,
            Self::Max => abi::OP_MAX,
        }
    }
}

/// Elements that can be merged: `i32`, `i64`, `f32`, `f64`.
pub trait Mergeable: Pod {
    /// The number that stands for the type.
    #[doc(hidden)]
    const TYPE: i32;
}

macro_rules! mergeable {
    ($($element:ty: $number:ident),*) => {$(
        impl Mergeable for $element {
            const TYPE: i32 = abi::$number;
        }
    )*};
}

mergeable! { i32: TYPE_I32, i64: TYPE_I64, f32: TYPE_F32, f64: TYPE_F64 }

impl State {
    /// The value of this key; 1 to 255 bytes, no NUL.
    ///
    /// # Panics
    /// When that is no key.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { name: sys::name("State::new", key) }
    }

    pub(crate) fn name(&self) -> &CString {
        &self.name
    }

    /// Length of the value; 0 when there is none.
    #[must_use]
    pub fn size(&self) -> usize {
        sys::state_size(&self.name)
    }

    /// A copy of the whole value.
    #[must_use]
    pub fn read(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size()];
        let n = sys::read_state(&self.name, &mut bytes);
        bytes.truncate(n);
        bytes
    }

    /// Replaces the whole value; another length resizes it if no window is open on it.
    pub fn write(&self, bytes: impl AsRef<[u8]>) {
        sys::write_state(&self.name, bytes.as_ref());
    }

    /// The whole value as one plain value.
    #[must_use]
    pub fn get<T: Pod>(&self) -> T {
        let mut value = T::zeroed();
        self.read_at(size_of::<T>(), 0, core::slice::from_mut(&mut value));
        value
    }

    /// Makes the whole value this plain value.
    pub fn set<T: Pod>(&self, value: &T) {
        self.write(bytemuck::bytes_of(value));
    }

    /// Copies elements from this offset on.
    pub fn read_at<T: Pod>(&self, total: usize, offset: usize, to: &mut [T]) {
        sys::read_state_offset(&self.name, total, offset, bytemuck::cast_slice_mut(to));
    }

    /// Replaces elements from this offset on.
    pub fn write_at<T: Pod>(&self, total: usize, offset: usize, from: &[T]) {
        sys::write_state_offset(&self.name, total, offset, bytemuck::cast_slice(from));
    }

    /// Makes a value of this many zeros; nothing when it is there with this length.
    pub fn create(&self, len: usize) {
        sys::create_state(&self.name, len);
    }

    /// Removes the value. Refused while a call, this one included, has a window on it.
    pub fn delete(&self) {
        sys::delete_state(&self.name);
    }

    /// Says that stores changed the whole value.
    pub fn flag(&self, total: usize) {
        sys::flag_state(&self.name, total);
    }

    /// Says which bytes stores changed, so that a push sends them.
    pub fn flag_at(&self, total: usize, offset: usize, len: usize) {
        sys::flag_state_offset(&self.name, total, offset, len);
    }

    /// Sends what was changed home, in whole chunks; returns when home has it.
    pub fn push(&self) {
        sys::push_state(&self.name);
    }

    /// Sends only the changed bytes, so that calls that write to one chunk on several hosts do not
    /// overwrite each other.
    pub fn push_partial(&self) {
        sys::push_state_partial(&self.name);
    }

    /// Sends only the bytes whose bytes in the mask, a value of the same length, are not 0. Then
    /// the mask is zeros again.
    pub fn push_masked(&self, mask: &Self) {
        sys::push_state_masked(&self.name, &mask.name);
    }

    /// Pushes by combining with home instead of overwriting it: with [`Op::Sum`] home gains what
    /// this host's copy has gained since it was pulled or pushed.
    pub fn push_merge<T: Mergeable>(&self, op: Op) {
        sys::push_merge(&self.name, T::TYPE, op.number());
    }

    /// Combines elements with those at this offset of the value, each atomically: reductions from
    /// any number of calls at once, without locks.
    pub fn merge<T: Mergeable>(&self, total: usize, offset: usize, with: &[T], op: Op) {
        let bytes = bytemuck::cast_slice(with);
        sys::merge_state(&self.name, total, offset, bytes, (T::TYPE, op.number()));
    }

    /// Makes later reads see what other hosts have pushed.
    pub fn pull(&self, total: usize) {
        sys::pull_state(&self.name, total);
    }

    /// Appends a record to this key's records, which are kept apart from its value.
    pub fn append(&self, record: impl AsRef<[u8]>) {
        sys::append_state(&self.name, record.as_ref());
    }

    /// The first `n` records, one after the other, which are `len` bytes in all.
    #[must_use]
    pub fn appended(&self, n: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        sys::read_appended_state(&self.name, &mut bytes, n);
        bytes
    }

    /// Drops all records.
    pub fn clear_appended(&self) {
        sys::clear_appended_state(&self.name);
    }

    /// A file of the guest's file system (`mobula run --dir`) as the whole value; its length.
    ///
    /// # Errors
    /// Those of reading the file.
    #[cfg(feature = "std")]
    pub fn write_from_file(&self, path: impl AsRef<std::path::Path>) -> std::io::Result<usize> {
        let bytes = std::fs::read(path)?;
        self.write(&bytes);
        Ok(bytes.len())
    }

    /// Waits for the lock of this host's copy, shared with other readers.
    pub fn lock_read(&self) -> ReadGuard {
        ReadGuard::lock(&self.name)
    }

    /// Waits for the lock of this host's copy, alone.
    pub fn lock_write(&self) -> WriteGuard {
        WriteGuard::lock(&self.name)
    }

    /// Waits for the value's lock that has one holder in the whole job.
    pub fn lock_global(&self) -> GlobalGuard {
        GlobalGuard::lock(&self.name)
    }
}
