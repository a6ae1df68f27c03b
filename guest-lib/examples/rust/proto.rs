//! A proto-function: the table of primes is built once, before the snapshot. Every call starts with it
//! filled, and what a call changes in its memory is gone with the call.
// compile: mobula rustc -o proto.wasm proto.rs
// run: mobula run proto.wasm
// expect: 1229 primes below 10000
// expect: 20 calls found the table as the proto-function left it
// exit: 0

use std::sync::OnceLock;

use mobula::{CallError, chain};

const LIMIT: usize = 10_000;

static PRIMES: OnceLock<Vec<usize>> = OnceLock::new();

fn sieve() -> Vec<usize> {
    let mut composite = vec![false; LIMIT];
    let mut primes = Vec::new();
    for i in 2..LIMIT {
        if !composite[i] {
            primes.push(i);
            (2 * i..LIMIT).step_by(i).for_each(|multiple| composite[multiple] = true);
        }
    }
    primes
}

/// It may run again: what is there stays.
#[mobula::proto]
fn proto() {
    PRIMES.get_or_init(sieve);
}

#[mobula::func]
fn look() -> bool {
    PRIMES.get().is_some_and(|primes| primes.len() == 1229 && primes.ends_with(&[9973]))
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    println!("{} primes below {LIMIT}", PRIMES.get().map_or(0, Vec::len));
    let found = mobula::wait_all((0..20).map(|_| chain(look, &())).collect::<Vec<_>>())?;
    let right = found.into_iter().filter(|&right| right).count();
    println!("{right} calls found the table as the proto-function left it");
    Ok(())
}
