//! The kernels themselves, over areas that were checked: compiled in, or of a library of the system.
//!
//! ```text
//!  gemm         the crate `gemm`, or cblas_dgemm, cblas_sgemm
//!  gemv, dot, axpy   loops below, or cblas_dgemv, cblas_ddot, cblas_daxpy
//!  spmv         a loop below
//! ```
//!
//! Invariants: what is at an address decides about no address, but for the indices of a sparse matrix, each
//! of which is read once, checked, and used. A library is told to use one thread, by each thread that calls
//! it: some builds keep the number by thread.
//!
//! JUSTIFICATION for `unsafe`: BLAS takes addresses, and bytes that other guests write must never be a
//! slice. Through checked `ByteView::get` a dot product of 4096 numbers takes ten times as long. Loads that
//! race with another guest's stores give that guest's numbers or older ones, as they do in compiled guests;
//! the loops are behind calls that are not inlined, with addresses that the optimiser does not know.

use std::ffi::c_void;
use std::hint::black_box;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use libloading::os::unix::{Library as Loaded, Symbol};

use super::BlasError;
use super::area::Area;
use crate::limits;

/// A BLAS of the system, loaded for good.
pub(super) struct Library {
    name: String,
    functions: Functions,
    /// What sets the number of threads; every one there is.
    set_threads: Vec<unsafe extern "C" fn(isize)>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Library({})", self.name)
    }
}

// Sizes are `isize` whether the library was built for 32-bit or 64-bit integers: they fit 32 bits, and on
// x86-64 an argument has 64 bits wherever it is passed, of which a callee looks at those it knows.
type Dot = unsafe extern "C" fn(isize, *const f64, isize, *const f64, isize) -> f64;
type Axpy = unsafe extern "C" fn(isize, f64, *const f64, isize, *mut f64, isize);
type Gemv = unsafe extern "C" fn(
    isize,
    isize,
    isize,
    isize,
    f64,
    *const f64,
    isize,
    *const f64,
    isize,
    f64,
    *mut f64,
    isize,
);
pub(crate) type GemmOf<T> = unsafe extern "C" fn(
    isize,
    isize,
    isize,
    isize,
    isize,
    isize,
    T,
    *const T,
    isize,
    *const T,
    isize,
    T,
    *mut T,
    isize,
);

/// The functions of CBLAS that are used.
pub(crate) struct Functions {
    ddot: Dot,
    daxpy: Axpy,
    dgemv: Gemv,
    dgemm: GemmOf<f64>,
    sgemm: GemmOf<f32>,
}

const ROW_MAJOR: isize = 101;
const PLAIN: isize = 111;
const TRANSPOSED: isize = 112;

/// Where libraries have it: how many threads a call may use.
const SET_THREADS: [&[u8]; 5] = [
    b"openblas_set_num_threads\0",
    b"bli_thread_set_num_threads\0",
    b"MKL_Set_Num_Threads\0",
    b"flexiblas_set_num_threads\0",
    b"omp_set_num_threads\0",
];

impl Library {
    /// # Errors
    /// Why it cannot be used: it is not there, is no CBLAS, or computes something else.
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        // SAFETY: code of the library runs, as the user who started this process asks for.
        let opened = unsafe { Loaded::new(path) };
        let loaded = opened.map_err(|err| err.to_string())?;
        let functions = Functions {
            ddot: find(&loaded, b"cblas_ddot\0")?,
            daxpy: find(&loaded, b"cblas_daxpy\0")?,
            dgemv: find(&loaded, b"cblas_dgemv\0")?,
            dgemm: find(&loaded, b"cblas_dgemm\0")?,
            sgemm: find(&loaded, b"cblas_sgemm\0")?,
        };
        let set_threads = SET_THREADS.iter().filter_map(|name| find(&loaded, name).ok()).collect();
        // Threads of its own may be in its code: it is never unloaded.
        std::mem::forget(loaded);
        let library = Self { name: path.display().to_string(), functions, set_threads };
        library.probe()?;
        Ok(library)
    }

    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    /// The functions, to be called by this thread.
    fn functions(&self) -> &Functions {
        thread_local! {
            static TOLD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
        }
        if !TOLD.replace(true) {
            for set in &self.set_threads {
                // SAFETY: takes one integer, by all of these names.
                unsafe { set(1) };
            }
        }
        &self.functions
    }

    /// One product of each kind: a library that is none, or takes arguments otherwise, is found out.
    fn probe(&self) -> Result<(), String> {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
        let (a32, b32) = (a.map(|x| x as f32), b.map(|x| x as f32));
        let (mut c, mut c32, mut y) = ([1.0; 4], [1.0f32; 4], [1.0; 2]);
        let f = self.functions();
        let (x, w, z) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        // SAFETY: 6 elements each.
        let dot = unsafe { (f.ddot)(6, x, 1, w, 1) };
        // SAFETY: 2 x 3 times 3 x 2 is 2 x 2.
        unsafe { (f.dgemm)(ROW_MAJOR, PLAIN, PLAIN, 2, 2, 3, 1.0, x, 3, w, 2, 1.0, z, 2) };
        let (x32, w32, z32) = (a32.as_ptr(), b32.as_ptr(), c32.as_mut_ptr());
        // SAFETY: 2 x 3 times 3 x 2 is 2 x 2, the first one stored as 3 x 2.
        unsafe {
            (f.sgemm)(ROW_MAJOR, TRANSPOSED, PLAIN, 2, 2, 3, 1.0, x32, 2, w32, 2, 1.0, z32, 2)
        };
        // SAFETY: 2 x 3 times 3 is 2.
        unsafe { (f.dgemv)(ROW_MAJOR, PLAIN, 2, 3, 1.0, x, 3, w, 1, 1.0, y.as_mut_ptr(), 1) };
        // SAFETY: 2 elements each.
        unsafe { (f.daxpy)(2, 2.0, x, 1, y.as_mut_ptr(), 1) };
        let good = dot == 217.0
            && c == [59.0, 65.0, 140.0, 155.0]
            && c32 == [90.0, 99.0, 117.0, 129.0]
            && y == [53.0, 127.0];
        if good { Ok(()) } else { Err(format!("it computes {dot}, {c:?}, {c32:?}, {y:?}")) }
    }
}

/// A function of a library, of whatever type the caller knows it to have.
fn find<F: Copy>(library: &Loaded, name: &[u8]) -> Result<F, String> {
    const { assert!(size_of::<F>() == size_of::<*const c_void>()) };
    // SAFETY: `F` is the function's type in every CBLAS; `probe` looks whether it is.
    let found: Result<Symbol<F>, _> = unsafe { library.get(name) };
    found.map(|symbol| *symbol).map_err(|_| {
        let name = String::from_utf8_lossy(name.strip_suffix(b"\0").unwrap_or(name));
        format!("it has no {name}: it is no CBLAS")
    })
}

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

/// Kernels for vectors, compiled in; for processors with AVX2 and for all.
mod loops {
    use std::hint::black_box;

    use super::super::area::Area;
    use super::{Element, Scaled, update};

    /// Elements of a vector that are kept beside the caches' other content.
    const BLOCK: usize = 1024;
    /// Sums that are kept apart, so that additions do not wait for each other.
    const LANES: usize = 32;

    fn fused() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
    }

    pub(super) fn dot(x: &Area<'_, f64>, y: &Area<'_, f64>) -> f64 {
        if x.is_empty() {
            return 0.0;
        }
        if (x.ld(), y.ld()) == (1, 1) {
            // SAFETY: both have so many elements, without gaps.
            return unsafe { sum(x.rows(), x.as_ptr(), y.as_ptr()) };
        }
        (0..x.rows()).map(|i| element(x, i) * element(y, i)).sum()
    }

    pub(super) fn axpy(alpha: f64, x: &Area<'_, f64>, y: &Area<'_, f64>) {
        if (x.ld(), y.ld()) == (1, 1) && fused() {
            // SAFETY: the processor can; both have so many elements, without gaps.
            unsafe { axpy_fused(x.rows(), alpha, black_box(x.as_ptr()), black_box(y.as_ptr())) };
            return;
        }
        (0..x.rows()).for_each(|i| update(y, (i, 0), alpha * element(x, i), 1.0));
    }

    /// `y = alpha * op(a) * x + beta * y`; the sizes fit, and nothing is empty.
    pub(super) fn gemv<T: Element>(
        (transposed, scale): (bool, Scaled<T>),
        a: &Area<'_, T>,
        x: &Area<'_, T>,
        y: &Area<'_, T>,
    ) {
        if transposed { columns(scale, a, x, y) } else { rows(scale, a, x, y) }
    }

    /// A sum of products for each row.
    fn rows<T: Element>(scale: Scaled<T>, a: &Area<'_, T>, x: &Area<'_, T>, y: &Area<'_, T>) {
        let mut copy = [T::ZERO; BLOCK];
        let step = if x.ld() == 1 { a.cols() } else { BLOCK };
        for first in (0..a.cols()).step_by(step) {
            let len = step.min(a.cols() - first);
            let beta = if first == 0 { scale.beta } else { T::ONE };
            let mut x_at = x.as_ptr().wrapping_add(first).cast_const();
            if x.ld() != 1 {
                (0..len).for_each(|i| copy[i] = element(x, first + i));
                x_at = copy.as_ptr();
            }
            for row in 0..a.rows() {
                let a_at = a.as_ptr().wrapping_add(row * a.ld() + first);
                // SAFETY: `len` elements of the row, and of x or of its copy.
                let sum = unsafe { sum(len, a_at, x_at) };
                update(y, (row, 0), scale.alpha * sum, beta);
            }
        }
    }

    /// Multiples of rows are added up, block by block.
    fn columns<T: Element>(scale: Scaled<T>, a: &Area<'_, T>, x: &Area<'_, T>, y: &Area<'_, T>) {
        for first in (0..a.cols()).step_by(BLOCK) {
            let mut sums = [T::ZERO; BLOCK];
            let sums = &mut sums[..BLOCK.min(a.cols() - first)];
            let at = |row: usize| a.as_ptr().wrapping_add(row * a.ld() + first).cast_const();
            let whole = a.rows() / 4 * 4;
            for row in (0..whole).step_by(4) {
                let factors = [0, 1, 2, 3].map(|i| element(x, row + i));
                let rows = [0, 1, 2, 3].map(|i| at(row + i));
                // SAFETY: each of these rows has so many elements from here on.
                unsafe { add_rows(sums, factors, rows) };
            }
            for row in whole..a.rows() {
                // SAFETY: the row has so many elements from here on.
                unsafe { add_row(sums, element(x, row), at(row)) };
            }
            for (i, sum) in sums.iter().enumerate() {
                update(y, (first + i, 0), scale.alpha * *sum, scale.beta);
            }
        }
    }

    fn element<T: Element>(x: &Area<'_, T>, i: usize) -> T {
        assert!(i < x.rows() && x.cols() == 1, "an element of the vector");
        // SAFETY: an element of the area, which is mapped and aligned.
        unsafe { x.as_ptr().wrapping_add(i * x.ld()).read_volatile() }
    }

    /// # Safety
    /// There are `n` elements at both.
    unsafe fn sum<T: Element>(n: usize, x: *const T, y: *const T) -> T {
        let (x, y) = (black_box(x), black_box(y));
        if fused() {
            // SAFETY: the processor can, and the caller's promise.
            unsafe { sum_fused(n, x, y) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { sum_with(n, x, y, |x, y, sum| x * y + sum) }
        }
    }

    /// # Safety
    /// As [`sum`].
    #[target_feature(enable = "avx2,fma")]
    unsafe fn sum_fused<T: Element>(n: usize, x: *const T, y: *const T) -> T {
        // SAFETY: the caller's promise.
        unsafe { sum_with(n, x, y, T::fused) }
    }

    /// # Safety
    /// As [`sum`].
    #[inline(always)]
    unsafe fn sum_with<T: Element>(
        n: usize,
        x: *const T,
        y: *const T,
        add: impl Fn(T, T, T) -> T,
    ) -> T {
        let mut sums = [T::ZERO; LANES];
        let whole = n / LANES * LANES;
        let product = |i: usize, sum: T| {
            // SAFETY: `i` is below `n`.
            let x = unsafe { x.wrapping_add(i).read() };
            // SAFETY: as above.
            add(x, unsafe { y.wrapping_add(i).read() }, sum)
        };
        for first in (0..whole).step_by(LANES) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum = product(first + lane, *sum);
            }
        }
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                sums[lane] = sums[lane] + sums[lane + width];
            }
            width /= 2;
        }
        (whole..n).fold(sums[0], |sum, i| product(i, sum))
    }

    /// # Safety
    /// There are `n` elements at both.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn axpy_fused(n: usize, alpha: f64, x: *const f64, y: *mut f64) {
        for i in 0..n {
            let y = y.wrapping_add(i);
            // SAFETY: `i` is below `n`.
            let (x, old) = (unsafe { x.wrapping_add(i).read() }, unsafe { y.read() });
            // SAFETY: as above.
            unsafe { y.write(alpha.mul_add(x, old)) };
        }
    }

    /// Adds multiples of four rows.
    ///
    /// # Safety
    /// Each has as many elements as there are sums.
    unsafe fn add_rows<T: Element>(sums: &mut [T], factors: [T; 4], rows: [*const T; 4]) {
        let rows = black_box(rows);
        if fused() {
            // SAFETY: the processor can, and the caller's promise.
            unsafe { add_rows_fused(sums, factors, rows) };
        } else {
            // SAFETY: the caller's promise.
            unsafe { add_rows_with(sums, factors, rows, |x, y, sum| x * y + sum) };
        }
    }

    /// # Safety
    /// As [`add_rows`].
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add_rows_fused<T: Element>(sums: &mut [T], factors: [T; 4], rows: [*const T; 4]) {
        // SAFETY: the caller's promise.
        unsafe { add_rows_with(sums, factors, rows, T::fused) };
    }

    /// # Safety
    /// As [`add_rows`].
    #[inline(always)]
    unsafe fn add_rows_with<T: Element, const N: usize>(
        sums: &mut [T],
        factors: [T; N],
        rows: [*const T; N],
        add: impl Fn(T, T, T) -> T,
    ) {
        for (i, sum) in sums.iter_mut().enumerate() {
            for (row, factor) in rows.iter().zip(factors) {
                // SAFETY: `i` is below the number of sums.
                *sum = add(unsafe { row.wrapping_add(i).read() }, factor, *sum);
            }
        }
    }

    /// Adds a multiple of one row.
    ///
    /// # Safety
    /// It has as many elements as there are sums.
    unsafe fn add_row<T: Element>(sums: &mut [T], factor: T, row: *const T) {
        // SAFETY: the caller's promise.
        unsafe { add_rows_with(sums, [factor], [black_box(row)], |x, y, sum| x * y + sum) };
    }
}
