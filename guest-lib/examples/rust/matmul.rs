//! Matrix multiplication by divide and conquer: a call splits its columns of the product in halves and
//! chains a call for each, until they are few; that call multiplies, between windows.
//!
//!              A        x   B [ lo | hi )  =  C [ lo | hi )     windows: all of A, columns of B, C
//!
//! Matrices are stored column after column, so that some columns are one range of bytes.
// compile: mobula rustc -o matmul.wasm matmul.rs
// run: mobula run matmul.wasm
// expect: 192 x 192: 31 calls, 16 of them multiplied
// expect: the product is right
// exit: 0

use std::ops::Range;

use mobula::{CallError, Op, State, Window, chain, wait_all};

const N: usize = 192;
const FEW: usize = 12;

/// Columns of a matrix in state.
fn columns(key: &str, part: &Range<usize>) -> Window<f64> {
    let column = N * size_of::<f64>();
    Window::part(key, N * column, part.start * column, part.len() * N)
}

fn count(key: &str) {
    let counter = State::new(key);
    counter.merge(size_of::<i32>(), 0, &[1], Op::Sum);
    counter.push_merge::<i32>(Op::Sum);
}

fn counted(key: &str) -> i32 {
    let counter = State::new(key);
    counter.pull(size_of::<i32>());
    counter.get()
}

fn multiply(part: &Range<usize>) {
    let (a, b, mut c) = (columns("A", &(0..N)), columns("B", part), columns("C", part));
    a.pull();
    b.pull();
    {
        let (a, b) = (a.shared(0..N * N), b.shared(0..b.len()));
        let all = 0..c.len();
        let mut c = c.exclusive(all);
        for (c, b) in c.chunks_exact_mut(N).zip(b.chunks_exact(N)) {
            // A column of C: the columns of A, each times a number.
            c.fill(0.0);
            for (a, factor) in a.chunks_exact(N).zip(b) {
                c.iter_mut().zip(a).for_each(|(c, a)| *c += a * factor);
            }
        }
    }
    // Only its own bytes: other calls push other columns of the same chunks.
    c.push_partial();
    count("multiplied");
}

#[mobula::func]
fn product(part: Range<usize>) {
    count("calls");
    if part.len() <= FEW {
        return multiply(&part);
    }
    let middle = part.start + part.len() / 2;
    let halves = [part.start..middle, middle..part.end].map(|half| chain(product, &half));
    wait_all(halves).expect("a half is a product, too");
}

/// Numbers below 1, the same in every run. (Marsaglia's xorshift.)
fn random(seed: u64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(seed), |bits| {
        let bits = bits ^ (bits << 13);
        let bits = bits ^ (bits >> 7);
        Some(bits ^ (bits << 17))
    })
    .map(|bits| (bits >> 11) as f64 / (1_u64 << 53) as f64)
}

fn make(key: &str, seed: u64) -> Vec<f64> {
    let numbers: Vec<f64> = random(seed).take(N * N).collect();
    let mut matrix = columns(key, &(0..N));
    matrix.exclusive(0..N * N).copy_from_slice(&numbers);
    matrix.push();
    numbers
}

/// The largest difference to what rows times columns give.
fn error(a: &[f64], b: &[f64], c: &[f64]) -> f64 {
    let entry = |row: usize, column: usize| -> f64 {
        (0..N).map(|k| a[k * N + row] * b[column * N + k]).sum()
    };
    let differences = (0..N * N).map(|at| (c[at] - entry(at % N, at / N)).abs());
    differences.fold(0.0, f64::max)
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let (a, b) = (make("A", 0x9E37_79B9_7F4A_7C15), make("B", 0xC2B2_AE3D_27D4_EB4F));
    chain(product, &(0..N)).wait()?;
    let (calls, multiplied) = (counted("calls"), counted("multiplied"));
    println!("{N} x {N}: {calls} calls, {multiplied} of them multiplied");
    let c = columns("C", &(0..N));
    c.pull();
    let right = error(&a, &b, &c.shared(0..N * N)) < 1e-10;
    println!("the product is {}", if right { "right" } else { "WRONG" });
    Ok(())
}
