//! Main fans out 100 calls; each squares its input in a fresh memory and adds the result to a counter
//! that all of them share, on whichever host each runs.
// compile: mobula rustc -o squares.wasm squares.rs
// run: mobula run squares.wasm
// expect: sum of squares: 328350
// exit: 0

use mobula::{CallError, Op, State};

#[mobula::func]
fn square(x: i32) {
    let total = State::new("total");
    total.merge(size_of::<i32>(), 0, &[x * x], Op::Sum);
    total.push_merge::<i32>(Op::Sum);
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let calls: Vec<_> = (0..100).map(|x| mobula::chain(square, &x)).collect();
    mobula::wait_all(calls)?;
    let total = State::new("total");
    total.pull(size_of::<i32>());
    println!("sum of squares: {}", total.get::<i32>());
    Ok(())
}
