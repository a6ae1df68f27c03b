//! Locks in shared memory that survive the death of their holder.
//!
//! ```text
//!  OwnerTable   │ magic, namespace │ slot 0: who, incarnation │ … │ slot 63 │     one per host
//!                                    ▲
//!  RwLockWord   │ writer ────────────┘ │ hint │                                  one per lock
//!               │ readers of slot 0 │ readers of slot 1 │ … │ readers of slot 63 │
//! ```
//!
//! `README.md` beside this file is the protocol: states, steps, races, fences, proof. Modules:
//! `protocol` is the algorithm over atomics (run by loom), `owners` says who holds what and who is
//! alive, `process` asks the kernel, this file lays both out in memory.
//!
//! Invariants: every change of a lock is one atomic operation on one word, so that a process may
//! die between any two instructions; a holder is named by slot and incarnation, which no two
//! processes ever have in common; nothing here waits.

mod protocol;

#[cfg(not(all(test, loom)))]
mod owners;
#[cfg(not(all(test, loom)))]
mod process;
#[cfg(not(all(test, loom)))]
mod word;

#[cfg(not(all(test, loom)))]
pub use owners::{OWNER_SLOTS, OwnerSlot, OwnerTable};
#[cfg(not(all(test, loom)))]
pub use word::{RW_LOCK_BYTES, Recovered, RwLockWord};
