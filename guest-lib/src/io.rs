//! Input, output and identity of the call that runs.

use alloc::string::String;
use alloc::vec::Vec;

use crate::sys;
use crate::wire::Wire;

/// The bytes that the caller gave, or `mobula run --input`; none when there are none.
#[must_use]
pub fn input() -> Vec<u8> {
    sys::read_input()
}

/// The input as text.
///
/// # Panics
/// When it is no UTF-8.
#[must_use]
pub fn input_text() -> String {
    String::from_utf8(input()).expect("the input is UTF-8")
}

/// The input as a value that [`chain`](crate::chain) or [`chain_named`](crate::chain_named) was
/// given.
///
/// # Errors
/// What is wrong with the bytes.
pub fn input_as<T: Wire>() -> Result<T, String> {
    T::from_wire(&input())
}

/// Replaces the output that the caller gets by these bytes.
pub fn set_output(bytes: impl AsRef<[u8]>) {
    sys::write_output(bytes.as_ref());
}

/// Replaces the output by a value; in a function the value that it returns does that.
pub fn set_output_as<T: Wire>(value: &T) {
    sys::write_output(&value.to_wire());
}

/// Index of the entry that runs; 0 is main.
#[must_use]
pub fn current_index() -> u32 {
    sys::current_index()
}

/// Whether the flag is on for this run: `mobula run --conf KEY=1`.
#[must_use]
pub fn conf_flag(key: &str) -> bool {
    sys::conf_flag(&sys::name("conf_flag", key))
}
