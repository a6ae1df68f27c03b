//! Which parts of which values are open or looked at, and by which call.
//!
//! In a module the table is the call's own and keeps its windows apart. Natively it is one for all
//! calls, and views of different calls that exclude each other are refused.

use core::ops::Range;

use alloc::ffi::CString;
use alloc::vec::Vec;

use super::{current_call, with_views};

/// Keeps a trait to the types of this crate.
pub trait Sealed {}

/// What a call does with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It has a window there.
    Open,
    /// It reads, and nobody writes.
    Shared,
    /// Nobody else reads or writes.
    Exclusive,
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Note {
    number: u64,
    call: u64,
    key: CString,
    bytes: Range<usize>,
    kind: Kind,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Views {
    last: u64,
    notes: Vec<Note>,
}

impl Views {
    pub(crate) const fn new() -> Self {
        Self { last: 0, notes: Vec::new() }
    }

    /// The first line that excludes this one.
    fn against(&self, call: u64, key: &CString, bytes: &Range<usize>, kind: Kind) -> Option<&Note> {
        self.notes.iter().find(|note| {
            let overlap = note.bytes.start < bytes.end && bytes.start < note.bytes.end;
            overlap && note.key == *key && excludes(note.call == call, note.kind, kind)
        })
    }
}

/// Within a call the compiler sees what is borrowed of a window; only windows have to be apart.
fn excludes(same_call: bool, one: Kind, other: Kind) -> bool {
    use Kind::{Exclusive, Open, Shared};
    match (one, other) {
        (Open, Open) => same_call,
        (Exclusive, Shared | Exclusive) | (Shared, Exclusive) => !same_call,
        (Open, _) | (_, Open) | (Shared, Shared) => false,
    }
}

/// A line of the table, taken out when this is dropped.
#[derive(Debug)]
pub(crate) struct View {
    number: u64,
}

impl View {
    /// Notes what the running call does.
    ///
    /// # Panics
    /// When a line that is there excludes it.
    pub(crate) fn new(key: &CString, bytes: Range<usize>, kind: Kind) -> Self {
        let call = current_call();
        let refused = with_views(|views| {
            if let Some(note) = views.against(call, key, &bytes, kind) {
                return Err((note.bytes.clone(), note.kind));
            }
            views.last += 1;
            let (number, key, bytes) = (views.last, key.clone(), bytes.clone());
            views.notes.push(Note { number, call, key, bytes, kind });
            Ok(number)
        });
        match refused {
            Ok(number) => Self { number },
            Err((other, Kind::Open)) => panic!(
                "key {key:?}: this call has a window on bytes {other:?}, which overlaps {bytes:?}"
            ),
            Err((other, other_kind)) => panic!(
                "key {key:?}: {kind:?} view of bytes {bytes:?}, while another call has a view of \
                 {other:?} that is {other_kind:?}"
            ),
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        with_views(|views| views.notes.retain(|note| note.number != self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_excludes_what() {
        use Kind::{Exclusive, Open, Shared};
        assert!(excludes(true, Open, Open) && !excludes(false, Open, Open));
        assert!(excludes(false, Shared, Exclusive) && excludes(false, Exclusive, Exclusive));
        assert!(!excludes(false, Shared, Shared) && !excludes(true, Open, Exclusive));
    }
}
