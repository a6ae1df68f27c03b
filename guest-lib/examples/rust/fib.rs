//! Naive Fibonacci by chained calls: fib(16) is 3193 calls, most of them waiting for others. A
//! waiting call holds no thread, so one thread is enough.
// compile: mobula rustc -o fib.wasm fib.rs
// run: mobula run --threads 1 fib.wasm --input 16
// expect: fib(16) = 987
// exit: 0

use mobula::{CallError, chain};

#[mobula::func]
fn fib(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let calls = [n - 1, n - 2].map(|n| chain(fib, &n));
    calls.into_iter().map(|call| call.wait().expect("a smaller one ends")).sum()
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let n = mobula::input_text().trim().parse().unwrap_or(16);
    println!("fib({n}) = {}", chain(fib, &n).wait()?);
    Ok(())
}
