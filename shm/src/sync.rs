//! The atomics that the lock protocol is written with: the real ones, or loom's, whose model
//! checker runs the protocol through all interleavings.
//!
//! Invariant: nothing but `lock::protocol` uses this, so that everything else is the same code
//! under both.

#[cfg(all(test, loom))]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
