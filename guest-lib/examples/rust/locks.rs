//! Lock contention: eight calls add to one counter by reading and writing it back. The write lock
//! makes that safe on one host, so those calls are placed where the counter is at home; the global
//! lock makes it safe in the whole job. Readers share. A lock is a guard: it is given back where the
//! guard ends.
// compile: mobula rustc -o locks.wasm locks.rs
// run: mobula run locks.wasm
// expect: with the write lock: 800
// expect: with the global lock: 800
// expect: two readers at once
// exit: 0

use mobula::{CallError, State, chain, chain_at};

const CALLS: usize = 8;
const EACH: usize = 100;
const BYTES: usize = size_of::<u32>();

fn add_one(counter: &State) {
    counter.set(&(counter.get::<u32>() + 1));
}

#[mobula::func]
fn local() {
    let counter = State::new("local");
    for _ in 0..EACH {
        let _alone = counter.lock_write();
        add_one(&counter);
    }
    counter.push();
}

#[mobula::func]
fn global() {
    let counter = State::new("global");
    for _ in 0..EACH {
        let _alone = counter.lock_global();
        counter.pull(BYTES);
        add_one(&counter);
        counter.push();
    }
}

/// Reads while the caller holds the read lock too; with a write lock this would wait for ever.
#[mobula::func]
fn reader() -> u32 {
    let counter = State::new("local");
    let _shared = counter.lock_read();
    counter.pull(BYTES);
    counter.get()
}

fn pulled(counter: &State) -> u32 {
    counter.pull(BYTES);
    counter.get()
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let counter = State::new("local");
    mobula::wait_all((0..CALLS).map(|_| chain_at(&counter, 0, local, &())).collect::<Vec<_>>())?;
    println!("with the write lock: {}", pulled(&counter));
    mobula::wait_all((0..CALLS).map(|_| chain(global, &())).collect::<Vec<_>>())?;
    println!("with the global lock: {}", pulled(&State::new("global")));

    let shared = counter.lock_read();
    let seen = chain(reader, &()).wait()?;
    drop(shared);
    let all = (CALLS * EACH) as u32;
    println!("{}", if seen == all { "two readers at once" } else { "the reader failed" });
    Ok(())
}
