//! Input and output as bytes: what the caller gives comes back, byte for byte.
// compile: mobula rustc -o echo.wasm echo.rs
// run: mobula run echo.wasm --input "some text" --output -
// expect: 9 bytes in
// expect: some text
// exit: 0

#[mobula::main]
fn main() {
    let bytes = mobula::input();
    println!("{} bytes in", bytes.len());
    mobula::set_output(&bytes);
}
