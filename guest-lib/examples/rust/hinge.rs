//! A support vector machine by HOGWILD SGD: each call takes a range of the examples and changes the weights
//! that all calls share, without locks, element by element; what it changed is pushed by a mask. main runs
//! the epochs and adds up the errors of the calls.
//!
//! ```text
//!  features, values   2000 x 8    where an example is not zero, and what is there
//!  sides              2000        1 or -1, as true weights say, which the calls have to find
//!  weights            50          changed by all calls at once
//!  mask               50          not zero where somebody changed a weight: what is pushed
//! ```
// compile: mobula rustc -o hinge.wasm hinge.rs
// run: mobula run hinge.wasm
// expect: 2000 examples of 50 features, 8 calls an epoch
// expect: the error fell by more than a third
// expect: more than 95 % of the examples are on their side
// exit: 0

use std::ops::Range;

use mobula::{CallError, Window, chain, wait_all};

const EXAMPLES: usize = 2000;
const FEATURES: usize = 50;
/// Features of an example that are not zero.
const NONZERO: usize = 8;
const CALLS: usize = 8;
const EPOCHS: usize = 15;
const RATE: f64 = 0.02;
const DECAY: f64 = 1.0 - RATE * 0.01;

/// Rows of an array of state that main has pushed.
fn rows<T: mobula::Pod>(key: &str, width: usize, part: &Range<usize>) -> Window<T> {
    let row = width * size_of::<T>();
    let window = Window::part(key, EXAMPLES * row, part.start * row, part.len() * width);
    window.pull();
    window
}

fn weights() -> Window<f64> {
    let weights = Window::open("weights", FEATURES);
    weights.pull();
    weights
}

/// Learns from examples; the sum of their errors before each was learnt.
#[mobula::func]
fn learn(part: Range<usize>) -> f64 {
    let features = rows::<u32>("features", NONZERO, &part);
    let values = rows::<f64>("values", NONZERO, &part);
    let sides = rows::<f64>("sides", 1, &part);
    let (features, values) = (features.shared(0..features.len()), values.shared(0..values.len()));
    let sides = sides.shared(0..sides.len());
    let (weights, mask) = (weights(), Window::<u64>::open("mask", FEATURES));

    let mut errors = 0.0;
    let examples = features.chunks_exact(NONZERO).zip(values.chunks_exact(NONZERO));
    for ((features, values), side) in examples.zip(sides.iter()) {
        let terms = || features.iter().map(|&at| at as usize).zip(values);
        let product: f64 = terms().map(|(at, value)| weights.get(at) * value).sum();
        let error = (1.0 - side * product).max(0.0);
        errors += error;
        for (at, value) in terms() {
            let step = if error > 0.0 { RATE * side * value } else { 0.0 };
            // If another call changes it in between, one of the changes is lost: all right.
            weights.set(at, (weights.get(at) + step) * DECAY);
            mask.set(at, u64::MAX);
        }
    }
    weights.flag(0..FEATURES);
    weights.state().push_masked(mask.state());
    errors
}

/// One pass over all examples; the mean error.
fn epoch() -> Result<f64, CallError> {
    let share = EXAMPLES / CALLS;
    let parts = (0..EXAMPLES).step_by(share).map(|lo| chain(learn, &(lo..lo + share)));
    Ok(wait_all(parts.collect::<Vec<_>>())?.into_iter().sum::<f64>() / EXAMPLES as f64)
}

/// Numbers from -1 to 1, the same in every run. (Marsaglia's xorshift.)
fn random(seed: u64) -> impl FnMut() -> f64 {
    let mut bits = seed;
    move || {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

fn write<T: mobula::Pod>(key: &str, elements: &[T]) {
    let mut window = Window::open(key, elements.len());
    window.exclusive(0..elements.len()).copy_from_slice(elements);
    window.push();
}

/// The sum of what is in an example, each times the weight of its feature.
fn product(features: &[u32], values: &[f64], weights: &[f64]) -> f64 {
    features.iter().zip(values).map(|(&at, value)| weights[at as usize] * value).sum()
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let mut next = random(0x9E37_79B9_7F4A_7C15);
    let hidden: Vec<f64> = (0..FEATURES).map(|_| next()).collect();
    // Which features an example has: one of each part of the features.
    let step = FEATURES / NONZERO;
    let feature =
        |at: usize, x: f64| at % NONZERO * step + ((x + 1.0) / 2.0 * step as f64) as usize;
    let features: Vec<_> = (0..EXAMPLES * NONZERO).map(|at| feature(at, next()) as u32).collect();
    let values: Vec<_> = features.iter().map(|_| next()).collect();
    let examples = || features.chunks_exact(NONZERO).zip(values.chunks_exact(NONZERO));
    let products = examples().map(|(features, values)| product(features, values, &hidden));
    let sides: Vec<_> = products.map(f64::signum).collect();
    write("features", &features);
    write("values", &values);
    write("sides", &sides);

    println!("{EXAMPLES} examples of {FEATURES} features, {CALLS} calls an epoch");
    let first = epoch()?;
    let mut last = first;
    for _ in 1..EPOCHS {
        last = epoch()?;
    }
    let found: Vec<_> = weights().iter().collect();
    let good = examples()
        .zip(&sides)
        .filter(|((features, values), side)| product(features, values, &found) * *side > 0.0);
    let share = good.count() as f64 / EXAMPLES as f64;
    println!(
        "the error fell by {} than a third",
        if last < first * 2.0 / 3.0 { "more" } else { "LESS" }
    );
    println!(
        "{} than 95 % of the examples are on their side",
        if share > 0.95 { "more" } else { "LESS" }
    );
    eprintln!("error {first:.3}, then {last:.3}; {:.1} %", share * 100.0);
    Ok(())
}
