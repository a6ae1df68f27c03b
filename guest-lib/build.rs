//! Atomic operations for guests, as an object file of a few leaf functions.
//!
//! ```text
//!  libmobula_atomics.a ─ atomics.o ─ type, import (memory), function, code │ linking │ target_features
//! ```
//!
//! Rust's stable target for WebAssembly believes in one thread and makes plain loads and stores of
//! atomic operations: two calls that add to one element of a window would lose updates. The
//! feature that changes this is unstable, so what has to be atomic is called in an object that
//! needs no compiler. One function costs a call of about a nanosecond; the operation itself costs
//! more.

use std::path::PathBuf;

const I32: u8 = 0x7F;
const I64: u8 = 0x7E;

/// One function: its name, parameters, result and atomic instruction.
struct Function {
    name: String,
    parameters: Vec<u8>,
    result: u8,
    opcode: u8,
    /// Logarithm of the alignment, which for atomic instructions is the width.
    align: u8,
}

/// The functions; opcodes are those of the threads proposal, 64 bits after 32.
fn functions() -> Vec<Function> {
    let mut all = Vec::new();
    for (bits, value, align, wide) in [(32, I32, 2, 0), (64, I64, 3, 1)] {
        let mut add = |name: &str, values: usize, opcode: u8| {
            let parameters = std::iter::once(I32).chain(vec![value; values]).collect();
            let name = format!("mobula_atomic_{name}_{bits}");
            let opcode = opcode + wide;
            all.push(Function { name, parameters, result: value, opcode, align });
        };
        add("load", 0, 0x10);
        add("add", 1, 0x1E);
        add("and", 1, 0x2C);
        add("or", 1, 0x33);
        add("swap", 1, 0x41);
        add("compare_exchange", 2, 0x48);
    }
    all
}

/// Unsigned LEB128; all our numbers are small.
fn number(value: usize) -> Vec<u8> {
    let (mut rest, mut out) = (value, Vec::new());
    loop {
        let byte = (rest & 0x7F) as u8;
        rest >>= 7;
        out.push(if rest > 0 { byte | 0x80 } else { byte });
        if rest == 0 {
            return out;
        }
    }
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [number(bytes.len()), bytes.to_vec()].concat()
}

fn list(items: impl ExactSizeIterator<Item = Vec<u8>>) -> Vec<u8> {
    let count = number(items.len());
    [count, items.flatten().collect()].concat()
}

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [vec![id], counted(body)].concat()
}

fn custom(name: &str, body: &[u8]) -> Vec<u8> {
    section(0, &[counted(name.as_bytes()), body.to_vec()].concat())
}

fn kind(function: &Function) -> Vec<u8> {
    [vec![0x60], counted(&function.parameters), counted(&[function.result])].concat()
}

/// `local.get` of each parameter, the instruction, `end`.
fn body(function: &Function) -> Vec<u8> {
    let mut code = vec![0];
    for at in 0..function.parameters.len() {
        code.push(0x20);
        code.extend(number(at));
    }
    code.extend([0xFE, function.opcode, function.align, 0, 0x0B]);
    counted(&code)
}

fn symbol(at: usize, function: &Function) -> Vec<u8> {
    const FUNCTION: u8 = 0;
    const HIDDEN: u8 = 4;
    [vec![FUNCTION, HIDDEN], number(at), counted(function.name.as_bytes())].concat()
}

fn object(functions: &[Function]) -> Vec<u8> {
    const SYMBOL_TABLE: u8 = 8;
    let memory = [counted(b"env"), counted(b"__linear_memory"), vec![2, 0, 0]].concat();
    let symbols = list(functions.iter().enumerate().map(|(at, function)| symbol(at, function)));
    let linking = [vec![2, SYMBOL_TABLE], counted(&symbols)].concat();
    let features = [vec![1, b'+'], counted(b"atomics")].concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &list(functions.iter().map(kind))),
        section(2, &[number(1), memory].concat()),
        section(3, &list((0..functions.len()).map(number))),
        section(10, &list(functions.iter().map(body))),
        custom("linking", &linking),
        custom("target_features", &features),
    ]
    .concat()
}

/// An archive with one member; the linker of Rust adds the index.
fn archive(object: &[u8]) -> Vec<u8> {
    let header =
        format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "atomics.o/", 0, 0, 0, 644, object.len());
    let mut out = [b"!<arch>\n", header.as_bytes(), object].concat();
    if !out.len().is_multiple_of(2) {
        out.push(b'\n');
    }
    out
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let wasm = std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm");
    if !wasm || std::env::var_os("CARGO_FEATURE_GUEST").is_none() {
        return;
    }
    let dir = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let file = dir.join("libmobula_atomics.a");
    std::fs::write(file, archive(&object(&functions()))).expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search=native={}", dir.display());
    println!("cargo::rustc-link-lib=static=mobula_atomics");
}
