//! Stacks of fibres, used again.
//!
//! ```text
//!  ┌ guard, no access ┬ stack, grows down ┐ top        free list ─▶ a fibre ─▶ free list
//! ```
//!
//! A fibre lives as long as one call of a guest, or of the host by a guest. Mapping a stack for each would
//! cost more than a short call, and its page faults would hide those of the guest (`faaslet`).
//!
//! Invariants: a stack has one user at a time; at most [`limits::IDLE_STACKS`] are kept.
//!
//! JUSTIFICATION for `unsafe`: wasmtime's `StackCreator` and `StackMemory` are unsafe traits.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use mobula_shm::{PAGE_BYTES, PageBytes, Reservation};
use wasmtime::{StackCreator, StackMemory};

use crate::limits;

/// Makes stacks of one size, and keeps those that are free.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    free: Arc<Mutex<Vec<Reservation>>>,
}

impl Stacks {
    /// A stack of `size` bytes, a multiple of the page size, with zeros where nobody used it before.
    fn stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Stack> {
        let (Some(size), Some(guard)) = (PageBytes::round_up(size), PageBytes::new(PAGE_BYTES))
        else {
            wasmtime::bail!("no stack has {size} bytes");
        };
        let len = PageBytes::round_up(size.get() + guard.get()).unwrap_or(PageBytes::ZERO);
        let used = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = match used.filter(|memory| memory.len() == len) {
            Some(memory) => {
                if zeroed {
                    memory.discard(guard, size)?;
                }
                memory
            }
            None => {
                let memory = Reservation::new(len)?;
                memory.make_accessible(guard, size)?;
                memory
            }
        };
        Ok(Stack { memory: Some(memory), free: self.free.clone() })
    }
}

/// One stack in use.
struct Stack {
    /// `None` only while it is dropped.
    memory: Option<Reservation>,
    free: Arc<Mutex<Vec<Reservation>>>,
}

impl Stack {
    fn memory(&self) -> &Reservation {
        self.memory.as_ref().expect("taken by drop only")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < limits::IDLE_STACKS {
            free.extend(self.memory.take());
        }
    }
}

#[allow(unsafe_code, reason = "see JUSTIFICATION")]
// SAFETY: a stack is a mapping of its own, page aligned, above a page without access; it stays mapped
// as long as this lives, and nobody else has it meanwhile.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.memory().base().wrapping_add(self.memory().len().get())
    }
    fn range(&self) -> Range<usize> {
        let base = self.memory().base() as usize;
        base + PAGE_BYTES..base + self.memory().len().get()
    }
    fn guard_range(&self) -> Range<*mut u8> {
        let base = self.memory().base();
        base..base.wrapping_add(PAGE_BYTES)
    }
}

#[allow(unsafe_code, reason = "see JUSTIFICATION")]
// SAFETY: `stack` gives each caller a stack of the size it asks for with a guard below. What an earlier
// fibre left there is host memory that no guest can read.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        Ok(Box::new(self.stack(size, zeroed)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_used_again_by_one_at_a_time() {
        let stacks = Stacks::default();
        let size = 16 * PAGE_BYTES;
        let (a, b) = (stacks.stack(size, false).unwrap(), stacks.stack(size, false).unwrap());
        assert_ne!(a.top(), b.top());
        assert_eq!(a.range().len(), size);
        assert_eq!(a.range().start, a.guard_range().end as usize);
        let top = a.top();
        drop(a);
        let again = stacks.stack(size, true).unwrap();
        assert_eq!(again.top(), top);
        drop(again);
        assert_ne!(stacks.stack(2 * size, false).unwrap().range().len(), size);
    }
}
