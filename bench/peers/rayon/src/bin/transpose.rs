//! Peer of transpose: transpose N REPETITIONS WORKERS. B += A^T and A += 1 in tiles. A part of the work is a band
//! of rows of B, which needs columns of A; another loop adds 1 to A, since bands of columns cannot be lent to
//! threads as slices.

#![forbid(unsafe_code)]

use std::time::Instant;

use mobula_bench_rayon::{WARM_UP, argument, check, refuse, sample};
use rayon::prelude::*;

const TILE: usize = 32;
const LINE: usize = 8;

/// A square of 8 x 8: rows of A into rows of B that have its columns.
fn square(b: &mut [f64], a: &[f64], n: usize, row: usize, column: usize) {
    let mut block = [[0.0; LINE]; LINE];
    for (i, line) in block.iter_mut().enumerate() {
        let start = (column + i) * n + row;
        line.copy_from_slice(&a[start..start + LINE]);
    }
    for (j, to) in b.chunks_mut(n).take(LINE).enumerate() {
        for (i, to) in to[column..column + LINE].iter_mut().enumerate() {
            *to += block[i][j];
        }
    }
}

/// B's rows from `first` on.
fn band(b: &mut [f64], a: &[f64], n: usize, first: usize) {
    for (row, rows) in (first..).step_by(TILE).zip(b.chunks_mut(TILE * n)) {
        for column in (0..n).step_by(TILE) {
            for (row, rows) in (row..).step_by(LINE).zip(rows.chunks_mut(LINE * n)) {
                for column in (column..n.min(column + TILE)).step_by(LINE) {
                    square(rows, a, n, row, column);
                }
            }
        }
    }
}

fn main() {
    let n = argument(1, 1024);
    let repetitions = argument(2, 10);
    if n == 0 || !n.is_multiple_of(LINE) {
        refuse(format_args!("transpose: the order has to be a multiple of {LINE}"));
    }
    let rows = (n / LINE).div_ceil(rayon::current_num_threads()) * LINE;
    let mut a: Vec<f64> =
        (0..n * n).into_par_iter().with_min_len(rows * n).map(|k| k as f64).collect();
    let mut b: Vec<f64> = (0..n * n).into_par_iter().with_min_len(rows * n).map(|_| 0.0).collect();
    for iteration in 0..repetitions + WARM_UP {
        let start = Instant::now();
        b.par_chunks_mut(rows * n).enumerate().for_each(|(k, b)| band(b, &a, n, k * rows));
        a.par_chunks_mut(rows * n).for_each(|a| a.iter_mut().for_each(|a| *a += 1.0));
        if iteration >= WARM_UP {
            sample("iteration", "ms", start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let t = (repetitions + WARM_UP) as f64;
    let wrong = |k: &usize| b[*k] != t * ((k % n * n + k / n) as f64) + t * (t - 1.0) / 2.0;
    if let Some(k) = (0..n * n).into_par_iter().find_any(wrong) {
        refuse(format_args!("transpose: B({}, {}) is {}", k / n, k % n, b[k]));
    }
    check(b.par_iter().sum::<f64>());
}
