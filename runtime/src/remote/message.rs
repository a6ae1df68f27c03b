//! What ranks say to each other. Encoded by postcard, as the head of a frame.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::functions::{Shipped, Which};
use super::session::{Hello, Quiet, Welcome};
use crate::call::Slot;
use crate::fabric::RankId;
use crate::function::Entry;

/// Mostly one, which then needs no memory of its own.
pub(crate) type Few<T> = SmallVec<[T; 1]>;

/// One frame's head.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Message {
    /// Run these calls; the body holds their inputs, one behind the other.
    Calls(Few<SentCall>),
    /// These calls have ended; the body holds their outputs, one behind the other.
    Results(Few<SentResult>),
    /// The sender has nothing to do and would take so many calls.
    Hungry(u32),
    /// Something that wants an answer.
    Ask(u64, Request),
    /// The answer to the sender's question of that number.
    Answer(u64, Reply),
    /// The sender lives.
    Alive,
    /// A rank of the sender's host is gone, for this reason.
    Lost(RankId, String),
    /// The job is over.
    End,
    /// The body has [`Probe`](super::circles::Probe)s: who waits for whom?
    Probes,
}

/// A call on its way to another rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentCall {
    /// The sender's slot, where the result goes.
    pub(crate) slot: Slot,
    /// Number of the function, the same on all ranks.
    pub(crate) function: u32,
    /// What of it runs.
    pub(crate) entry: Entry,
    /// Its part of a parallel loop.
    pub(crate) range: Option<(i64, i64)>,
    /// Bytes of input.
    pub(crate) input: u32,
    /// Whether it was placed here and is not to be passed on.
    pub(crate) bound: bool,
}

/// A result on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentResult {
    /// The receiver's slot.
    pub(crate) slot: Slot,
    /// The result code.
    pub(crate) code: i32,
    /// Bytes of output.
    pub(crate) output: u32,
}

/// A question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The compiled code of a function, for processors of this kind.
    Function(Which, u64),
    /// A rank reports for work.
    Hello(Hello),
    /// Whether anything still goes on.
    Quiet,
    /// What happened on that rank.
    Report,
    /// About state.
    State(crate::state::spread::Request),
}

/// An answer; the kind that belongs to the question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// To `Function`.
    Function(Result<Shipped, String>),
    /// To `Hello`: all are there, or why the job cannot begin.
    Hello(Result<Welcome, String>),
    /// To `Quiet`.
    Quiet(Quiet),
    /// To `Report`: the body is the report as JSON.
    Report,
    /// To `State`.
    State(crate::state::spread::Reply),
}
