//! Chaining by function: main starts ten calls at once, each of which chains one of its own. Every
//! call has a fresh memory: the counter below is 1 in each of them. (Not in a native build, whose
//! calls share their globals.) A call that fails says so with a number, or with an error that its
//! caller gets as a value.
// compile: mobula rustc -o chain.wasm chain.rs
// run: mobula run chain.wasm
// expect: squares 0 1 4 9 16 25 36 49 64 81
// expect: the failing call: the call returned 7
// expect: the careful call: Err("7 is odd")
// expect: the panicking call: the call trapped
// exit: 0

use std::sync::atomic::{AtomicU32, Ordering};

use mobula::{CallError, Status, chain};

static CALLS: AtomicU32 = AtomicU32::new(0);

fn check_fresh() {
    let before = CALLS.fetch_add(1, Ordering::Relaxed);
    assert!(before == 0 || cfg!(not(target_family = "wasm")), "the memory of a call is fresh");
}

#[mobula::func]
fn square(x: u64) -> u64 {
    check_fresh();
    x * x
}

/// Lets a nested call do it.
#[mobula::func]
fn nest(x: u64) -> u64 {
    check_fresh();
    chain(square, &x).wait().expect("squares are small")
}

/// An index of its own: C and Python chain it as entry 3.
#[mobula::func(3)]
fn fail() -> Status {
    Status(7)
}

#[mobula::func]
fn halve(x: u64) -> Result<u64, String> {
    if x % 2 == 0 { Ok(x / 2) } else { Err(format!("{x} is odd")) }
}

#[mobula::func]
fn divide(a: i64, b: i64) -> i64 {
    a / b
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let calls: Vec<_> = (0..10).map(|x| chain(nest, &x)).collect();
    let squares = mobula::wait_all(calls)?;
    let text: Vec<_> = squares.iter().map(u64::to_string).collect();
    println!("squares {}", text.join(" "));
    // Called directly it is an ordinary function, in this memory.
    assert_eq!(squares[9], square(9));

    println!("the failing call: {}", chain(fail, &()).wait().unwrap_err());
    println!("the careful call: {:?}", chain(halve, &7).wait()?);
    assert_eq!(chain(divide, &(-9, 2)).wait()?, -4);
    println!("the panicking call: {}", chain(divide, &(1, 0)).wait().unwrap_err());
    Ok(())
}
