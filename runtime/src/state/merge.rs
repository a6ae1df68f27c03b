//! Merging: combining elements with those of a value, each atomically.
//!
//! ```text
//!  private buffer of a call   x0    x1    x2
//!                              │op   │op   │op      op = sum, min or max; compare and swap
//!  value                      v0    v1    v2        a word at a time, so that calls need no lock
//! ```
//!
//! Sums of integers wrap. Sums of floats depend on the order in which calls come, as all parallel sums
//! do. For minimum and maximum of floats a number is preferred to a NaN, as IEEE 754-2019 has it for
//! minimumNumber and maximumNumber.
//!
//! Invariant: elements lie at multiples of their size, and values start at whole chunks, so every
//! element is an aligned word.

use std::sync::atomic::Ordering;

use mobula_guest::abi;
use mobula_shm::ByteView;
use serde::{Deserialize, Serialize};

use super::text;
use crate::error::StateError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Element {
    I32,
    I64,
    F32,
    F64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Op {
    Sum,
    Min,
    Max,
}

/// What is combined, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merge {
    element: Element,
    op: Op,
}

impl Merge {
    /// The merge that a guest's two numbers mean.
    ///
    /// # Errors
    /// [`StateError::NoMerge`].
    pub(crate) fn new(element: i32, op: i32) -> Result<Self, StateError> {
        let none = StateError::NoMerge { element, op };
        let element = match element {
            abi::TYPE_I32 => Element::I32,
            abi::TYPE_I64 => Element::I64,
            abi::TYPE_F32 => Element::F32,
            abi::TYPE_F64 => Element::F64,
            _ => return Err(none),
        };
        let op = match op {
            abi::OP_SUM => Op::Sum,
            abi::OP_MIN => Op::Min,
            abi::OP_MAX => Op::Max,
            _ => return Err(none),
        };
        Ok(Self { element, op })
    }

    /// Bytes of an element.
    pub(super) fn size(self) -> usize {
        match self.element {
            Element::I32 | Element::F32 => 4,
            Element::I64 | Element::F64 => 8,
        }
    }

    /// Checks that a part of `key` holds whole elements.
    pub(super) fn check(self, key: &[u8], offset: u64, count: u64) -> Result<(), StateError> {
        let size = self.size();
        if offset.is_multiple_of(size as u64) && count.is_multiple_of(size as u64) {
            return Ok(());
        }
        Err(StateError::NotElements { key: text(key), offset, count, size })
    }

    /// Combines `data`, whole elements, with those at `at` of a value.
    pub(super) fn apply(self, value: &ByteView, at: usize, data: &[u8]) -> Result<(), StateError> {
        if self.size() == 4 {
            for (index, bytes) in data.as_chunks::<4>().0.iter().enumerate() {
                let word = value.atomic_u32(at + index * 4)?;
                let ours = u32::from_le_bytes(*bytes);
                let change = |old| Some(self.word32(old, ours)).filter(|new| *new != old);
                // Nothing to store is nothing to do.
                let _ = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
            }
        } else {
            for (index, bytes) in data.as_chunks::<8>().0.iter().enumerate() {
                let word = value.atomic_u64(at + index * 8)?;
                let ours = u64::from_le_bytes(*bytes);
                let change = |old| Some(self.word64(old, ours)).filter(|new| *new != old);
                // As above.
                let _ = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
            }
        }
        Ok(())
    }

    /// Turns whole elements `now`, which were `before`, into what has to be combined with others to
    /// bring the change there.
    pub(super) fn gain(self, now: &mut [u8], before: &[u8]) {
        if self.op != Op::Sum {
            return;
        }
        if self.size() == 4 {
            let words = now.as_chunks_mut::<4>().0.iter_mut().zip(before.as_chunks::<4>().0);
            for (now, before) in words {
                let (a, b) = (u32::from_le_bytes(*now), u32::from_le_bytes(*before));
                let gained = match self.element {
                    Element::F32 => (f32::from_bits(a) - f32::from_bits(b)).to_bits(),
                    _ => a.wrapping_sub(b),
                };
                *now = gained.to_le_bytes();
            }
        } else {
            let words = now.as_chunks_mut::<8>().0.iter_mut().zip(before.as_chunks::<8>().0);
            for (now, before) in words {
                let (a, b) = (u64::from_le_bytes(*now), u64::from_le_bytes(*before));
                let gained = match self.element {
                    Element::F64 => (f64::from_bits(a) - f64::from_bits(b)).to_bits(),
                    _ => a.wrapping_sub(b),
                };
                *now = gained.to_le_bytes();
            }
        }
    }

    fn word32(self, old: u32, ours: u32) -> u32 {
        if self.element == Element::F32 {
            let (old, ours) = (f32::from_bits(old), f32::from_bits(ours));
            return match self.op {
                Op::Sum => old + ours,
                Op::Min => old.min(ours),
                Op::Max => old.max(ours),
            }
            .to_bits();
        }
        match self.op {
            Op::Sum => old.wrapping_add(ours),
            Op::Min => old.cast_signed().min(ours.cast_signed()).cast_unsigned(),
            Op::Max => old.cast_signed().max(ours.cast_signed()).cast_unsigned(),
        }
    }

    fn word64(self, old: u64, ours: u64) -> u64 {
        if self.element == Element::F64 {
            let (old, ours) = (f64::from_bits(old), f64::from_bits(ours));
            return match self.op {
                Op::Sum => old + ours,
                Op::Min => old.min(ours),
                Op::Max => old.max(ours),
            }
            .to_bits();
        }
        match self.op {
            Op::Sum => old.wrapping_add(ours),
            Op::Min => old.cast_signed().min(ours.cast_signed()).cast_unsigned(),
            Op::Max => old.cast_signed().max(ours.cast_signed()).cast_unsigned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_combines_as_it_says() {
        let merge = |element, op| Merge::new(element, op).unwrap();
        let i32s = |op, a: i32, b: i32| {
            merge(abi::TYPE_I32, op).word32(a.cast_unsigned(), b.cast_unsigned()).cast_signed()
        };
        assert_eq!(i32s(abi::OP_SUM, i32::MAX, 1), i32::MIN);
        assert_eq!((i32s(abi::OP_MIN, -1, 1), i32s(abi::OP_MAX, -1, 1)), (-1, 1));
        let i64s = |op, a: i64, b: i64| {
            merge(abi::TYPE_I64, op).word64(a.cast_unsigned(), b.cast_unsigned()).cast_signed()
        };
        assert_eq!(i64s(abi::OP_SUM, -5, 3), -2);
        assert_eq!((i64s(abi::OP_MIN, -1, 1), i64s(abi::OP_MAX, -1, 1)), (-1, 1));
        let f32s = |op, a: f32, b: f32| {
            f32::from_bits(merge(abi::TYPE_F32, op).word32(a.to_bits(), b.to_bits()))
        };
        assert_eq!(f32s(abi::OP_SUM, 0.5, 0.25), 0.75);
        assert_eq!((f32s(abi::OP_MIN, f32::NAN, 1.0), f32s(abi::OP_MAX, -2.0, 1.0)), (1.0, 1.0));
        let f64s = |op, a: f64, b: f64| {
            f64::from_bits(merge(abi::TYPE_F64, op).word64(a.to_bits(), b.to_bits()))
        };
        assert_eq!(f64s(abi::OP_SUM, 0.5, 0.25), 0.75);
        assert_eq!((f64s(abi::OP_MIN, -2.0, 1.0), f64s(abi::OP_MAX, f64::NAN, 1.0)), (-2.0, 1.0));
        assert!(
            Merge::new(4, 0).is_err() && Merge::new(0, 3).is_err() && Merge::new(-1, 0).is_err()
        );
    }
}
