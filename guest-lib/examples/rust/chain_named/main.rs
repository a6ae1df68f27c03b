//! Chaining by name over three modules: main chains "upper" and "count", "upper" chains "count" too.
//! `Raw` bytes are what modules in C and Python take and give; any other type travels between Rust.
// compile: mobula rustc -o upper.wasm upper.rs
// compile: mobula rustc -o count.wasm count.rs
// compile: mobula rustc -o main.wasm main.rs
// run: mobula run main.wasm --with upper.wasm --with count.wasm
// expect: upper: A SHARED WORD (13 characters)
// expect: count: 13
// exit: 0

use mobula::{CallError, Raw, chain_named};

#[mobula::main]
fn main() -> Result<(), CallError> {
    let text = Raw::from("a shared word");
    // Both run while main waits.
    let upper = chain_named::<Raw>("upper", &text);
    let count = chain_named::<u64>("count", &text);
    println!("upper: {}", upper.wait()?.text());
    println!("count: {}", count.wait()?);
    Ok(())
}
