//! Peer of `scaling`: `rayon-spin [calls] [steps] [repetitions]`, the same work as rayon jobs.
//!
//! Threads come from `RAYON_NUM_THREADS`. Prints as the guest does: one `sample` line a repetition.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

/// As `bench/guests/spin.h`.
fn spin(steps: u64) -> u64 {
    (0..steps).fold(1u64, |x, _| {
        black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
}

fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let number = |at: usize, fallback| args.get(at).copied().unwrap_or(fallback);
    let (calls, steps, repetitions) = (number(0, 1000), number(1, 0), number(2, 20));
    // Jobs are spawned from a thread of the pool, as calls are chained from one.
    rayon::scope(|_| {
        for repetition in 0..repetitions + repetitions / 4 {
            let start = Instant::now();
            rayon::scope(|scope| {
                for _ in 0..calls {
                    scope.spawn(move |_| {
                        black_box(spin(steps));
                    });
                }
            });
            let took = start.elapsed().as_secs_f64() * 1e6 / calls as f64;
            let line = format!("sample call us {took:.9}\n");
            if repetition >= repetitions / 4
                && std::io::stdout().write_all(line.as_bytes()).is_err()
            {
                return;
            }
        }
    });
}
