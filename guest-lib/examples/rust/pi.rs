//! Pi by Monte Carlo: calls throw darts and add their hits to a shared counter.
// compile: mobula rustc -o pi.wasm pi.rs
// run: mobula run pi.wasm --input 8
// expect: 8 calls threw 800000 darts
// expect: pi within 0.02
// exit: 0

use mobula::{CallError, Op, State, chain};

const DARTS: u32 = 100_000;

/// Numbers below 1; a seed for each call: the same run every time. (Marsaglia's xorshift.)
fn random(seed: u64) -> impl FnMut() -> f64 {
    let mut bits = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[mobula::func]
fn throw_darts(seed: u64) {
    let mut next = random(seed);
    let hits = (0..DARTS).filter(|_| next().powi(2) + next().powi(2) <= 1.0).count();
    let counter = State::new("hits");
    counter.merge(size_of::<i64>(), 0, &[hits as i64], Op::Sum);
    counter.push_merge::<i64>(Op::Sum);
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let workers = mobula::input_text().trim().parse().unwrap_or(4);
    mobula::wait_all((1..=workers).map(|seed| chain(throw_darts, &seed)).collect::<Vec<_>>())?;
    let hits = State::new("hits");
    hits.pull(size_of::<i64>());
    let darts = workers * u64::from(DARTS);
    let pi = 4.0 * hits.get::<i64>() as f64 / darts as f64;
    println!("{workers} calls threw {darts} darts");
    let near = (pi - std::f64::consts::PI).abs() < 0.02;
    println!("pi {} 0.02", if near { "within" } else { "NOT within" });
    Ok(())
}
