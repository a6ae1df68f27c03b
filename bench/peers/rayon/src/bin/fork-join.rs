//! Peer of fork-join: fork-join N REPETITIONS WORKERS. `rayon::broadcast` runs the body on every thread and waits
//! for all; see `bench/guests/fork-join.h` for the batches.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use mobula_bench_rayon::{argument, check, refuse, sample};

const BATCHES: usize = 100;

/// As `bench/guests/spin.h`.
fn spin(steps: u64) -> u64 {
    let mut x = 1_u64;
    for _ in 0..steps {
        x = black_box(
            x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407),
        );
    }
    x
}

/// Steps in a microsecond: the best of several tries, since others only slow it.
fn steps_in_us() -> f64 {
    let rate = |_| {
        let start = Instant::now();
        black_box(spin(black_box(200_000)));
        200_000.0 / (start.elapsed().as_secs_f64() * 1e6)
    };
    (0..20).map(rate).fold(0.0, f64::max)
}

/// Runs the body everywhere; whether all ended well.
fn iteration(steps: u64) -> bool {
    rayon::broadcast(|_| steps == 0 || spin(steps) != 0).into_iter().all(|good| good)
}

fn main() {
    let n = argument(1, 0);
    let repetitions = argument(2, 1000).max(1);
    let workers = rayon::current_num_threads();
    let steps = if n == 0 { 0 } else { (n as f64 * steps_in_us() / workers as f64) as u64 + 1 };
    let batches = repetitions.min(BATCHES);
    let mut good = 0;
    for _ in 0..repetitions.div_ceil(10) {
        black_box(iteration(steps));
    }
    for batch in 0..batches {
        let count = repetitions * (batch + 1) / batches - repetitions * batch / batches;
        let start = Instant::now();
        good += (0..count).filter(|_| iteration(steps)).count();
        let us = start.elapsed().as_secs_f64() * 1e6 / count as f64;
        sample("iteration", "us", us);
        if batch >= batches - batches.div_ceil(10) {
            sample("late", "us", us);
        }
    }
    check(good);
    if good != repetitions {
        refuse(format_args!("fork-join: {} iterations failed", repetitions - good));
    }
}
