//! What the peers share: arguments and samples, as `bench/guests/samples.h` has them for C.

#![forbid(unsafe_code)]

use std::fmt::Display;

/// Iterations before those that are measured.
pub const WARM_UP: usize = 2;

/// The `k`-th argument as a number, or a default.
#[must_use]
pub fn argument(k: usize, fallback: usize) -> usize {
    std::env::args().nth(k).and_then(|text| text.parse().ok()).unwrap_or(fallback)
}

/// One line a sample.
pub fn sample(metric: &str, unit: &str, value: f64) {
    println!("sample {metric} {unit} {value:.9}");
}

/// The line with the number that depends on the whole answer.
pub fn check(value: impl Display) {
    println!("check {value}");
}

/// Ends the program when the answer is wrong.
pub fn refuse(message: impl Display) -> ! {
    eprintln!("{message}");
    std::process::exit(1)
}
