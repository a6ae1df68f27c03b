//! Errors of the runtime: one enum per concern, with the operation, the name and the numbers in it.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::store::StoreError;

/// Why a module cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not a WebAssembly module.
    #[error("not a valid WebAssembly module: {}", brief(.0))]
    Invalid(wasmparser::BinaryReaderError),
    /// The module is larger than the runtime accepts.
    #[error("the module has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit, [`crate::limits::MODULE_BYTES`].
        limit: u64,
    },
    /// The module is valid but wants something that Mobula does not offer.
    #[error("this module cannot run here: {why}")]
    Unsupported {
        /// What it wants, and what to do instead.
        why: String,
    },
    /// The compiler refused the module.
    #[error("cannot compile the module: {0}")]
    Compile(String),
    /// A file of Python, and there is no interpreter.
    #[error(
        "not a valid WebAssembly module but a text; for Python functions an interpreter is needed: \
             guest-lib/python/fetch gets it, MOBULA_PYTHON names its directory"
    )]
    NoPython,
    /// The interpreter cannot be used.
    #[error("the Python interpreter {path}: {err}")]
    Interpreter {
        /// Its module.
        path: PathBuf,
        /// Why not.
        err: Box<ModuleError>,
    },
    /// Imports that no host function answers.
    #[error("the module imports functions that Mobula lacks: {0}")]
    MissingImports(String),
    /// The module has no function of that index.
    #[error("{function} has no entry {index}; it has {available}")]
    NoEntry {
        /// `user/name` of the function.
        function: String,
        /// The index that was asked for.
        index: i32,
        /// The indices there are, for people.
        available: String,
    },
    /// The start function, a constructor or the proto-function failed.
    #[error("{function}: {step} failed before the first call: {reason}")]
    Initialise {
        /// `user/name` of the function.
        function: String,
        /// The export that was called.
        step: String,
        /// Why it failed.
        reason: String,
    },
}

/// The parser's reason in one line; it lists the bytes of a wrong start.
fn brief(err: &wasmparser::BinaryReaderError) -> String {
    match err.message().split_once("bad magic number") {
        Some(_) => "it does not begin with \\0asm".to_owned(),
        None => err.to_string(),
    }
}

/// Not thiserror's `from`, which would make it a source too, and say it twice.
impl From<wasmparser::BinaryReaderError> for ModuleError {
    fn from(err: wasmparser::BinaryReaderError) -> Self {
        Self::Invalid(err)
    }
}

/// Why the runtime could not be started or a run could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A module could not be loaded.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// Shared memory could not be set up.
    #[error(transparent)]
    Shm(#[from] mobula_shm::Error),
    /// A state operation was refused.
    #[error(transparent)]
    State(#[from] StateError),
    /// The thread pool could not be built.
    #[error("cannot start {threads} worker threads: {reason}")]
    Threads {
        /// How many were wanted.
        threads: usize,
        /// What rayon said.
        reason: String,
    },
    /// wasmtime refused the configuration.
    #[error("cannot set up the WebAssembly engine: {0}")]
    Engine(String),
    /// An operating system call failed.
    #[error("{op} failed: {source}")]
    Io {
        /// The operation and what it was about.
        op: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The BLAS that was asked for cannot be used.
    #[error("the BLAS {library}: {why}")]
    Blas {
        /// What was asked for.
        library: PathBuf,
        /// Why not.
        why: String,
    },
    /// The store has the function and cannot give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A function of the store cannot run.
    #[error("function {user}/{name} of the store: {why}")]
    StoredFunction {
        /// The user.
        user: String,
        /// The function's name.
        name: String,
        /// What is wrong with its module.
        why: ModuleError,
    },
    /// The ranks of the job do not work together.
    #[error("the job cannot run: {0}")]
    Job(String),
    /// No function of that name is registered for the user.
    #[error("user {user} has no function {name:?}; it has {available}")]
    UnknownFunction {
        /// The user.
        user: String,
        /// The name that was asked for.
        name: String,
        /// The names there are, for people.
        available: String,
    },
}

/// Why a state operation is refused. Refusals trap the guest with this message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum StateError {
    /// The key is empty, longer than 255 bytes, or holds a NUL.
    #[error("a key has 1 to 255 bytes and no NUL; this one has {len} bytes")]
    BadKey {
        /// Its length as far as it was read.
        len: usize,
    },
    /// The value does not exist and the call does not say how long it is.
    #[error("key {key:?} has no value yet; write it, or name its total length, first")]
    Unknown {
        /// The key.
        key: String,
    },
    /// The value has another length than the call says.
    #[error("key {key:?} has {len} bytes, not {asked}; the first use of a key fixes its length")]
    WrongLength {
        /// The key.
        key: String,
        /// Its length.
        len: u64,
        /// The length the call named.
        asked: u64,
    },
    /// A length or offset is negative or past the end.
    #[error("key {key:?} has {len} bytes; offset {offset} and length {count} lie outside")]
    OutOfRange {
        /// The key.
        key: String,
        /// Its length.
        len: u64,
        /// The offset asked for.
        offset: i64,
        /// The number of bytes asked for.
        count: i64,
    },
    /// A resize while a window is open on the value.
    #[error("key {key:?} cannot go from {len} to {asked} bytes while a window is open on it")]
    ResizeWithWindow {
        /// The key.
        key: String,
        /// Its length.
        len: u64,
        /// The new length.
        asked: u64,
    },
    /// A removal while a window is open on the value.
    #[error(
        "key {key:?} cannot be deleted while a call has a window on it; unmap it or await the call"
    )]
    DeleteWithWindow {
        /// The key.
        key: String,
    },
    /// A merge of something that is no whole number of elements.
    #[error(
        "key {key:?}: offset {offset} and length {count} are no multiples of {size}, the bytes of \
         an element of this type"
    )]
    NotElements {
        /// The key.
        key: String,
        /// The offset.
        offset: u64,
        /// The length.
        count: u64,
        /// Bytes of an element.
        size: usize,
    },
    /// A merge of an unknown kind.
    #[error("there is no merge of type {element} with operation {op}; see faasm/mobula.h")]
    NoMerge {
        /// The number given as the element type.
        element: i32,
        /// The number given as the operation.
        op: i32,
    },
    /// The mask of a masked push has another size than the value.
    #[error("mask {mask:?} has {mask_len} bytes but key {key:?} has {len}; they must be equal")]
    MaskLength {
        /// The key.
        key: String,
        /// Its length.
        len: u64,
        /// The mask's key.
        mask: String,
        /// The mask's length.
        mask_len: u64,
    },
    /// More appended elements asked for than there are, or a buffer too small for them.
    #[error(
        "key {key:?} has {elements} appended elements; {asked} of them need {need} bytes, the buffer has {len}"
    )]
    Appended {
        /// The key.
        key: String,
        /// Elements there are.
        elements: usize,
        /// Elements asked for.
        asked: i64,
        /// Bytes they need (0 when there are too few).
        need: usize,
        /// The buffer's length.
        len: i64,
    },
    /// An unlock of something the call does not hold.
    #[error("this call holds no {kind} lock on key {key:?}")]
    NotHeld {
        /// The key.
        key: String,
        /// `read`, `write` or `global`.
        kind: Cow<'static, str>,
    },
    /// A lock the call already holds in a way that excludes the new one.
    #[error(
        "this call already holds a {held} lock on key {key:?}; asking for {kind} would wait for itself"
    )]
    SelfDeadlock {
        /// The key.
        key: String,
        /// What it holds.
        held: Cow<'static, str>,
        /// What it asks for.
        kind: Cow<'static, str>,
    },
    /// Waiting for the lock could never end.
    #[error(
        "deadlock: the {kind} lock on key {key:?} is held by a call that waits for this one; \
         release it before awaiting{circle}"
    )]
    Deadlock {
        /// The key.
        key: String,
        /// What it asks for.
        kind: Cow<'static, str>,
        /// Who waits for whom, where that goes through several ranks.
        circle: String,
    },
    /// A window needs more address space than the guest has left.
    #[error(
        "no room for a window of {need} bytes on key {key:?}: the guest's 4 GiB address space is full; \
         open smaller windows"
    )]
    NoAddressSpace {
        /// The key.
        key: String,
        /// Bytes needed.
        need: u64,
    },
    /// Another rank removed or resized the value while this call used it.
    #[error("key {key:?} was removed or got another length while it was used")]
    Replaced {
        /// The key.
        key: String,
    },
    /// The store has the value and cannot give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Shared memory refused.
    #[error("{0}")]
    Shm(String),
}

impl From<mobula_shm::Error> for StateError {
    fn from(err: mobula_shm::Error) -> Self {
        Self::Shm(err.to_string())
    }
}
