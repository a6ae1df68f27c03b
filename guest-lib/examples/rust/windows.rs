//! Two calls share a window in a large value. Each fills its own half, which is nobody else's as long
//! as it runs, and both add to one total with atomics. What a call stored is there for others after
//! it was awaited; while both run, only `get`, `set` and atomics may meet. In a last step one call
//! hands a message to another that runs at the same time.
// compile: mobula rustc -o windows.wasm windows.rs
// run: mobula run --threads 2 windows.wasm
// expect: sum 499500
// expect: total 499500
// expect: bytes outside the window are untouched
// expect: handed over: 42
// exit: 0

use mobula::{CallError, State, Window, chain};

const KEY: &str = "numbers";
const N: usize = 1000;
const OFFSET: usize = 100_004;
const TOTAL: usize = 300_000;

/// The last number of the area is the total.
fn area() -> Window<u32> {
    Window::part(KEY, TOTAL, OFFSET, N + 1)
}

#[mobula::func]
fn half(from: usize) {
    let mut numbers = area();
    let mut mine = numbers.exclusive(from..from + N / 2);
    for (number, i) in mine.iter_mut().zip(from as u32..) {
        *number = i;
    }
    drop(mine); // flags its part
    for i in from as u32..(from + N / 2) as u32 {
        numbers.atomic(N).fetch_add(i);
    }
    numbers.flag(N..N + 1);
    numbers.push_partial();
}

/// A flag and the data that it is for.
fn mailbox() -> Window<u32> {
    Window::open("mailbox", 2)
}

#[mobula::func]
fn send() {
    let mail = mailbox();
    mail.set(1, 42);
    mail.atomic(0).store(1);
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    mobula::wait_all([chain(half, &0), chain(half, &(N / 2))])?;
    let numbers = area();
    let sum: u32 = numbers.shared(0..N).iter().sum();
    println!("sum {sum}\ntotal {}", numbers.get(N));
    let mut around = [1_u8; 2];
    let (before, after) = around.split_at_mut(1);
    let state = State::new(KEY);
    state.read_at(TOTAL, OFFSET - 1, before);
    state.read_at(TOTAL, OFFSET + (N + 1) * size_of::<u32>(), after);
    let untouched = around == [0; 2];
    println!("bytes outside the window are {}", if untouched { "untouched" } else { "changed" });

    let mail = mailbox();
    let sender = mobula::chain_at(mail.state(), 0, send, &());
    while mail.atomic(0).load() == 0 {
        std::hint::spin_loop();
    }
    println!("handed over: {}", mail.get(1));
    sender.wait()
}
