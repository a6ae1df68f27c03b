//! What a function author sees, and the host interface that the runtime shares with it.
//!
//! A function for Mobula in Rust, which is also an ordinary program:
//!
//! ```
//! # extern crate mobula_guest as mobula;
//! #[mobula::func]
//! fn square(x: i64) -> i64 {
//!     x * x
//! }
//!
//! #[mobula::main]
//! fn main() {
//!     let calls: Vec<_> = (0..10).map(|x| mobula::chain(square, &x)).collect();
//!     let sum: i64 = calls.into_iter().map(|call| call.wait().unwrap()).sum();
//!     assert_eq!(sum, 285);
//! }
//! ```
//!
//! In `Cargo.toml` the crate has to be called `mobula`, because that is the name by which the
//! attributes find it: `mobula = { package = "mobula-guest", path = "…/guest-lib" }`.
//!
//! | part | what |
//! |---|---|
//! | [`main`], [`func`], [`proto`] | attributes that make entries of functions |
//! | [`chain`], [`Call`], [`parallel_for`] | calls with typed inputs and outputs |
//! | [`input`], [`set_output`], [`Raw`], [`Status`] | input, output, result of the call that runs |
//! | [`State`] | named bytes that calls share: copies, pushes, merges, locks as guards |
//! | [`Window`] | the shared bytes themselves, and the rules for them |
//! | [`abi`] | names of imports and exports, return codes: what host and guests agree on |
//! | `python` | the library of Python functions, as texts |
//! | `include/faasm/` | headers for C and C++; `mobula cc` carries them in itself |
//! | `examples/` | programs with their expected output at the top |
//! | `README.md` | the guest author's page |
//!
//! # What does not compile
//!
//! Two functions of one index; their names share one, too, in a case in two thousand million:
//!
//! ```compile_fail
//! # extern crate mobula_guest as mobula;
//! #[mobula::func(3)]
//! fn one() {}
//! #[mobula::func(3)]
//! fn other() {}
//! # fn main() {}
//! ```
//!
//! A parameter that is borrowed, because the call has a memory of its own:
//!
//! ```compile_fail
//! # extern crate mobula_guest as mobula;
//! #[mobula::func]
//! fn length(text: &str) -> usize {
//!     text.len()
//! }
//! # fn main() {}
//! ```
//!
//! A write to a part of a window that is being read:
//!
//! ```compile_fail
//! # extern crate mobula_guest as mobula;
//! let mut window = mobula::Window::<u32>::open("numbers", 10);
//! let read = window.shared(0..10);
//! window.exclusive(3..4)[0] = read[0];
//! ```
//!
//! # What is refused
//!
//! A call that asks for something it cannot have ends with a line on stderr: the host traps it, or
//! this crate panics, which is the same to its caller. No other call is hurt. In a native build a
//! panic unwinds to where the call began.
//!
//! # Features
//!
//! `macros`, `serde` and `std` are on by default. With `default-features = false, features =
//! ["guest"]` the crate needs no `std` in a guest: entries are then written by hand (see [`abi`]).

#![no_std]

#[cfg(feature = "guest")]
extern crate alloc;
#[cfg(any(feature = "std", all(feature = "guest", not(target_family = "wasm"))))]
extern crate std;

pub mod abi;
#[cfg(feature = "python")]
pub mod python;

#[cfg(feature = "guest")]
mod call;
#[cfg(feature = "guest")]
mod entry;
#[cfg(feature = "guest")]
mod io;
#[cfg(feature = "guest")]
mod lock;
#[cfg(all(feature = "guest", not(target_family = "wasm")))]
mod native;
#[cfg(feature = "guest")]
mod state;
#[cfg(feature = "guest")]
mod sys;
#[cfg(feature = "guest")]
pub mod window;
#[cfg(feature = "guest")]
mod wire;

#[cfg(feature = "macros")]
pub use mobula_guest_macros::{func, main, proto};

#[cfg(feature = "guest")]
pub use crate::{
    call::{
        Call, CallError, Loop, chain, chain_at, chain_named, parallel_for, range, wait_all,
        wait_any,
    },
    entry::{Func, Signature, Status},
    io::{conf_flag, current_index, input, input_as, input_text, set_output, set_output_as},
    lock::{GlobalGuard, ReadGuard, WriteGuard},
    state::{Mergeable, Op, State},
    window::{AtomicCell, AtomicPod, Exclusive, Shared, Window},
    wire::{Raw, Wire},
};

#[cfg(feature = "guest")]
pub use bytemuck::Pod;

/// What the attributes expand to; no part of the interface.
#[cfg(feature = "guest")]
#[doc(hidden)]
pub mod __private {
    pub use crate::entry::{Outcome, Termination, call_entry, main_entry, proto_entry};
    #[cfg(not(target_family = "wasm"))]
    pub use crate::native::{Registered, run_program};
    #[cfg(not(target_family = "wasm"))]
    pub use inventory;
}
