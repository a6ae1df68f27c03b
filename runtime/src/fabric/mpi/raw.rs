//! The calls to MPI, each once, as safe functions over memory that they keep.
//!
//! ```text
//!  Memory (owned bytes, or a view of shared memory) ─▶ isend / irecv ─▶ Pending, which holds it
//!                                                                         └─ test ─▶ done: given back
//! ```
//!
//! Invariants: memory that MPI reads or writes is held by a [`Pending`] until MPI says that it is done
//! with it; one that is dropped before that leaks it. Only who has [`Comm`] calls MPI, and there is one
//! behind one lock.
//!
//! JUSTIFICATION for `unsafe`: MPI is C. The `mpi` crate's own wrappers take slices, and bytes that other
//! processes write must never be a slice; so its declarations are used, with raw addresses. Open MPI reads the
//! one setting that matters here from the environment, which only a single thread may change.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use mobula_shm::ByteView;
use mpi::ffi;

/// What MPI said.
#[derive(Debug, thiserror::Error)]
#[error("{op} failed: MPI error {code}")]
pub(super) struct MpiError {
    op: &'static str,
    code: c_int,
}

fn check(op: &'static str, code: c_int) -> Result<(), MpiError> {
    if code == ffi::MPI_SUCCESS as c_int { Ok(()) } else { Err(MpiError { op, code }) }
}

/// Tells Open MPI not to give the CPU away within its calls: whoever is in one of them has the fabric's lock,
/// and a thread that yields to a worker that computes would keep it for as long as the kernel lets that one
/// run. Threads here that look for frames yield between looks. To be called before MPI is initialised; does
/// nothing once there are several threads.
pub(super) fn keep_the_cpu() {
    let threads = std::fs::read_dir("/proc/self/task").map_or(usize::MAX, Iterator::count);
    if threads == 1 {
        // SAFETY: no other thread of this process exists that could read the environment meanwhile.
        unsafe { std::env::set_var("OMPI_MCA_mpi_yield_when_idle", "0") };
    }
}

/// Owned bytes at an address that stays, which nobody refers to while MPI has it.
#[derive(Debug)]
pub(super) struct Buffer {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: it owns its bytes like a `Box`.
unsafe impl Send for Buffer {}
// SAFETY: shared use gives out the address only.
unsafe impl Sync for Buffer {}

impl Buffer {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        let base = Box::into_raw(bytes.into_boxed_slice()).cast();
        Self { base: NonNull::new(base).expect("a box has an address"), len }
    }

    pub(super) fn zeroed(len: usize) -> Self {
        Self::of(vec![0; len])
    }

    /// The first `len` bytes, copied.
    pub(super) fn prefix(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len.min(self.len)];
        // SAFETY: as many bytes are ours, and nobody writes them: MPI is done with them, since what
        // is pending holds its buffer.
        unsafe {
            std::ptr::copy_nonoverlapping(self.base.as_ptr(), bytes.as_mut_ptr(), bytes.len())
        };
        bytes
    }

    pub(super) fn into_vec(self) -> Vec<u8> {
        let this = std::mem::ManuallyDrop::new(self);
        let slice = std::ptr::slice_from_raw_parts_mut(this.base.as_ptr(), this.len);
        // SAFETY: `of` made it from a box of this length, and it is not dropped twice.
        unsafe { Box::from_raw(slice) }.into_vec()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let slice = std::ptr::slice_from_raw_parts_mut(self.base.as_ptr(), self.len);
        // SAFETY: `of` made it from a box of this length.
        drop(unsafe { Box::from_raw(slice) });
    }
}

/// Memory for MPI.
#[derive(Debug, Clone)]
pub(super) enum Memory {
    Owned(Arc<Buffer>),
    Shared(ByteView),
}

impl Memory {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Owned(buffer) => buffer.len,
            Self::Shared(view) => view.len(),
        }
    }

    /// Address of the byte at `offset`, which has `len` bytes behind it.
    fn at(&self, offset: usize, len: usize) -> *mut c_void {
        assert!(offset <= self.len() && len <= self.len() - offset, "within the memory");
        let base = match self {
            Self::Owned(buffer) => buffer.base.as_ptr(),
            Self::Shared(view) => view.as_ptr(),
        };
        base.wrapping_add(offset).cast()
    }
}

/// A communicator of our own, whose errors are returned.
#[derive(Debug)]
pub(super) struct Comm(ffi::MPI_Comm);

// SAFETY: a handle; MPI was initialised for calls from any thread, one at a time (SERIALIZED), and the
// fabric's lock makes it one at a time.
unsafe impl Send for Comm {}

impl Comm {
    /// A duplicate of the world.
    pub(super) fn of_world() -> Result<Self, MpiError> {
        let (world, mut comm) = (world(), world());
        // SAFETY: MPI is initialised; `comm` is written before it is read.
        check("MPI_Comm_dup", unsafe { ffi::MPI_Comm_dup(world, &raw mut comm) })?;
        // SAFETY: a constant of MPI, set once MPI is loaded.
        let returned = unsafe { ffi::RSMPI_ERRORS_RETURN };
        // SAFETY: `comm` is a communicator.
        let set = unsafe { ffi::MPI_Comm_set_errhandler(comm, returned) };
        check("MPI_Comm_set_errhandler", set)?;
        Ok(Self(comm))
    }

    /// The ranks that share memory with this one, as a communicator.
    pub(super) fn near(&self) -> Result<Self, MpiError> {
        let mut near = self.0;
        // SAFETY: a constant of MPI.
        let shared = unsafe { ffi::RSMPI_COMM_TYPE_SHARED };
        // SAFETY: a constant of MPI.
        let info = unsafe { ffi::RSMPI_INFO_NULL };
        // SAFETY: `near` is written before it is read.
        let split = unsafe { ffi::MPI_Comm_split_type(self.0, shared, 0, info, &raw mut near) };
        check("MPI_Comm_split_type", split)?;
        Ok(Self(near))
    }

    pub(super) fn free(mut self) {
        // SAFETY: the handle is ours and not used again.
        let _ = unsafe { ffi::MPI_Comm_free(&raw mut self.0) };
    }

    pub(super) fn rank(&self) -> Result<u32, MpiError> {
        let mut rank: c_int = 0;
        // SAFETY: `rank` has room for the answer.
        check("MPI_Comm_rank", unsafe { ffi::MPI_Comm_rank(self.0, &raw mut rank) })?;
        Ok(rank as u32)
    }

    pub(super) fn size(&self) -> Result<u32, MpiError> {
        let mut size: c_int = 0;
        // SAFETY: `size` has room for the answer.
        check("MPI_Comm_size", unsafe { ffi::MPI_Comm_size(self.0, &raw mut size) })?;
        Ok(size as u32)
    }

    /// Bytes of rank 0 to all; every rank gives as many.
    pub(super) fn broadcast(&self, bytes: &mut [u8]) -> Result<(), MpiError> {
        let (at, len) = (bytes.as_mut_ptr().cast(), bytes.len() as c_int);
        // SAFETY: the slice is ours alone for the time of the call.
        check("MPI_Bcast", unsafe { ffi::MPI_Bcast(at, len, bytes_type(), 0, self.0) })
    }

    /// As many bytes of every rank to all, in the order of ranks.
    pub(super) fn all_gather(&self, bytes: &[u8]) -> Result<Vec<u8>, MpiError> {
        let mut all = vec![0; bytes.len() * self.size()? as usize];
        let (from, to) = (bytes.as_ptr().cast(), all.as_mut_ptr().cast());
        let (len, kind) = (bytes.len() as c_int, bytes_type());
        // SAFETY: `all` has room for as many bytes of every rank, and both are ours for the call.
        let done = unsafe { ffi::MPI_Allgather(from, len, kind, to, len, kind, self.0) };
        check("MPI_Allgather", done)?;
        Ok(all)
    }

    /// The largest tag.
    pub(super) fn largest_tag(&self) -> c_int {
        let (mut value, mut found) = (std::ptr::null_mut::<c_int>(), 0);
        let at = (&raw mut value).cast();
        // SAFETY: the attribute is a pointer to an int, which `value` has room for.
        let asked = unsafe {
            ffi::MPI_Comm_get_attr(world(), ffi::MPI_TAG_UB as c_int, at, &raw mut found)
        };
        if asked != ffi::MPI_SUCCESS as c_int || found == 0 || value.is_null() {
            // What the standard promises (MPI 3.1, 8.1.2).
            return 32_767;
        }
        // SAFETY: MPI says that it points to an int, which lives as long as MPI.
        unsafe { *value }
    }

    /// Starts to send `len` bytes at `offset` of `memory`.
    pub(super) fn isend(
        &self,
        memory: Memory,
        (offset, len): (usize, usize),
        to: u32,
        tag: c_int,
    ) -> Result<Pending, MpiError> {
        let (at, mut request) = (memory.at(offset, len), null_request());
        let (len, to) = (len as c_int, to as c_int);
        // SAFETY: `at` has `len` bytes, kept by the `Pending` until MPI is done.
        let sent =
            unsafe { ffi::MPI_Isend(at, len, bytes_type(), to, tag, self.0, &raw mut request) };
        check("MPI_Isend", sent)?;
        Ok(Pending { request, memory: Some(memory) })
    }

    /// Starts to receive at most `len` bytes to `offset` of `memory`; from anybody if `from` is `None`.
    pub(super) fn irecv(
        &self,
        memory: Memory,
        (offset, len): (usize, usize),
        from: Option<u32>,
        tag: c_int,
    ) -> Result<Pending, MpiError> {
        let (at, mut request) = (memory.at(offset, len), null_request());
        // SAFETY: a constant of MPI.
        let from = from.map_or_else(|| unsafe { ffi::RSMPI_ANY_SOURCE }, |from| from as c_int);
        let len = len as c_int;
        // SAFETY: `at` has `len` bytes, kept by the `Pending` until MPI is done; no reference to them
        // exists meanwhile.
        let posted =
            unsafe { ffi::MPI_Irecv(at, len, bytes_type(), from, tag, self.0, &raw mut request) };
        check("MPI_Irecv", posted)?;
        Ok(Pending { request, memory: Some(memory) })
    }

    /// Begins a barrier.
    pub(super) fn ibarrier(&self) -> Result<Pending, MpiError> {
        let mut request = null_request();
        // SAFETY: `request` has room for the handle.
        check("MPI_Ibarrier", unsafe { ffi::MPI_Ibarrier(self.0, &raw mut request) })?;
        Ok(Pending { request, memory: None })
    }

    /// Ends all processes of the job.
    pub(super) fn abort(code: c_int) {
        // SAFETY: MPI is initialised; the call does not return where MPI can end the job.
        let _ = unsafe { ffi::MPI_Abort(world(), code) };
    }
}

/// Something that MPI is doing, with the memory that it does it to.
#[derive(Debug)]
pub(super) struct Pending {
    request: ffi::MPI_Request,
    memory: Option<Memory>,
}

// SAFETY: a handle, used under the fabric's lock only.
unsafe impl Send for Pending {}

/// What was received.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived {
    pub(super) from: u32,
    pub(super) len: usize,
}

impl Pending {
    /// Whether MPI is done; from whom how much has come (means nothing for what was sent).
    pub(super) fn test(&mut self, _comm: &Comm) -> Result<Option<Arrived>, MpiError> {
        // SAFETY: a status is a plain C struct for which zeros are a value.
        let mut status: ffi::MPI_Status = unsafe { std::mem::zeroed() };
        let mut done: c_int = 0;
        // SAFETY: the request is ours and active, or null, which counts as done.
        let tested =
            unsafe { ffi::MPI_Test(&raw mut self.request, &raw mut done, &raw mut status) };
        if tested != ffi::MPI_SUCCESS as c_int {
            self.request = null_request();
            return Err(MpiError { op: "MPI_Test", code: tested });
        }
        if done == 0 {
            return Ok(None);
        }
        let mut len: c_int = 0;
        // SAFETY: the status is of a completed operation.
        let counted = unsafe { ffi::MPI_Get_count(&raw const status, bytes_type(), &raw mut len) };
        check("MPI_Get_count", counted)?;
        let len = usize::try_from(len).unwrap_or(0);
        Ok(Some(Arrived { from: u32::try_from(status.MPI_SOURCE).unwrap_or(0), len }))
    }

    /// Gives up something that was not matched yet, or waits for it.
    pub(super) fn cancel(mut self, _comm: &Comm) {
        // SAFETY: the request is ours and active.
        let _ = unsafe { ffi::MPI_Cancel(&raw mut self.request) };
        // SAFETY: as above; a cancelled request completes without anybody else.
        let _ = unsafe { ffi::MPI_Wait(&raw mut self.request, status_ignore()) };
    }

    /// The memory of something that is done.
    pub(super) fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.request != null_request() {
            // MPI may still read or write it: better lost than given to somebody else.
            std::mem::forget(self.memory.take());
        }
    }
}

fn world() -> ffi::MPI_Comm {
    // SAFETY: a constant of MPI.
    unsafe { ffi::RSMPI_COMM_WORLD }
}

fn bytes_type() -> ffi::MPI_Datatype {
    // SAFETY: a constant of MPI.
    unsafe { ffi::RSMPI_UINT8_T }
}

fn null_request() -> ffi::MPI_Request {
    // SAFETY: a constant of MPI.
    unsafe { ffi::RSMPI_REQUEST_NULL }
}

fn status_ignore() -> *mut ffi::MPI_Status {
    // SAFETY: a constant of MPI.
    unsafe { ffi::RSMPI_STATUS_IGNORE }
}
