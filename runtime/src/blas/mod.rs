//! Kernels of linear algebra that guests ask the host for: dot, axpy, gemv, gemm, sparse times vector.
//!
//! ```text
//!  hostcalls::blas ─▶ Blas::dgemm(memory, shapes) ─▶ Area::new: every shape checked ─▶ sys
//!                                                      guest's memory │ x x x . │ a row, ld to the next
//! ```
//!
//! What a guest passes are shapes over its own memory, windows included. A shape that was checked is an
//! [`Area`]; kernels take nothing else. They are compiled in, or those of a BLAS of the system.
//!
//! Invariants: a kernel touches its areas and nothing else, whatever they contain and whoever changes them
//! meanwhile; it runs on the thread that asks, because resets look at that thread's page faults; no
//! reference to bytes of a guest is made. With a time-out no step takes long before the clock is looked at.

use std::path::Path;
use std::time::Instant;

use crate::error::RuntimeError;
use crate::limits;
use crate::memory::{GuestMemory, OutOfBounds};

mod area;
#[allow(unsafe_code, reason = "see the module head")]
mod sys;

pub(crate) use area::Shape;
use area::{Area, disjoint};
use sys::{Element, Scaled};

/// Why a kernel refuses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlasError {
    /// A size below 0.
    #[error("{what} is negative: {value}")]
    Negative { what: &'static str, value: i32 },
    /// Neither plain nor transposed.
    #[error("{what} is {value}; 0 is plain, 1 is transposed")]
    Transposition { what: &'static str, value: i32 },
    /// Rows that would overlap.
    #[error("{what}: {ld} elements from one row to the next; the rows have {cols}")]
    Stride { what: &'static str, ld: i32, cols: i32 },
    /// An address that numbers of this width do not have.
    #[error("{what}: address {ptr:#x} is no multiple of {width}")]
    Misaligned { what: &'static str, ptr: u32, width: usize },
    /// A shape that leaves the memory.
    #[error("{what}, {rows} x {cols} with {ld} from row to row: {source}")]
    Outside { what: &'static str, rows: i32, cols: i32, ld: i32, source: OutOfBounds },
    /// What is written is also read.
    #[error("{output} overlaps {input}")]
    Overlap { output: &'static str, input: &'static str },
    /// A sparse matrix's row that does not follow the one before it, or leaves the matrix.
    #[error("row {row} has elements {start} to {end}; rows follow each other, up to {nnz}")]
    Row { row: usize, start: i32, end: i32, nnz: usize },
    /// An index of a sparse matrix.
    #[error("row {row} has column {col}; there are {cols}")]
    Column { row: usize, col: i32, cols: usize },
    /// The call's time is over.
    #[error("the call ran out of time")]
    Late,
}

/// A product: `c = alpha * op(a) * op(b) + beta * c`, with op(a) `m` x `k` and op(b) `k` x `n`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub(crate) transposed: (i32, i32),
    pub(crate) size: (i32, i32, i32),
    pub(crate) scale: (f64, f64),
    /// Where each begins, and from row to row.
    pub(crate) a: (u32, i32),
    pub(crate) b: (u32, i32),
    pub(crate) c: (u32, i32),
}

/// A matrix times a vector: `y = alpha * op(a) * x + beta * y`, with `a` of `rows` x `cols`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gemv {
    pub(crate) transposed: i32,
    pub(crate) size: (i32, i32),
    pub(crate) scale: (f64, f64),
    pub(crate) a: (u32, i32),
    pub(crate) x: (u32, i32),
    pub(crate) y: (u32, i32),
}

/// A sparse matrix, rows compressed, times a vector: `y = alpha * a * x + beta * y`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spmv {
    /// Rows, columns, elements that `columns` and `values` have.
    pub(crate) size: (i32, i32, i32),
    pub(crate) scale: (f64, f64),
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    pub(crate) values: u32,
    pub(crate) x: u32,
    pub(crate) y: u32,
}

/// The kernels of a rank.
#[derive(Debug)]
pub(crate) struct Blas {
    library: Option<sys::Library>,
}

impl Blas {
    /// Those of a library of the system (a file, a name that the loader finds, or `system`: the first that
    /// there is), or the ones compiled in.
    ///
    /// # Errors
    /// [`RuntimeError::Blas`].
    pub(crate) fn new(library: Option<&Path>) -> Result<Self, RuntimeError> {
        let load = |path: &Path| {
            sys::Library::load(path)
                .map_err(|why| RuntimeError::Blas { library: path.to_owned(), why })
        };
        let library = match library {
            None => None,
            Some(path) if path == Path::new("builtin") => None,
            Some(path) if path == Path::new("system") => {
                let mut names = limits::BLAS_LIBRARIES.iter().map(Path::new);
                Some(names.find_map(|name| load(name).ok()).map_or_else(|| load(path), Ok)?)
            }
            Some(path) => Some(load(path)?),
        };
        Ok(Self { library })
    }

    /// What the statistics say.
    pub(crate) fn name(&self) -> String {
        self.library.as_ref().map_or_else(|| "builtin".to_owned(), sys::Library::name)
    }

    /// The sum of products.
    pub(crate) fn ddot(
        &self,
        memory: &GuestMemory,
        n: i32,
        x: (u32, i32),
        y: (u32, i32),
    ) -> Result<f64, BlasError> {
        let x = Area::new(memory, Shape::vector("x", n, x))?;
        let y = Area::new(memory, Shape::vector("y", n, y))?;
        Ok(sys::dot(self.library.as_ref(), &x, &y))
    }

    /// `y += alpha * x`
    pub(crate) fn daxpy(
        &self,
        memory: &GuestMemory,
        (n, alpha): (i32, f64),
        x: (u32, i32),
        y: (u32, i32),
    ) -> Result<(), BlasError> {
        let x = Area::new(memory, Shape::vector("x", n, x))?;
        let y = Area::new(memory, Shape::vector("y", n, y))?;
        disjoint(&y, &x)?;
        sys::axpy(self.library.as_ref(), alpha, &x, &y);
        Ok(())
    }

    /// See [`Gemv`].
    pub(crate) fn dgemv(&self, memory: &GuestMemory, of: &Gemv) -> Result<(), BlasError> {
        let transposed = transposed("trans", of.transposed)?;
        let (rows, cols) = of.size;
        let (long, short) = if transposed { (rows, cols) } else { (cols, rows) };
        let a = Area::new(memory, Shape::matrix("a", (rows, cols), of.a))?;
        let x = Area::new(memory, Shape::vector("x", long, of.x))?;
        let y = Area::new(memory, Shape::vector("y", short, of.y))?;
        disjoint(&y, &a)?;
        disjoint(&y, &x)?;
        sys::gemv(self.library.as_ref(), (transposed, of.scale), &a, &x, &y);
        Ok(())
    }

    /// See [`Product`]. With a `deadline` it is made in steps.
    pub(crate) fn gemm<T: Element>(
        &self,
        memory: &GuestMemory,
        of: &Product,
        deadline: Option<Instant>,
    ) -> Result<(), BlasError> {
        let (m, n, k) = of.size;
        not_negative(&[("m", m), ("n", n), ("k", k)])?;
        let ta = transposed("transA", of.transposed.0)?;
        let tb = transposed("transB", of.transposed.1)?;
        let size = |transposed, rows, cols| if transposed { (cols, rows) } else { (rows, cols) };
        let a = Area::<T>::new(memory, Shape::matrix("a", size(ta, m, k), of.a))?;
        let b = Area::<T>::new(memory, Shape::matrix("b", size(tb, k, n), of.b))?;
        let c = Area::<T>::new(memory, Shape::matrix("c", (m, n), of.c))?;
        disjoint(&c, &a)?;
        disjoint(&c, &b)?;
        let (alpha, beta) = of.scale;
        let scale = Scaled { alpha: T::of(alpha), beta: T::of(beta) };
        let product = sys::Gemm { a, b, c, transposed: (ta, tb), scale };
        self.in_steps(&product, deadline)
    }

    fn in_steps<T: Element>(
        &self,
        product: &sys::Gemm<'_, T>,
        deadline: Option<Instant>,
    ) -> Result<(), BlasError> {
        let Some(deadline) = deadline else {
            sys::gemm(self.library.as_ref(), product);
            return Ok(());
        };
        let (m, n, k) = product.size();
        let edge = limits::BLAS_STEP;
        let steps = |len: usize| (0..len).step_by(edge).map(move |at| at..len.min(at + edge));
        for rows in steps(m) {
            for cols in steps(n) {
                // Also where there is nothing to add up: the result is scaled.
                for depth in steps(k.max(1)) {
                    if Instant::now() >= deadline {
                        return Err(BlasError::Late);
                    }
                    let depth = depth.start..depth.end.min(k);
                    let part = product.part(rows.clone(), cols.clone(), depth);
                    sys::gemm(self.library.as_ref(), &part);
                }
            }
        }
        Ok(())
    }
}

/// See [`Spmv`]. No BLAS has it.
pub(crate) fn dspmv(
    memory: &GuestMemory,
    of: &Spmv,
    deadline: Option<Instant>,
) -> Result<(), BlasError> {
    let (rows, cols, nnz) = of.size;
    not_negative(&[("the number of rows", rows)])?;
    let Some(ends) = rows.checked_add(1) else {
        return Err(BlasError::Negative { what: "the number of rows + 1", value: i32::MIN });
    };
    let ends = Area::new(memory, Shape::vector("the rows", ends, (of.rows, 1)))?;
    let columns = Area::new(memory, Shape::vector("the columns", nnz, (of.columns, 1)))?;
    let values = Area::new(memory, Shape::vector("the values", nnz, (of.values, 1)))?;
    let x = Area::new(memory, Shape::vector("x", cols, (of.x, 1)))?;
    let y = Area::new(memory, Shape::vector("y", rows, (of.y, 1)))?;
    disjoint(&y, &x)?;
    disjoint(&y, &values)?;
    disjoint(&y, &ends)?;
    disjoint(&y, &columns)?;
    let matrix = sys::Sparse { ends: &ends, columns: &columns, values: &values };
    sys::spmv(&matrix, of.scale, (&x, &y), deadline)
}

fn transposed(what: &'static str, value: i32) -> Result<bool, BlasError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(BlasError::Transposition { what, value }),
    }
}

fn not_negative(sizes: &[(&'static str, i32)]) -> Result<(), BlasError> {
    match sizes.iter().find(|(_, value)| *value < 0) {
        Some(&(what, value)) => Err(BlasError::Negative { what, value }),
        None => Ok(()),
    }
}
