//! rust-noop: rust_noop CALLS REPETITIONS. A fan-out of empty calls; one sample a repetition, ns per call.

use std::time::Instant;

#[mobula::func(1)]
fn noop() {}

#[mobula::main]
fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u32>().unwrap());
    let (calls, repetitions) = (numbers.next().unwrap(), numbers.next().unwrap());
    for r in 0..repetitions + repetitions / 4 {
        let start = Instant::now();
        let all: Vec<_> = (0..calls).map(|_| mobula::chain(noop, &())).collect();
        mobula::wait_all(all).unwrap();
        if r >= repetitions / 4 {
            let each = start.elapsed().as_nanos() as f64 / f64::from(calls);
            println!("sample call ns {each}");
        }
    }
}
