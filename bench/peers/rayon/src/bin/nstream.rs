//! Peer of nstream: nstream N REPETITIONS WORKERS. A += B + s C on vectors of N numbers (PRK).

#![forbid(unsafe_code)]

use std::time::Instant;

use mobula_bench_rayon::{WARM_UP, argument, check, refuse, sample};
use rayon::prelude::*;

const S: f64 = 3.0;

/// A part of each vector. Slices of one length, so that the compiler sees that nothing is out of bounds.
fn part(a: &mut [f64], b: &[f64], c: &[f64]) {
    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
        *a += b + S * c;
    }
}

fn main() {
    let n = argument(1, 1 << 20);
    let repetitions = argument(2, 10);
    // A part for each thread, the same in every iteration: its pages are near the thread that made them, as
    // far as rayon gives parts to the same threads.
    let length = n.div_ceil(rayon::current_num_threads()).max(1);
    let vector = |value: f64| -> Vec<f64> {
        (0..n).into_par_iter().with_min_len(length).map(|_| value).collect()
    };
    let (mut a, b, c) = (vector(0.0), vector(2.0), vector(2.0));
    for iteration in 0..repetitions + WARM_UP {
        let start = Instant::now();
        a.par_chunks_mut(length)
            .zip(b.par_chunks(length))
            .zip(c.par_chunks(length))
            .for_each(|((a, b), c)| part(a, b, c));
        if iteration >= WARM_UP {
            sample("iteration", "ms", start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let expected = (repetitions + WARM_UP) as f64 * (2.0 + S * 2.0);
    if let Some(wrong) = a.iter().find(|a| **a != expected) {
        refuse(format_args!("nstream: {wrong} instead of {expected}"));
    }
    check(a.par_iter().sum::<f64>());
}
