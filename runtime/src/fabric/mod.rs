//! The fabric: frames between the ranks of a job.
//!
//! ```text
//!  rank 0                                    rank 1
//!  send(1, head + body) ──▶ fabric ──▶ poll ─▶ landing(head, len)   where the body is to lie
//!                                          └─▶ receive(head, body)  when all of it is there
//! ```
//!
//! A fabric moves bytes and knows nothing of what they mean. [`Local`] connects ranks of one process,
//! for tests; `Mpi` connects processes; [`Near`] is put on top of either and gives ranks of one host a shorter
//! way. One suite of tests runs on all (`runtime/tests/fabric`).
//!
//! Invariants: a frame arrives whole and once, or never, when its sender or receiver is gone or the
//! link is cut; **no order is promised**; `send` and `poll` never wait; a receiver is called by
//! threads that poll, and never while a lock of the fabric is held that `send` needs.

use std::fmt::Debug;
use std::sync::Arc;

use mobula_shm::ByteView;

mod local;
#[cfg(feature = "mpi")]
mod mpi;
mod near;

pub use local::{Local, Trouble};
#[cfg(feature = "mpi")]
pub use mpi::{Mpi, StartError};
pub use near::Near;

/// A rank's number in the job, from 0.
pub type RankId = u32;

/// Exit code of a job whose fabric failed or that lost a rank.
pub const FAILED: u8 = 103;

/// Most bytes of a frame's head. What is longer belongs into a body.
pub const HEAD_BYTES: usize = 32 << 10;

/// Who is in the job, and on which host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// This rank.
    pub rank: RankId,
    /// The host of each rank, as an index into `names`. Ranks of one host share memory.
    pub hosts: Vec<u32>,
    /// The hosts' names.
    pub names: Vec<String>,
    /// A name that no other job on these hosts has at the same time.
    pub id: String,
}

impl Job {
    /// The job of a rank that is alone.
    #[must_use]
    pub fn alone() -> Self {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let id = std::process::id().to_string();
        Self { rank: 0, hosts: vec![0], names: vec![name.trim().to_owned()], id }
    }

    /// Number of ranks.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.hosts.len() as u32
    }

    /// Whether there is no other rank.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.hosts.len() == 1
    }

    /// The host of a rank.
    #[must_use]
    pub fn host_of(&self, rank: RankId) -> u32 {
        self.hosts[rank as usize]
    }

    /// This rank's host.
    #[must_use]
    pub fn host(&self) -> u32 {
        self.host_of(self.rank)
    }

    /// Whether a rank shares memory with this one.
    #[must_use]
    pub fn is_near(&self, rank: RankId) -> bool {
        self.host_of(rank) == self.host()
    }

    /// The ranks of a host, in order.
    #[must_use]
    pub fn ranks_on(&self, host: u32) -> Vec<RankId> {
        (0..self.size()).filter(|&rank| self.host_of(rank) == host).collect()
    }

    /// All ranks but this one, in order.
    pub fn others(&self) -> impl Iterator<Item = RankId> + use<> {
        let me = self.rank;
        (0..self.size()).filter(move |&rank| rank != me)
    }

    /// How messages call a rank: `rank 3 (host node17)`.
    #[must_use]
    pub fn title(&self, rank: RankId) -> String {
        let name = &self.names[self.host_of(rank) as usize];
        format!("rank {rank} (host {name})")
    }
}

/// Bytes that go with a head.
#[derive(Debug, Clone, Default)]
pub enum Body {
    /// None.
    #[default]
    None,
    /// Owned bytes.
    Bytes(Vec<u8>),
    /// Shared memory, read at some time between `send` and the arrival.
    View(ByteView),
}

impl Body {
    /// A body of these bytes; none, if there are none.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() { Self::None } else { Self::Bytes(bytes) }
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::View(view) => view.len(),
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the bytes to `place`, which has as many, unless they lie there already.
    ///
    /// # Errors
    /// [`mobula_shm::Error::OutOfRange`] when the place is shorter.
    pub fn land(&self, place: &ByteView) -> mobula_shm::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Bytes(bytes) => place.copy_in(0, bytes),
            Self::View(view) if view.as_ptr() == place.as_ptr() => Ok(()),
            Self::View(view) => view.copy_to(0, place, 0, view.len()),
        }
    }

    /// The bytes, copied if they are not ours.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Bytes(bytes) => bytes,
            Self::View(view) => view.read_vec(0, view.len()).unwrap_or_default(),
        }
    }
}

/// Who gets the frames of a rank. Called by any thread, perhaps by several at once; must not wait.
pub trait Receiver: Send + Sync {
    /// Where the `len` bytes of the body that comes with `head` are to lie; `None` for memory of its
    /// own. A place of another length is not used; no bytes need none, and may be asked for or not.
    fn landing(&self, from: RankId, head: &[u8], len: usize) -> Option<ByteView>;

    /// A frame has arrived; its body lies where [`landing`](Self::landing) said, if it said so.
    fn receive(&self, from: RankId, head: &[u8], body: Body);
}

/// The transport between the ranks of a job. See the module head.
pub trait Fabric: Send + Sync + Debug {
    /// Who is in the job.
    fn job(&self) -> &Job;

    /// Gives frames to `receiver` from now on; those that came before wait for it.
    fn attach(&self, receiver: Arc<dyn Receiver>);

    /// Sends a frame; returns at once. `head` has at most [`HEAD_BYTES`], `to` is another rank.
    fn send(&self, to: RankId, head: &[u8], body: Body);

    /// Moves frames along and delivers what has arrived; tells whether anything moved. Returns at once
    /// when another thread does it just now.
    fn poll(&self) -> bool;

    /// A poll for those who look again at once, and now and then poll: may leave out what takes long to look
    /// at.
    fn glance(&self) -> bool {
        self.poll()
    }

    /// Ends it: waits until what was sent has left, as far as others take it, and gives the receiver
    /// up. Nothing is sent after it.
    fn close(&self);

    /// Ends the whole job at once, this process included if the fabric has processes.
    fn abort(&self, code: u8);
}
