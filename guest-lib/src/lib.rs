//! What a function author sees, and the host interface that the runtime shares with it.
#![no_std]

pub mod abi;
