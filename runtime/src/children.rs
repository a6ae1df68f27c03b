//! The children of a call, by the ids that its guest sees.
//!
//! ```text
//!  id = base + place in the list ──▶ Running(slot) ─▶ Output(slot) ─▶ Awaited
//!       └─ differs from call to call  Loop(slots) ────────────────────▶ Awaited
//! ```
//!
//! Ids mean something only to the call that created the children, so a guessed or foreign id reaches
//! nobody else's call.
//!
//! Invariants: an id is never 0; a child that was awaited stays so.

use crate::call::Slot;

/// The children of one call, by the ids that its guest sees.
#[derive(Debug, Default)]
pub(crate) struct Children {
    base: u32,
    slots: Vec<Child>,
    /// The calls of parallel loops, by the number in [`Child::Loop`].
    loops: Vec<Vec<Slot>>,
    open: usize,
}

#[derive(Debug, Clone, Copy)]
enum Child {
    Running(Slot),
    /// A parallel loop: the calls at this place of `loops`.
    Loop(u32),
    /// Awaited by `__mobula_await_output_size`, which leaves the output to be fetched.
    Output(Slot),
    Awaited,
}

/// Why an id cannot be awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadId {
    /// Not an id that this call was given.
    #[error("call id {0} was not given to this call (only the call that chained it can await it)")]
    Unknown(u32),
    /// Awaited before.
    #[error("call id {0} was awaited before; an id can be awaited once")]
    Twice(u32),
    /// A parallel loop where one call is meant.
    #[error("id {0} is a parallel loop, whose calls have no output; use faasmAwaitCall")]
    Loop(u32),
}

impl Children {
    /// Forgets all children and starts ids at a number that differs from call to call.
    pub(crate) fn begin(&mut self, serial: u64) {
        debug_assert!(self.open == 0, "the last call's children were released");
        self.slots.clear();
        self.loops.clear();
        // Fibonacci hashing (Knuth, TAOCP 3, 6.4) spreads the ranges of ids of different calls.
        self.base = (serial.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32;
    }

    /// Adds a child and returns its id, which is never 0.
    pub(crate) fn add(&mut self, slot: Slot) -> u32 {
        self.forget_awaited();
        self.push(Child::Running(slot))
    }

    /// Adds a parallel loop of these calls and returns its id, which is never 0.
    pub(crate) fn add_loop(&mut self, slots: Vec<Slot>) -> u32 {
        self.forget_awaited();
        let index = self.loops.len() as u32;
        self.loops.push(slots);
        self.push(Child::Loop(index))
    }

    /// When all are awaited, ids go on and the list starts anew, so that a loop needs no memory.
    fn forget_awaited(&mut self) {
        if self.open == 0 && self.slots.len() >= 1 << 16 {
            self.base = self.next_id();
            self.slots.clear();
            self.loops.clear();
        }
    }

    fn push(&mut self, child: Child) -> u32 {
        if self.next_id() == 0 {
            self.slots.push(Child::Awaited);
        }
        let id = self.next_id();
        self.slots.push(child);
        self.open += 1;
        id
    }

    fn next_id(&self) -> u32 {
        self.base.wrapping_add(self.slots.len() as u32)
    }

    fn index(&self, id: u32) -> Result<usize, BadId> {
        let index = id.wrapping_sub(self.base) as usize;
        if index < self.slots.len() { Ok(index) } else { Err(BadId::Unknown(id)) }
    }

    /// The slot of a child that was not awaited yet.
    pub(crate) fn running(&self, id: u32) -> Result<Slot, BadId> {
        match self.slots[self.index(id)?] {
            Child::Running(slot) => Ok(slot),
            Child::Loop(_) => Err(BadId::Loop(id)),
            Child::Output(_) | Child::Awaited => Err(BadId::Twice(id)),
        }
    }

    /// Whether the id is that of a parallel loop.
    pub(crate) fn is_loop(&self, id: u32) -> bool {
        self.index(id).is_ok_and(|index| matches!(self.slots[index], Child::Loop(_)))
    }

    /// The slots of a child that was not awaited yet: one, or all of a parallel loop.
    pub(crate) fn all_running(&self, id: u32) -> Result<&[Slot], BadId> {
        match &self.slots[self.index(id)?] {
            Child::Running(slot) => Ok(std::slice::from_ref(slot)),
            Child::Loop(index) => Ok(&self.loops[*index as usize]),
            Child::Output(_) | Child::Awaited => Err(BadId::Twice(id)),
        }
    }

    /// The slot of a child that was awaited but whose output was left.
    pub(crate) fn output(&self, id: u32) -> Result<Slot, BadId> {
        match self.slots[self.index(id)?] {
            Child::Output(slot) => Ok(slot),
            Child::Running(_) | Child::Loop(_) | Child::Awaited => Err(BadId::Unknown(id)),
        }
    }

    /// Notes that the child was awaited but keeps its output.
    pub(crate) fn keep_output(&mut self, id: u32) {
        if let Ok(index) = self.index(id)
            && let Child::Running(slot) = self.slots[index]
        {
            self.slots[index] = Child::Output(slot);
        }
    }

    /// Notes that the child is done with.
    pub(crate) fn close(&mut self, id: u32) {
        if let Ok(index) = self.index(id) {
            if let Child::Loop(index) = self.slots[index] {
                self.loops[index as usize] = Vec::new();
            }
            self.slots[index] = Child::Awaited;
            self.open -= 1;
        }
    }

    /// Ends the call: the slots that were never awaited.
    pub(crate) fn end(&mut self, mut release: impl FnMut(Slot)) {
        if self.open > 0 {
            for child in &self.slots {
                match *child {
                    Child::Running(slot) | Child::Output(slot) => release(slot),
                    Child::Loop(index) => {
                        self.loops[index as usize].iter().for_each(|&slot| release(slot));
                    }
                    Child::Awaited => {}
                }
            }
        }
        self.open = 0;
        self.slots.clear();
        self.loops.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_callers_own_and_good_once() {
        let mut children = Children::default();
        children.begin(1);
        let (a, b) = (children.add(10), children.add(11));
        assert_ne!(a, b);
        assert_eq!(children.running(b), Ok(11));
        children.close(b);
        assert_eq!(children.running(b), Err(BadId::Twice(b)));
        assert_eq!(children.running(b + 1), Err(BadId::Unknown(b + 1)));
        assert_eq!(children.running(0), Err(BadId::Unknown(0)));
        assert_eq!(children.output(a), Err(BadId::Unknown(a)));
        children.keep_output(a);
        assert_eq!(children.output(a), Ok(10));
        let mut released = Vec::new();
        children.end(|slot| released.push(slot));
        assert_eq!(released, [10]);
    }

    #[test]
    fn a_parallel_loop_is_one_child_of_many_calls() {
        let mut children = Children::default();
        children.begin(5);
        let (one, all) = (children.add(7), children.add_loop(vec![8, 9]));
        assert_eq!(children.all_running(one), Ok(&[7][..]));
        assert_eq!(children.all_running(all), Ok(&[8, 9][..]));
        assert_eq!(children.running(all), Err(BadId::Loop(all)));
        children.close(one);
        let mut released = Vec::new();
        children.end(|slot| released.push(slot));
        assert_eq!(released, [8, 9]);
    }

    #[test]
    fn a_long_loop_of_awaited_children_needs_no_memory() {
        let mut children = Children::default();
        children.begin(3);
        for _ in 0..200_000 {
            let id = children.add(1);
            assert_ne!(id, 0);
            children.close(id);
        }
        assert!(children.slots.len() <= 1 << 16);
    }
}
