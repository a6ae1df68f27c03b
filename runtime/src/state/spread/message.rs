//! What ranks ask each other about state. Encoded by postcard, as all heads.

use serde::{Deserialize, Serialize};

use crate::error::StateError;
use crate::fabric::RankId;
use crate::state::lock::Mode;
use crate::state::merge::Merge;

/// A user's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Name {
    pub(crate) user: Box<str>,
    pub(crate) key: Box<[u8]>,
}

/// One value that the key has or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Which {
    pub(crate) name: Name,
    pub(crate) id: u64,
    pub(crate) len: u64,
}

/// What who looks for a value needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Want {
    /// Whatever is there.
    Look,
    /// A value of this length; made if there is none.
    Len(u64),
    /// A value of this length that is about to be overwritten; made or resized.
    Whole(u64),
}

/// Where a host's copy lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) id: u64,
    pub(crate) len: u64,
    /// Whose arena.
    pub(crate) rank: RankId,
    /// Offsets in the arena.
    pub(crate) meta: u64,
    pub(crate) data: Option<u64>,
    pub(crate) base: Option<u64>,
}

/// A question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Request {
    /// To a rank of the same host: your arena?
    Arena,
    /// To the host's keeper: where is the host's copy?
    Find(Name, Want),
    /// To the host's keeper: where is the host's copy of this very value? Made, if there is none yet.
    Copy(Which),
    /// To the owner: which value has the key?
    Settle(Name, Want),
    /// To the owner: remove the value.
    Delete(Name),
    /// To keepers: nobody opens it from now on; is it open?
    Close(Which),
    /// To keepers: it stays after all.
    Reopen(Which),
    /// To keepers: it is no more.
    Retire(Which),
    /// To ranks of the keeper's host: let go of what is no more.
    Forget(Which),
    /// To a home: so many chunks from this one on; the body is in the answer.
    Get(Which, u32, u32),
    /// To a home: the body's bytes belong at this offset.
    Put(Which, u64),
    /// To a home: the body is a patch, to be stored or merged.
    Patch(Which, Option<Merge>),
    /// To a rank of the same host: mark what was stored through windows there.
    Collect(Which),
    /// To the owner: the body is a record to append.
    Append(Name),
    /// To the owner: the first so many records, for a buffer of so many bytes.
    Records(Name, i64, i64),
    /// To the owner: forget the records.
    Clear(Name),
    /// To rank 0: has the store a value, and how long is it?
    Stored(Name),
    /// To rank 0: bring the stored value to its homes.
    Load(Which),
    /// To rank 0: the records that the store has.
    StoredRecords(Name),
    /// To every rank: the keys that it owns.
    Keys,
    /// To the server of a lock.
    Lock(Name, Mode, u64),
    /// The same.
    Unlock(Name, Mode, u64),
}

/// What the store says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum InStore {
    /// There is no store.
    NoStore,
    /// It has none.
    Absent,
    /// It has one of this length.
    Found(u64),
}

/// An answer; the kind that belongs to the question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It is done.
    Done,
    /// Process and descriptor of an arena.
    Arena(u32, i32),
    /// Where a copy is; counted as held by who asked.
    Copy(Option<Place>),
    /// Number and length of the value.
    Is(Option<(u64, u64)>),
    /// Yes or no.
    Flag(bool),
    /// What the store has.
    Stored(InStore),
    /// It was refused.
    Refused(StateError),
}

/// The keys of an owner, in the body of the answer to `Keys`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// Keys that have values.
    pub(crate) values: Vec<Name>,
    /// Keys that have none, and are not looked for in the store.
    pub(crate) vacant: Vec<Name>,
    /// Keys with appended records: their bytes and where each ends.
    pub(crate) records: Vec<(Name, Vec<u8>, Vec<usize>)>,
}
