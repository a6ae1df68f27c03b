//! The smallest function: prints, and its result becomes the exit code.
// compile: mobula rustc -o hello.wasm hello.rs
// run: mobula run hello.wasm
// expect: Hello from entry 0
// exit: 0

#[mobula::main]
fn main() {
    println!("Hello from entry {}", mobula::current_index());
}
