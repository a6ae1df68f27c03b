//! Entries: functions with an index, and what their results mean.
//!
//! ```text
//!  #[mobula::func] fn f(a: A) -> R ─▶ const f: Func<fn(A) -> R>     the value: call it, chain it
//!                                  ├▶ export _faasm_func_<index>    in a module
//!                                  └▶ Registered                    in a native program
//! ```

use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use crate::wire::Wire;
use crate::{io, sys};

/// A function that can be chained; made by [`func`](crate::func). Called directly it is the plain
/// function.
#[derive(Clone, Copy)]
pub struct Func<F> {
    index: u32,
    call: F,
}

impl<F> Func<F> {
    /// Names the function that entry `index` runs.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(index: u32, call: F) -> Self {
        Self { index, call }
    }

    /// The index by which C and Python chain it, too.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }
}

impl<F> Deref for Func<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.call
    }
}

impl<F> fmt::Debug for Func<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Func").field("index", &self.index).finish_non_exhaustive()
    }
}

/// The types of functions that can be chained: up to six parameters, which travel as one tuple.
pub trait Signature: Copy {
    /// `()`, the one parameter, or the tuple of all.
    type Args;
    /// What the function returns.
    type Output: Outcome;

    /// Calls the function.
    fn apply(self, args: Self::Args) -> Self::Output;
}

impl<R: Outcome> Signature for fn() -> R {
    type Args = ();
    type Output = R;

    fn apply(self, (): ()) -> R {
        self()
    }
}

impl<A, R: Outcome> Signature for fn(A) -> R {
    type Args = A;
    type Output = R;

    fn apply(self, arg: A) -> R {
        self(arg)
    }
}

macro_rules! signatures {
    ($(($($name:ident),*))*) => {$(
        impl<$($name,)* Z: Outcome> Signature for fn($($name),*) -> Z {
            type Args = ($($name,)*);
            type Output = Z;

            #[allow(non_snake_case, reason = "a parameter is called as its type")]
            fn apply(self, ($($name,)*): Self::Args) -> Z {
                self($($name),*)
            }
        }
    )*};
}

signatures! { (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) }

/// The result of a call as a number: 0 is success, anything else is what its caller gets as
/// [`CallError::Failed`](crate::CallError::Failed), or the exit code of `mobula run`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    /// Success.
    pub const OK: Self = Self(0);
}

/// What a function may return: a value that travels, or a [`Status`].
pub trait Outcome {
    /// What the caller gets.
    type Value: Wire;

    /// Sets the output; the result of the call.
    #[doc(hidden)]
    fn finish(self) -> i32;
}

impl<T: Wire> Outcome for T {
    type Value = T;

    fn finish(self) -> i32 {
        let bytes = self.to_wire();
        // What the function itself has set stays, if it returns nothing.
        if !bytes.is_empty() {
            sys::write_output(&bytes);
        }
        0
    }
}

impl Outcome for Status {
    type Value = ();

    fn finish(self) -> i32 {
        self.0
    }
}

/// What [`main`](crate::main) and [`proto`](crate::proto) may return.
pub trait Termination {
    /// The exit code.
    #[doc(hidden)]
    fn report(self) -> i32;
}

impl Termination for () {
    fn report(self) -> i32 {
        0
    }
}

impl Termination for Status {
    fn report(self) -> i32 {
        self.0
    }
}

impl<T: Termination, E: fmt::Debug> Termination for Result<T, E> {
    fn report(self) -> i32 {
        match self {
            Ok(value) => value.report(),
            Err(why) => {
                sys::complain(format_args!("Error: {why:?}"));
                1
            }
        }
    }
}

/// Runs a function as the call that runs: input, function, output, result.
#[doc(hidden)]
pub fn call_entry<F: Signature>(function: Func<F>) -> i32
where
    F::Args: Wire,
{
    // Arguments that have one value only need no input.
    let input = if size_of::<F::Args>() == 0 { Vec::new() } else { io::input() };
    let args = F::Args::from_wire(&input)
        .or_else(|_| F::Args::from_wire(&io::input()))
        .unwrap_or_else(|why| panic!("the input of entry {}: {why}", function.index));
    let result = function.call.apply(args).finish();
    sys::flush();
    result
}

/// Runs main as the call that runs.
#[doc(hidden)]
pub fn main_entry<T: Termination>(main: fn() -> T) -> i32 {
    let result = main().report();
    sys::flush();
    result
}

/// Runs a proto-function.
#[doc(hidden)]
pub fn proto_entry<T: Termination>(proto: fn() -> T) -> i32 {
    main_entry(proto)
}
