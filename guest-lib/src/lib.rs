//! What a function author sees, and the host interface that the runtime shares with it.
//!
//! | part | what |
//! |---|---|
//! | [`abi`] | names of imports and exports, return codes: what host and guests agree on |
//! | [`python`] | the library of Python functions, as texts |
//! | `include/faasm/` | headers for C and C++; `mobula cc` carries them in itself |
//! | `examples/` | programs with their expected output at the top |
//! | `README.md` | the guest author's page |
#![no_std]

pub mod abi;
pub mod python;
