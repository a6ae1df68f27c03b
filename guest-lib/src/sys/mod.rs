//! What the host does, as plain functions: in a module by its imports, natively by [`crate::native`].
//!
//! | module | `unsafe` | what |
//! |---|---|---|
//! | `wasm` | yes | imports of a module, exports that every module has |
//! | `memory` | yes | shared bytes as elements |
//! | `atomic` | in a module | operations that a module can have atomic only by another object |
//! | `views` | no | which parts of which values this call looks at |
//!
//! Both implementations have the same functions. They refuse by a trap or a panic; nothing here
//! gives an error.

use alloc::ffi::CString;

#[cfg_attr(
    target_family = "wasm",
    allow(unsafe_code, reason = "names functions of an object; the fence of this crate")
)]
pub(crate) mod atomic;
#[allow(unsafe_code, reason = "memory that other calls write to; the fence of this crate")]
pub(crate) mod memory;
pub(crate) mod views;
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "imports of the host; the fence of this crate")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::native::host::*;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::*;

/// Longest key in bytes.
const KEY_BYTES: usize = 255;

/// A key, or the name of a function, as the host takes it.
///
/// # Panics
/// When it is empty, too long or has a NUL.
pub(crate) fn name(function: &str, text: &str) -> CString {
    let known = (1..=KEY_BYTES).contains(&text.len());
    let name = CString::new(text).ok().filter(|_| known);
    name.unwrap_or_else(|| {
        let len = text.len();
        panic!("{function}: a key has 1 to {KEY_BYTES} bytes and no NUL; {text:?} has {len} bytes")
    })
}

/// Writes out what standard output holds back. The memory that it lies in is gone with the call.
pub(crate) fn flush() {
    #[cfg(feature = "std")]
    {
        use std::io::Write;
        // A closed standard output is no failure of the call.
        let _ = std::io::stdout().flush();
    }
}

/// Says why a call fails.
pub(crate) fn complain(what: core::fmt::Arguments<'_>) {
    #[cfg(feature = "std")]
    std::eprintln!("{what}");
    #[cfg(not(feature = "std"))]
    let _ = what;
}
