//! Kernels for vectors, compiled in; for processors with AVX2 and for all.
//!
//! Invariants: those of [`super`]. Loops over elements of guests are behind calls that are not inlined, at
//! addresses that the optimiser does not know.

use std::hint::black_box;

use super::super::area::Area;
use super::{Element, Scaled, update};

/// Elements of a vector that are kept beside the caches' other content.
const BLOCK: usize = 1024;
/// Elements of a vector of the processor.
const WIDTH: usize = 4;
/// Vectors of sums that are kept apart, so that additions do not wait for each other.
const SUMS: usize = 8;

/// Whether the `_fused` loops pay: they are made for AVX2, and the same as the others elsewhere.
fn fused() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
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
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
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
    let mut sums = [[T::ZERO; WIDTH]; SUMS];
    let whole = n / (WIDTH * SUMS) * (WIDTH * SUMS);
    for first in (0..whole).step_by(WIDTH * SUMS) {
        for (v, sum) in sums.iter_mut().enumerate() {
            let at = first + v * WIDTH;
            // SAFETY: `at` and what follows is below `whole`.
            let x = unsafe { x.wrapping_add(at).cast::<[T; WIDTH]>().read() };
            // SAFETY: as above.
            let y = unsafe { y.wrapping_add(at).cast::<[T; WIDTH]>().read() };
            *sum = std::array::from_fn(|lane| add(x[lane], y[lane], sum[lane]));
        }
    }
    let sum = total(&sums);
    (whole..n).fold(sum, |sum, i| {
        // SAFETY: `i` is below `n`.
        let x = unsafe { x.wrapping_add(i).read() };
        // SAFETY: as above.
        add(x, unsafe { y.wrapping_add(i).read() }, sum)
    })
}

/// What lies in all lanes of all sums. Not inline: the compiler would cut the loop before it to vectors that
/// suit this.
#[inline(never)]
fn total<T: Element>(sums: &[[T; WIDTH]; SUMS]) -> T {
    let mut sums = *sums;
    let mut half = SUMS / 2;
    while half > 0 {
        for v in 0..half {
            sums[v] = std::array::from_fn(|lane| sums[v][lane] + sums[v + half][lane]);
        }
        half /= 2;
    }
    sums[0].into_iter().fold(T::ZERO, |sum, lane| sum + lane)
}

/// # Safety
/// There are `n` elements at both.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
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
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
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
