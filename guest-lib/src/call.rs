//! Chaining: calls that run beside this one, each in a fresh memory, and waiting for them.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;

use alloc::string::String;
use alloc::vec::Vec;

use crate::abi;
use crate::entry::{Func, Outcome, Signature};
use crate::state::State;
use crate::sys;
use crate::wire::Wire;

/// What a chained function gives its caller.
type ValueOf<F> = <<F as Signature>::Output as Outcome>::Value;

/// A call that was chained. One that nobody waits for runs to its end all the same.
#[must_use = "wait for the call, or drop it to let it run on its own"]
pub struct Call<T> {
    id: u32,
    value: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    fn new(id: u32) -> Self {
        Self { id, value: PhantomData }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.id).finish()
    }
}

/// Why a call gave no value. The reason of the first three is on stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// It panicked, trapped, or asked for something that was refused.
    Trapped,
    /// It ran longer than `--timeout`.
    TimedOut,
    /// It did not start.
    Refused,
    /// It returned this number instead of 0.
    Failed(i32),
    /// Its output is not of the type that was asked for.
    Output(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trapped => f.write_str("the call trapped"),
            Self::TimedOut => f.write_str("the call ran out of time"),
            Self::Refused => f.write_str("the call was refused"),
            Self::Failed(code) => write!(f, "the call returned {code}"),
            Self::Output(why) => write!(f, "the output of the call: {why}"),
        }
    }
}

impl core::error::Error for CallError {}

fn success(code: i32) -> Result<(), CallError> {
    match code {
        0 => Ok(()),
        abi::RC_TRAP => Err(CallError::Trapped),
        abi::RC_TIMEOUT => Err(CallError::TimedOut),
        abi::RC_REFUSED => Err(CallError::Refused),
        code => Err(CallError::Failed(code)),
    }
}

impl<T: Wire> Call<T> {
    /// Waits for the end of the call; what it gave. Waiting lets other calls run.
    ///
    /// # Errors
    /// [`CallError`] when it failed.
    pub fn wait(self) -> Result<T, CallError> {
        // What has one value only needs no output: half of the way of an empty call.
        if size_of::<T>() == 0
            && let Ok(value) = T::from_wire(&[])
        {
            return success(sys::await_call(self.id)).map(|()| value);
        }
        let (code, output) = sys::await_output(self.id);
        success(code)?;
        T::from_wire(&output).map_err(CallError::Output)
    }

    /// Waits for the end of the call: the number that it returned, and its output as bytes, also
    /// where it failed.
    #[must_use]
    pub fn wait_raw(self) -> (i32, Vec<u8>) {
        sys::await_output(self.id)
    }
}

/// Starts a function of this module: the same code in a fresh memory.
///
/// A function of several parameters takes a tuple: `chain(add, &(1, 2))`.
pub fn chain<F: Signature>(function: Func<F>, args: &F::Args) -> Call<ValueOf<F>>
where
    F::Args: Wire,
{
    Call::new(sys::chain_this(function.index(), &args.to_wire()))
}

/// As [`chain`], on the host where the byte at this offset of the value is at home.
pub fn chain_at<F: Signature>(
    state: &State,
    offset: usize,
    function: Func<F>,
    args: &F::Args,
) -> Call<ValueOf<F>>
where
    F::Args: Wire,
{
    let input = args.to_wire();
    Call::new(sys::chain_at(state.name(), offset, function.index(), &input))
}

/// Starts another module of the same user: `mobula run main.wasm --with other.wasm`. Modules in C
/// and Python take and give [`Raw`](crate::Raw).
pub fn chain_named<R: Wire>(name: &str, input: &impl Wire) -> Call<R> {
    let name = sys::name("chain_named", name);
    Call::new(sys::chain_function(&name, &input.to_wire()))
}

/// The calls of a parallel loop, under one id.
#[derive(Debug)]
#[must_use = "wait for the loop, or drop it to let it run on its own"]
pub struct Loop {
    id: u32,
}

impl Loop {
    /// Waits for all calls of the loop.
    ///
    /// # Errors
    /// The first [`CallError`] of a call.
    pub fn wait(self) -> Result<(), CallError> {
        success(sys::await_call(self.id))
    }
}

/// A parallel loop: calls the function for sub-ranges that together cover the indices once, each of
/// at least `grain` indices but the last, as many as the runtime sees fit. Each asks for its part
/// with [`range`]; all have the same arguments, and what they return is dropped.
pub fn parallel_for<F: Signature>(
    function: Func<F>,
    indices: Range<usize>,
    grain: usize,
    args: &F::Args,
) -> Loop
where
    F::Args: Wire,
{
    Loop { id: sys::chain_range(function.index(), indices, grain, &args.to_wire()) }
}

/// The part of a parallel loop that this call is for.
///
/// # Panics
/// When [`parallel_for`] did not start this call.
#[must_use]
pub fn range() -> Range<usize> {
    sys::range().expect("a call that parallel_for starts has a range")
}

/// Waits for the first of these calls to end, takes it out and gives its value; `None` when there
/// are no calls. The others move up: the index is where it was.
pub fn wait_any<T: Wire>(calls: &mut Vec<Call<T>>) -> Option<(usize, Result<T, CallError>)> {
    if calls.is_empty() {
        return None;
    }
    let ids: Vec<u32> = calls.iter().map(|call| call.id).collect();
    let first = sys::await_any(&ids);
    let at = ids.iter().position(|&id| id == first).expect("the host names one of the ids");
    Some((at, calls.remove(at).wait()))
}

/// Waits for all of these calls; their values in order.
///
/// # Errors
/// The first [`CallError`] in that order, when all have ended.
pub fn wait_all<T: Wire>(calls: impl IntoIterator<Item = Call<T>>) -> Result<Vec<T>, CallError> {
    let ended: Vec<_> = calls.into_iter().map(Call::wait).collect();
    ended.into_iter().collect()
}
