//! Windows: the shared bytes of a value themselves, as elements of a type, without a copy.
//!
//! ```text
//!  value   ├──────────────────────────────┤   shared by all calls of the host
//!  window        ├────────────────┤           get, set, atomic: any number of calls at once
//!  views           ├──S──┤   ├─E─┤            Shared: &[T], nobody writes; Exclusive: &mut [T],
//!                                             nobody else reads or writes
//! ```
//!
//! # Rules
//!
//! 1. Bytes that other calls may write at the same time are read and written by [`Window::get`],
//!    [`Window::set`] and [`Window::atomic`] only. `get` and `set` are never torn for elements of
//!    1, 2, 4 or 8 bytes, and say nothing about the order in which others see them; larger elements
//!    may be torn.
//! 2. [`Window::shared`] is for bytes that no call writes meanwhile, [`Window::exclusive`] for bytes
//!    that no other call touches meanwhile. Who sees to it: one call that owns a part (a parallel
//!    loop), a lock whose guard is held around the view, or the order of calls: what is stored
//!    before a chain is there for the child, what a child stores is there after waiting for it.
//! 3. Handing over between calls that run at once is by an atomic: store the data, then
//!    [`AtomicCell::store`] a flag; who [loads](AtomicCell::load) the flag sees the data. On one
//!    host; between hosts pushes and pulls hand over.
//! 4. What was changed is flagged, then pushed. A dropped [`Exclusive`] has flagged its part; after
//!    `set` and atomics [`Window::flag`] does.
//! 5. In one call windows do not overlap, so that the borrows of a window are borrows of its bytes.
//!
//! Rules 1 and 5 are checked always. Rule 2 is a promise to other calls that no compiler sees:
//!
//! * In the sandbox each call is a program of its own, with memory of its own beside the windows.
//!   Who breaks the rule gets elements that are mixed of old and new. As any bits are an element
//!   ([`Pod`]), this hurts nobody but the calls that use them.
//! * In a native build all calls are one program, where that is a data race. There every view is
//!   noted, and one that meets a view of another call that excludes it panics, naming both. `set`
//!   into a view of another call is not seen; ThreadSanitizer sees it.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut, Range};

use bytemuck::Pod;

use crate::state::State;
use crate::sys;
use crate::sys::memory::Elements;
use crate::sys::views::{self, Kind, View};

/// Elements of a value, shared with all calls that open them. The [rules](crate::window) are at the
/// top of the module.
pub struct Window<T> {
    state: State,
    total: usize,
    offset: usize,
    elements: Elements<T>,
    /// Living [`Shared`] views, during which this window writes nothing.
    readers: Cell<usize>,
    /// Notes that this call has a window here.
    _open: View,
    /// A window belongs to the call that opened it.
    _call: PhantomData<*const ()>,
}

impl<T: Pod> Window<T> {
    /// A window on a whole value of `len` elements.
    ///
    /// # Panics
    /// When this call has a window there already.
    #[must_use]
    pub fn open(key: &str, len: usize) -> Self {
        Self::part(key, bytes::<T>(len), 0, len)
    }

    /// A window on `len` elements from this byte offset on, of a value of `total` bytes.
    ///
    /// # Panics
    /// When the offset is not aligned for `T`, or this call has a window there already.
    #[must_use]
    pub fn part(key: &str, total: usize, offset: usize, len: usize) -> Self {
        const { assert!(size_of::<T>() > 0, "elements have a size") };
        let align = align_of::<T>();
        assert!(
            offset.is_multiple_of(align),
            "window on {key:?}: offset {offset} is not a multiple of {align}, as {} wants it",
            core::any::type_name::<T>()
        );
        let state = State::new(key);
        let size = bytes::<T>(len);
        let open = View::new(state.name(), offset..offset + size, Kind::Open);
        let start = sys::open_window(state.name(), total, offset, size);
        let elements = Elements::new(start, len);
        Self {
            state,
            total,
            offset,
            elements,
            readers: Cell::new(0),
            _open: open,
            _call: PhantomData,
        }
    }

    /// How many elements the window has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value that the window is on.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// An element, while others may write it.
    ///
    /// # Panics
    /// When there is no such element.
    #[must_use]
    pub fn get(&self, at: usize) -> T {
        self.elements.get(at)
    }

    /// Replaces an element, while others may read or write it.
    ///
    /// # Panics
    /// When there is no such element, or a [`Shared`] view of this window lives.
    pub fn set(&self, at: usize, value: T) {
        self.check_no_readers("set");
        self.elements.set(at, value);
    }

    /// All elements, one by one, while others may write them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + '_ {
        (0..self.len()).map(|at| self.get(at))
    }

    /// A part that no call writes as long as the view lives: rule 2.
    ///
    /// # Panics
    /// When the part is not in the window; natively also when another call has an [`Exclusive`]
    /// view that overlaps.
    pub fn shared(&self, part: Range<usize>) -> Shared<'_, T> {
        let note = self.note(&part, Kind::Shared);
        self.readers.set(self.readers.get() + 1);
        Shared { elements: self.elements.slice(part), window: self, _note: note }
    }

    /// A part that no other call touches as long as the view lives: rule 2. When it is dropped the
    /// part is flagged as changed.
    ///
    /// # Panics
    /// When the part is not in the window; natively also when another call has a view that
    /// overlaps.
    pub fn exclusive(&mut self, part: Range<usize>) -> Exclusive<'_, T> {
        // A view that was forgotten instead of dropped still counts.
        self.check_no_readers("exclusive");
        let note = self.note(&part, Kind::Exclusive);
        let window = &*self;
        // The borrow of the window is a mutable one for as long as the view lives.
        let elements = window.elements.slice_mut(part.clone());
        Exclusive { elements, part, window, _note: note }
    }

    /// An element with atomic operations.
    ///
    /// # Panics
    /// When there is no such element, or a [`Shared`] view of this window lives.
    pub fn atomic(&self, at: usize) -> AtomicCell<'_, T>
    where
        T: AtomicPod,
    {
        self.check_no_readers("atomic");
        AtomicCell { elements: &self.elements, at: self.elements.checked(at) }
    }

    /// Says which elements `set` and atomics have changed, so that a push sends them.
    ///
    /// # Panics
    /// When the part is not in the window.
    pub fn flag(&self, part: Range<usize>) {
        let part = self.elements.checked_part(part);
        let offset = self.offset + bytes::<T>(part.start);
        self.state.flag_at(self.total, offset, bytes::<T>(part.len()));
    }

    /// Sends what is flagged home, in whole chunks.
    pub fn push(&self) {
        self.state.push();
    }

    /// Sends only the flagged bytes home.
    pub fn push_partial(&self) {
        self.state.push_partial();
    }

    /// Makes later reads see what other hosts have pushed.
    pub fn pull(&self) {
        self.check_no_readers("pull");
        self.state.pull(self.total);
    }

    /// Gives the address space back. Without it the window stays mapped until the call ends, which
    /// makes opening it again cheap.
    pub fn close(self) {
        sys::close_window(self.elements.start());
    }

    fn check_no_readers(&self, what: &str) {
        assert!(self.readers.get() == 0, "{what}: a shared view of this window lives");
    }

    fn note(&self, part: &Range<usize>, kind: Kind) -> View {
        let part = self.elements.checked_part(part.clone());
        let start = self.offset + bytes::<T>(part.start);
        View::new(self.state.name(), start..start + bytes::<T>(part.len()), kind)
    }
}

fn bytes<T>(len: usize) -> usize {
    len.checked_mul(size_of::<T>()).expect("a window is smaller than the address space")
}

impl<T> fmt::Debug for Window<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("state", &self.state)
            .field("offset", &self.offset)
            .field("len", &self.elements.len())
            .finish_non_exhaustive()
    }
}

/// Elements that nobody writes; made by [`Window::shared`].
#[derive(Debug)]
pub struct Shared<'a, T> {
    elements: &'a [T],
    window: &'a Window<T>,
    _note: View,
}

impl<T> Deref for Shared<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.elements
    }
}

impl<T> Drop for Shared<'_, T> {
    fn drop(&mut self) {
        self.window.readers.set(self.window.readers.get() - 1);
    }
}

/// Elements that nobody else touches; made by [`Window::exclusive`].
#[derive(Debug)]
pub struct Exclusive<'a, T: Pod> {
    elements: &'a mut [T],
    part: Range<usize>,
    window: &'a Window<T>,
    _note: View,
}

impl<T: Pod> Deref for Exclusive<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.elements
    }
}

impl<T: Pod> DerefMut for Exclusive<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.elements
    }
}

impl<T: Pod> Drop for Exclusive<'_, T> {
    fn drop(&mut self) {
        self.window.flag(self.part.clone());
    }
}

/// Elements with atomic operations: `i32`, `u32`, `i64`, `u64`.
pub trait AtomicPod: Pod + views::Sealed {
    /// The bits, in the lower ones of a word.
    #[doc(hidden)]
    fn bits(self) -> u64;

    /// The element of these bits; others are dropped.
    #[doc(hidden)]
    fn from_bits(bits: u64) -> Self;
}

macro_rules! atomics {
    ($($element:ty, $unsigned:ty);*) => {$(
        impl views::Sealed for $element {}

        impl AtomicPod for $element {
            fn bits(self) -> u64 {
                u64::from(self as $unsigned)
            }

            fn from_bits(bits: u64) -> Self {
                bits as $unsigned as Self
            }
        }
    )*};
}

atomics! { i32, u32; u32, u32; i64, u64; u64, u64 }

/// One element of a window with atomic operations. A load sees all that was stored before the store
/// whose value it gets, whichever call of the host stored it.
#[derive(Debug)]
pub struct AtomicCell<'a, T> {
    elements: &'a Elements<T>,
    at: usize,
}

impl<T: AtomicPod> AtomicCell<'_, T> {
    /// The element, and with it all that was stored before it.
    #[must_use]
    pub fn load(&self) -> T {
        T::from_bits(self.elements.atomic(self.at).load())
    }

    /// Replaces the element, after all that this call has stored before.
    pub fn store(&self, value: T) {
        self.elements.atomic(self.at).swap(value.bits());
    }

    /// Adds and gives what was there before; wraps.
    pub fn fetch_add(&self, value: T) -> T {
        T::from_bits(self.elements.atomic(self.at).add(value.bits()))
    }

    /// Keeps the bits that both have and gives what was there before.
    pub fn fetch_and(&self, value: T) -> T {
        T::from_bits(self.elements.atomic(self.at).and(value.bits()))
    }

    /// Sets bits and gives what was there before.
    pub fn fetch_or(&self, value: T) -> T {
        T::from_bits(self.elements.atomic(self.at).or(value.bits()))
    }

    /// Replaces the element and gives what was there before.
    pub fn swap(&self, value: T) -> T {
        T::from_bits(self.elements.atomic(self.at).swap(value.bits()))
    }

    /// Replaces the element if it is `current`.
    ///
    /// # Errors
    /// What was there instead.
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        let found = self.elements.atomic(self.at).compare_exchange(current.bits(), new.bits());
        if found == current.bits() { Ok(current) } else { Err(T::from_bits(found)) }
    }

    /// Replaces the element by what `change` makes of it, again if another call was faster; gives
    /// what was there before.
    pub fn fetch_update(&self, mut change: impl FnMut(T) -> T) -> T {
        let mut seen = self.load();
        loop {
            match self.compare_exchange(seen, change(seen)) {
                Ok(before) => return before,
                Err(found) => seen = found,
            }
        }
    }
}
