//! Pi by Monte Carlo as a batch: many calls under one id, started and awaited in one step. The runtime
//! hands out their numbers, which are the seeds; hits are added to a counter that all share.
// compile: mobula rustc -o pi_batch.wasm pi_batch.rs
// run: mobula run pi_batch.wasm --input 8
// expect: 8 calls: pi within 0.02
// exit: 0

use mobula::{CallError, Op, State, parallel_for};

const DARTS: u32 = 100_000;

/// Whether a dart lands in the circle; what it draws from changes with each. (Marsaglia's xorshift.)
fn hits(bits: &mut u64) -> bool {
    let mut next = || {
        *bits ^= *bits << 13;
        *bits ^= *bits >> 7;
        *bits ^= *bits << 17;
        (*bits >> 11) as f64 / (1_u64 << 53) as f64
    };
    next().powi(2) + next().powi(2) <= 1.0
}

#[mobula::func]
fn throw_darts() {
    let mut mine = 0;
    for seed in mobula::range() {
        let mut bits = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        mine += (0..DARTS).filter(|_| hits(&mut bits)).count() as i64;
    }
    let counter = State::new("hits");
    counter.merge(size_of::<i64>(), 0, &[mine], Op::Sum);
    counter.push_merge::<i64>(Op::Sum);
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let workers = mobula::input_text().trim().parse().unwrap_or(4);
    parallel_for(throw_darts, 0..workers, 1, &()).wait()?;
    let hits = State::new("hits");
    hits.pull(size_of::<i64>());
    let pi = 4.0 * hits.get::<i64>() as f64 / (workers as f64 * f64::from(DARTS));
    let near = (pi - std::f64::consts::PI).abs() < 0.02;
    println!("{workers} calls: pi {} 0.02", if near { "within" } else { "NOT within" });
    Ok(())
}
