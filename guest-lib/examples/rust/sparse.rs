//! Columns of a sparse matrix from state: each call opens windows on its columns only, at their offsets,
//! and takes their share of a product of a vector and the matrix.
//!
//! ```text
//!  starts  │ 0 │ 17 │ 40 │ …      where a column starts in the other two; one more than columns
//!  rows    │ 3  8  9 … │          values  │ 0.5  0.1 … │
//! ```
// compile: mobula rustc -o sparse.wasm sparse.rs
// run: mobula run sparse.wasm
// expect: 10 calls read 50 columns each
// expect: the product is right
// exit: 0

use std::ops::Range;

use mobula::{CallError, State, Window, chain, wait_all};

const ROWS: usize = 1000;
const COLUMNS: usize = 500;
const SHARE: usize = 50;

/// Some elements of a value that another call has pushed.
fn part<T: mobula::Pod>(key: &str, part: Range<usize>) -> Window<T> {
    let size = size_of::<T>();
    let window = Window::part(key, State::new(key).size(), part.start * size, part.len());
    window.pull();
    window
}

#[mobula::func]
fn share(columns: Range<usize>) {
    let starts = part::<u32>("starts", columns.start..columns.end + 1);
    let starts: Vec<_> = starts.iter().map(|at| at as usize).collect();
    let (first, last) = (starts[0], starts[columns.len()]);
    let (rows, values) = (part::<u32>("rows", first..last), part::<f64>("values", first..last));
    let (rows, values) = (rows.shared(0..last - first), values.shared(0..last - first));
    let vector = part::<f64>("vector", 0..ROWS);
    let vector = vector.shared(0..ROWS);

    let offset = columns.start * size_of::<f64>();
    let total = COLUMNS * size_of::<f64>();
    let mut product = Window::<f64>::part("product", total, offset, columns.len());
    for (column, result) in product.exclusive(0..columns.len()).iter_mut().enumerate() {
        let own = starts[column] - first..starts[column + 1] - first;
        let terms = rows[own.clone()].iter().zip(&values[own]);
        *result = terms.map(|(&row, value)| vector[row as usize] * value).sum();
    }
    product.push_partial();
}

/// Numbers below 1, the same in every run. (Marsaglia's xorshift.)
fn random(seed: u64) -> impl FnMut() -> f64 {
    let mut bits = seed;
    move || {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn write<T: mobula::Pod>(key: &str, elements: &[T]) {
    let mut window = Window::open(key, elements.len());
    window.exclusive(0..elements.len()).copy_from_slice(elements);
    window.push();
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let mut next = random(0x9E37_79B9_7F4A_7C15);
    let vector: Vec<f64> = (0..ROWS).map(|_| next()).collect();
    let (mut starts, mut rows, mut values) = (vec![0_u32], Vec::new(), Vec::new());
    // The product by the whole matrix, zeros and all.
    let mut expected = vec![0.0; COLUMNS];
    for sum in &mut expected {
        for (row, factor) in vector.iter().enumerate() {
            let value = if next() < 0.02 { next() } else { 0.0 };
            *sum += factor * value;
            if value != 0.0 {
                rows.push(row as u32);
                values.push(value);
            }
        }
        starts.push(rows.len() as u32);
    }
    write("starts", &starts);
    write("rows", &rows);
    write("values", &values);
    write("vector", &vector);

    let parts = (0..COLUMNS).step_by(SHARE).map(|lo| chain(share, &(lo..lo + SHARE)));
    let parts: Vec<_> = parts.collect();
    println!("{} calls read {SHARE} columns each", parts.len());
    wait_all(parts)?;
    let product = part::<f64>("product", 0..COLUMNS);
    let close = |(found, expected): (f64, &f64)| (found - expected).abs() < 1e-12;
    let right = product.iter().zip(&expected).all(close);
    println!("the product is {}", if right { "right" } else { "WRONG" });
    Ok(())
}
