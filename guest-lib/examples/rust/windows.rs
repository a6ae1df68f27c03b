//! Two calls share a window in a large value. Each fills its own half, which is nobody else's as long
//! as it runs, and both add to one total with atomics. What a call stored is there for others after
//! it was awaited; while both run, only `get`, `set` and atomics may meet. In a last step one call
//! hands a message to another that runs at the same time. Atomics are between the calls of one host,
//! so calls that meet are placed where the value is at home.
// compile: mobula rustc -o windows.wasm windows.rs
// run: mobula run --threads 2 windows.wasm
// expect: sum 499500
// expect: total 499500
// expect: bytes outside the window are untouched
// expect: handed over: 42
// exit: 0

use mobula::{CallError, State, Window, chain_at};

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

/// Waits for the flag; what was stored before it is there then.
#[mobula::func]
fn receive() -> u32 {
    let mail = mailbox();
    while mail.atomic(0).load() == 0 {
        std::hint::spin_loop();
    }
    mail.get(1)
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let state = State::new(KEY);
    mobula::wait_all([0, N / 2].map(|from| chain_at(&state, OFFSET, half, &from)))?;
    let numbers = area();
    numbers.pull();
    let sum: u32 = numbers.shared(0..N).iter().sum();
    println!("sum {sum}\ntotal {}", numbers.get(N));
    let mut around = [1_u8; 2];
    let (before, after) = around.split_at_mut(1);
    state.read_at(TOTAL, OFFSET - 1, before);
    state.read_at(TOTAL, OFFSET + (N + 1) * size_of::<u32>(), after);
    let untouched = around == [0; 2];
    println!("bytes outside the window are {}", if untouched { "untouched" } else { "changed" });

    let mail = State::new("mailbox");
    let (receiver, sender) = (chain_at(&mail, 0, receive, &()), chain_at(&mail, 0, send, &()));
    println!("handed over: {}", receiver.wait()?);
    sender.wait()
}
