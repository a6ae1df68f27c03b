//! The kernels themselves, over areas that were checked: compiled in, or of a library of the system.
//!
//! ```text
//!  gemm              the crate `gemm`; or cblas_dgemm, cblas_sgemm of a `library`
//!  gemv, dot, axpy   `loops`; or cblas_dgemv, cblas_ddot, cblas_daxpy of a `library`
//!  spmv              a loop here
//! ```
//!
//! Invariants: what is at an address decides about no address, but for the indices of a sparse matrix, each
//! of which is read once, checked, and used.
//!
//! JUSTIFICATION for `unsafe`: BLAS takes addresses, and bytes that other guests write must never be a
//! slice; `ByteView::get`, which is volatile, never becomes a vector instruction. Loads that race with another
//! guest's stores give that guest's numbers or older ones, as they do in compiled guests; the loops are
//! behind calls that are not inlined, with addresses that the optimiser does not know.

use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

use super::BlasError;
use super::area::Area;
use crate::limits;

mod library;
mod loops;

pub(super) use library::Library;
use library::{Functions, GemmOf, PLAIN, ROW_MAJOR, TRANSPOSED};

/// The factors of a product and of what it is added to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaled<T> {
    pub(super) alpha: T,
    pub(super) beta: T,
}

/// Numbers that matrices consist of.
pub(crate) trait Element:
    Copy + PartialEq + std::ops::Mul<Output = Self> + std::ops::Add<Output = Self> + 'static
{
    const ZERO: Self;
    const ONE: Self;
    /// The nearest one.
    fn of(value: f64) -> Self;
    /// `self * factor + sum`, rounded once.
    fn fused(self, factor: Self, sum: Self) -> Self;
    /// A library's product of matrices of these.
    fn cblas(functions: &Functions) -> GemmOf<Self>;
}

macro_rules! element {
    ($of:ty, $gemm:ident) => {
        impl Element for $of {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            fn of(value: f64) -> Self {
                value as Self
            }
            #[inline(always)]
            fn fused(self, factor: Self, sum: Self) -> Self {
                self.mul_add(factor, sum)
            }
            fn cblas(functions: &Functions) -> GemmOf<Self> {
                functions.$gemm
            }
        }
    };
}
element!(f64, dgemm);
element!(f32, sgemm);

/// `c = alpha * op(a) * op(b) + beta * c`; the sizes fit and `c` overlaps neither `a` nor `b`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gemm<'m, T> {
    pub(super) a: Area<'m, T>,
    pub(super) b: Area<'m, T>,
    pub(super) c: Area<'m, T>,
    pub(super) transposed: (bool, bool),
    pub(super) scale: Scaled<T>,
}

impl<T: Element> Gemm<'_, T> {
    /// Rows and columns of the result, and how many products make an element of it.
    pub(super) fn size(&self) -> (usize, usize, usize) {
        let k = if self.transposed.0 { self.a.rows() } else { self.a.cols() };
        (self.c.rows(), self.c.cols(), k)
    }

    /// What these products contribute to these rows and columns of the result. The first part in `depth`
    /// scales what was there.
    pub(super) fn part(&self, rows: Range<usize>, cols: Range<usize>, depth: Range<usize>) -> Self {
        let turn = |turned, a: &Range<usize>, b: &Range<usize>| {
            if turned { (b.clone(), a.clone()) } else { (a.clone(), b.clone()) }
        };
        let (a_rows, a_cols) = turn(self.transposed.0, &rows, &depth);
        let (b_rows, b_cols) = turn(self.transposed.1, &depth, &cols);
        let beta = if depth.start == 0 { self.scale.beta } else { T::ONE };
        Self {
            a: self.a.part(a_rows, a_cols),
            b: self.b.part(b_rows, b_cols),
            c: self.c.part(rows, cols),
            scale: Scaled { beta, ..self.scale },
            ..*self
        }
    }
}

/// Carries a product out.
pub(super) fn gemm<T: Element>(library: Option<&Library>, of: &Gemm<'_, T>) {
    let ((m, n, k), Scaled { alpha, beta }) = (of.size(), of.scale);
    let (ta, tb) = of.transposed;
    let b_inner = if tb { of.b.cols() } else { of.b.rows() };
    let b_outer = if tb { of.b.rows() } else { of.b.cols() };
    let a_outer = if ta { of.a.cols() } else { of.a.rows() };
    assert!((a_outer, b_outer, b_inner) == (m, n, k), "the sizes of a product fit");
    if of.c.is_empty() {
        return;
    }
    if k == 0 || alpha == T::ZERO {
        for row in 0..m {
            (0..n).for_each(|col| update(&of.c, (row, col), T::ZERO, beta));
        }
        return;
    }
    let (a, b, c) = (of.a.as_ptr(), of.b.as_ptr(), of.c.as_ptr());
    let [lda, ldb, ldc] = [of.a.ld(), of.b.ld(), of.c.ld()].map(usize::cast_signed);
    if let Some(library) = library {
        let [m, n, k] = [m, n, k].map(usize::cast_signed);
        let gemm = T::cblas(library.functions());
        // SAFETY: the areas hold matrices of these sizes; see the type for how they are passed.
        unsafe {
            gemm(ROW_MAJOR, op(ta), op(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        }
        return;
    }
    // The crate would make a slice of the result here.
    if n == 1 {
        return loops::gemv((ta, of.scale), &of.a, &of.b.as_vector(), &of.c);
    }
    if m == 1 {
        return loops::gemv((!tb, of.scale), &of.b, &of.a.as_vector(), &of.c.as_vector());
    }
    // From column to column and from row to row.
    let step = |turned, ld| if turned { (ld, 1) } else { (1, ld) };
    let ((a_col, a_row), (b_col, b_row)) = (step(ta, lda), step(tb, ldb));
    let (a, b, c) = (black_box(a), black_box(b), black_box(c));
    // SAFETY: the areas hold matrices of these sizes and steps, and the result overlaps no operand; where
    // it does through a second window, and where others store meanwhile, its numbers are undefined, but no
    // address depends on them, and no slice is made of operands or result (only of packed copies).
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c,
            1,
            ldc,
            beta != T::ZERO,
            a,
            a_col,
            a_row,
            b,
            b_col,
            b_row,
            beta,
            alpha,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

fn op(transposed: bool) -> isize {
    if transposed { TRANSPOSED } else { PLAIN }
}

/// `element = sum + beta * element`, which is not read if `beta` is 0.
fn update<T: Element>(area: &Area<'_, T>, (row, col): (usize, usize), sum: T, beta: T) {
    assert!(row < area.rows() && col < area.cols(), "an element of the area");
    let at = area.as_ptr().wrapping_add(row * area.ld() + col);
    let old = if beta == T::ZERO {
        T::ZERO
    } else {
        // SAFETY: an element of the area, which is mapped and aligned.
        beta * unsafe { at.read_volatile() }
    };
    // SAFETY: as above.
    unsafe { at.write_volatile(sum + old) };
}

/// The sum of products of two vectors of one length.
pub(super) fn dot(library: Option<&Library>, x: &Area<'_, f64>, y: &Area<'_, f64>) -> f64 {
    assert!((x.rows(), x.cols(), y.cols()) == (y.rows(), 1, 1), "vectors of one length");
    match library {
        Some(library) => {
            let [n, step_x, step_y] = [x.rows(), x.ld(), y.ld()].map(usize::cast_signed);
            let dot = library.functions().ddot;
            // SAFETY: the areas hold so many elements, so far apart.
            unsafe { dot(n, x.as_ptr(), step_x, y.as_ptr(), step_y) }
        }
        None => loops::dot(x, y),
    }
}

/// `y += alpha * x`, for two vectors of one length.
pub(super) fn axpy(library: Option<&Library>, alpha: f64, x: &Area<'_, f64>, y: &Area<'_, f64>) {
    assert!((x.rows(), x.cols(), y.cols()) == (y.rows(), 1, 1), "vectors of one length");
    match library {
        Some(library) => {
            let [n, step_x, step_y] = [x.rows(), x.ld(), y.ld()].map(usize::cast_signed);
            let axpy = library.functions().daxpy;
            // SAFETY: the areas hold so many elements, so far apart.
            unsafe { axpy(n, alpha, x.as_ptr(), step_x, y.as_ptr(), step_y) };
        }
        None => loops::axpy(alpha, x, y),
    }
}

/// `y = alpha * op(a) * x + beta * y`; the sizes fit.
pub(super) fn gemv(
    library: Option<&Library>,
    (transposed, (alpha, beta)): (bool, (f64, f64)),
    a: &Area<'_, f64>,
    x: &Area<'_, f64>,
    y: &Area<'_, f64>,
) {
    let (long, short) = if transposed { (x, y) } else { (y, x) };
    assert!((a.rows(), a.cols()) == (long.rows(), short.rows()), "the sizes of a product fit");
    assert!((x.cols(), y.cols()) == (1, 1), "vectors");
    if y.is_empty() {
        return;
    }
    if a.is_empty() || alpha == 0.0 {
        (0..y.rows()).for_each(|row| update(y, (row, 0), 0.0, beta));
        return;
    }
    let Some(library) = library else {
        return loops::gemv((transposed, Scaled { alpha, beta }), a, x, y);
    };
    let [m, n, lda] = [a.rows(), a.cols(), a.ld()].map(usize::cast_signed);
    let (step_x, step_y) = (x.ld().cast_signed(), y.ld().cast_signed());
    let (gemv, trans) = (library.functions().dgemv, op(transposed));
    let (a, x, y) = (a.as_ptr(), x.as_ptr(), y.as_ptr());
    // SAFETY: the areas hold a matrix and vectors of these sizes.
    unsafe { gemv(ROW_MAJOR, trans, m, n, alpha, a, lda, x, step_x, beta, y, step_y) };
}

/// A sparse matrix: row `r` has the elements `ends[r]..ends[r + 1]` of `columns` and `values`.
#[derive(Debug)]
pub(super) struct Sparse<'a, 'm> {
    pub(super) ends: &'a Area<'m, i32>,
    pub(super) columns: &'a Area<'m, i32>,
    pub(super) values: &'a Area<'m, f64>,
}

/// `y = alpha * matrix * x + beta * y`.
///
/// # Errors
/// [`BlasError`] at the first index that is wrong, and when the time is over; rows before it are done.
pub(super) fn spmv(
    matrix: &Sparse<'_, '_>,
    (alpha, beta): (f64, f64),
    (x, y): (&Area<'_, f64>, &Area<'_, f64>),
    deadline: Option<Instant>,
) -> Result<(), BlasError> {
    let vectors = [matrix.columns.cols(), matrix.values.cols(), x.cols(), y.cols()];
    assert!(vectors == [1; 4] && matrix.ends.cols() == 1, "vectors");
    let steps = [matrix.columns.ld(), matrix.values.ld(), x.ld(), matrix.ends.ld()];
    assert!(steps == [1; 4], "without gaps");
    let (nnz, cols) = (matrix.columns.rows(), x.rows());
    assert!((matrix.values.rows(), matrix.ends.rows()) == (nnz, y.rows() + 1), "sizes fit");
    let end = |row: usize| {
        let at = matrix.ends.as_ptr().wrapping_add(row);
        // SAFETY: `row` is at most the number of rows, and there is one end more.
        unsafe { at.read_volatile() }
    };
    let wrong = |row, start, end| BlasError::Row { row, start, end, nnz };
    let index = |at: i32| usize::try_from(at).ok().filter(|at| *at <= nnz);
    let (columns, values, x) = (matrix.columns.as_ptr(), matrix.values.as_ptr(), x.as_ptr());
    let (mut start, mut looked) = (end(0), 0);
    let mut from = index(start).ok_or_else(|| wrong(0, start, start))?;
    for row in 0..y.rows() {
        let stop = end(row + 1);
        let Some(to) = index(stop).filter(|to| *to >= from) else {
            return Err(wrong(row, start, stop));
        };
        let mut sum = 0.0;
        for k in from..to {
            // SAFETY: `k` is below the number of elements.
            let col = unsafe { columns.wrapping_add(k).read_volatile() };
            // A negative one is above all as a number without sign.
            let at = col.cast_unsigned() as usize;
            if at >= cols {
                return Err(BlasError::Column { row, col, cols });
            }
            // SAFETY: `at` is below the number of elements of x.
            let x = unsafe { x.wrapping_add(at).read() };
            // SAFETY: `k` is below the number of elements.
            sum += x * unsafe { values.wrapping_add(k).read() };
        }
        update(y, (row, 0), alpha * sum, beta);
        looked += to - from + 1;
        if looked > limits::BLAS_LOOK {
            looked = 0;
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(BlasError::Late);
            }
        }
        (start, from) = (stop, to);
    }
    Ok(())
}
