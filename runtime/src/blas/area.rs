//! Shapes over a guest's memory: what the guest says, and what is left when that was checked.
//!
//! ```text
//!  at ├ x x x · · ┤├ x x x · · ┤├ x x x ┤      rows = 3, cols = 3, ld = 5
//!  a vector with a step: rows of one element
//! ```
//!
//! Invariant: an [`Area`] lies in the memory that it borrows, whole and aligned.

use std::marker::PhantomData;
use std::ops::Range;

use super::BlasError;
use crate::memory::{GuestMemory, OutOfBounds};

/// What a guest says: nothing of it is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    what: &'static str,
    ptr: u32,
    rows: i32,
    cols: i32,
    ld: i32,
}

impl Shape {
    /// Rows one after the other, at an address, so many elements from one to the next.
    pub(crate) fn matrix(
        what: &'static str,
        (rows, cols): (i32, i32),
        (ptr, ld): (u32, i32),
    ) -> Self {
        Self { what, ptr, rows, cols, ld }
    }

    /// Elements at an address, so many apart.
    pub(crate) fn vector(what: &'static str, len: i32, (ptr, step): (u32, i32)) -> Self {
        Self { what, ptr, rows: len, cols: 1, ld: step }
    }
}

/// Elements that were checked to lie in a guest's memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area<'m, T> {
    what: &'static str,
    memory: &'m GuestMemory,
    at: usize,
    rows: usize,
    cols: usize,
    ld: usize,
    of: PhantomData<T>,
}

impl<'m, T> Area<'m, T> {
    /// # Errors
    /// [`BlasError`] unless every element lies in the memory, at an address that is a multiple of its size,
    /// and no two are the same.
    pub(super) fn new(memory: &'m GuestMemory, shape: Shape) -> Result<Self, BlasError> {
        let Shape { what, ptr, rows, cols, ld } = shape;
        let width = size_of::<T>();
        let size =
            |value: i32| usize::try_from(value).map_err(|_| BlasError::Negative { what, value });
        let empty = Self {
            what,
            memory,
            at: 0,
            rows: size(rows)?,
            cols: size(cols)?,
            ld: 1,
            of: PhantomData,
        };
        if ld < cols.max(1) {
            return Err(BlasError::Stride { what, ld, cols });
        }
        let ld_elements = size(ld)?;
        if rows == 0 || cols == 0 {
            return Ok(Self { ld: ld_elements, ..empty });
        }
        if !(ptr as usize).is_multiple_of(width) {
            return Err(BlasError::Misaligned { what, ptr, width });
        }
        // At most 2^62 elements; so many bytes may be too many for 64 bits.
        let elements = (empty.rows - 1) * ld_elements + empty.cols;
        let bytes = elements.checked_mul(width);
        let outside = |source| BlasError::Outside { what, rows, cols, ld, source };
        let Some(bytes) = bytes else {
            return Err(outside(OutOfBounds { ptr, len: usize::MAX, size: memory.size() }));
        };
        let at = memory.check(ptr, bytes).map_err(outside)?;
        Ok(Self { at, ld: ld_elements, ..empty })
    }

    /// Address of the first element; of nothing if there is none.
    pub(super) fn as_ptr(&self) -> *mut T {
        self.memory.bytes().as_ptr().wrapping_add(self.at).cast()
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    /// Elements from one row to the next.
    pub(super) fn ld(&self) -> usize {
        self.ld
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0 || self.cols == 0
    }

    /// The same elements as a vector.
    ///
    /// # Panics
    /// If they are neither one row nor one column.
    pub(super) fn as_vector(&self) -> Self {
        assert!(self.rows == 1 || self.cols == 1, "a row or column of {}", self.what);
        if self.cols == 1 {
            Self { ..*self }
        } else {
            Self { rows: self.cols, cols: 1, ld: 1, ..*self }
        }
    }

    /// These rows and columns of it.
    ///
    /// # Panics
    /// If it does not have them.
    pub(super) fn part(&self, rows: Range<usize>, cols: Range<usize>) -> Self {
        let inside = |range: &Range<usize>, len| range.start <= range.end && range.end <= len;
        assert!(inside(&rows, self.rows) && inside(&cols, self.cols), "a part of {}", self.what);
        let first = rows.start * self.ld + cols.start;
        let at =
            if rows.is_empty() || cols.is_empty() { 0 } else { self.at + first * size_of::<T>() };
        Self { at, rows: rows.len(), cols: cols.len(), ..*self }
    }

    /// Bytes from the first element to the end of the last.
    fn extent(&self) -> Range<usize> {
        if self.is_empty() {
            return 0..0;
        }
        self.at..self.at + ((self.rows - 1) * self.ld + self.cols) * size_of::<T>()
    }
}

/// That what is written is not read: parts of one matrix beside each other are fine, also where rows of one
/// lie between rows of the other.
pub(super) fn disjoint<T, U>(output: &Area<'_, T>, input: &Area<'_, U>) -> Result<(), BlasError> {
    let (out, inp) = (output.extent(), input.extent());
    let apart = out.is_empty() || inp.is_empty() || out.end <= inp.start || inp.end <= out.start;
    if apart || (size_of::<T>() == size_of::<U>() && interleave(output, input)) {
        return Ok(());
    }
    Err(BlasError::Overlap { output: output.what, input: input.what })
}

/// Whether two areas of one matrix, which have its distance from row to row, share no element.
fn interleave<T, U>(a: &Area<'_, T>, b: &Area<'_, U>) -> bool {
    if a.ld != b.ld {
        return false;
    }
    let distance = (a.at as i64 - b.at as i64) / size_of::<T>() as i64;
    let (ld, len) = (a.ld as i64, |n: usize| n as i64);
    // a[r][c] is b[r + down][c + right] where down * ld + right is the distance.
    let meet = |down: i64, right: i64| {
        (-len(a.rows) < down && down < len(b.rows)) && (-len(a.cols) < right && right < len(b.cols))
    };
    let (down, right) = (distance.div_euclid(ld), distance.rem_euclid(ld));
    !meet(down, right) && !meet(down + 1, right - ld)
}
