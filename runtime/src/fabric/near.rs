//! Short frames between ranks of one host go through shared memory; all others through the fabric below.
//!
//! ```text
//!  one segment a host, made by its first rank; for each pair of ranks
//!     words   tail, written by the sender │ head, written by the receiver     always there
//!     ring    records of 8 bytes and more, one behind the other               once there is a first one
//!
//!  send(near, short) ─▶ record into the ring, tail ─▶ glance or poll of the receiver ─▶ receive, head
//!  send(far, or long, or the ring is full) ─▶ below
//! ```
//!
//! A record is the lengths of head and body, then both; it never wraps around: what does not fit in front of
//! the end is behind a mark at the start.
//!
//! Invariants: a ring has one sender and one receiver process, each with a lock of its own; a record is read
//! after its tail was published and not written over before its head was; rings are used between two ranks
//! only if both have the segment.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use mobula_shm::{Arena, ArenaOptions, Block, ByteView, Result};
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{Body, Fabric, Job, RankId, Receiver};

/// Bytes of a ring.
const RING: usize = 64 << 10;
/// The longest record: several fit, so that a sender is rarely held up by one that is being read.
const LONGEST: usize = RING / 4;
/// Lengths of head and body in front of them.
const LENGTHS: usize = 8;
/// In place of the head's length: the next record is at the start of the ring.
const TO_START: u32 = u32::MAX;
/// Bytes of the words of a ring, tail and head far enough apart not to share a cache line.
const WORDS: usize = 256;
const TAIL: usize = 0;
const HEAD: usize = 128;
/// Bytes in front of all words, for the mark by which the segment is known.
const MARK: usize = 256;
/// Records that a look takes from one ring at most.
const AT_ONCE: usize = 32;

/// A fabric whose ranks on one host have shortcuts. See the module head.
pub struct Near {
    below: Arc<dyn Fabric>,
    receiver: OnceLock<Arc<dyn Receiver>>,
    /// By rank; those that are far have none.
    outgoing: Vec<Option<Mutex<Outgoing>>>,
    incoming: Mutex<Vec<Incoming>>,
}

impl std::fmt::Debug for Near {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let near = self.outgoing.iter().flatten().count();
        f.debug_struct("Near").field("near", &near).field("below", &self.below).finish()
    }
}

/// The memory of a ring.
struct Ring {
    words: ByteView,
    bytes: ByteView,
}

struct Outgoing {
    ring: Ring,
    tail: u64,
    /// The receiver's head when it was last looked at.
    head: u64,
    /// What gives the ring its memory, until it has some.
    block: Option<(Arc<Block>, u64)>,
}

struct Incoming {
    from: RankId,
    ring: Ring,
    head: u64,
}

struct Frame {
    from: RankId,
    head: SmallVec<[u8; 64]>,
    body: Body,
}

/// Mostly one; the array is on the stack of who looks.
type Frames = SmallVec<[Frame; 2]>;

impl Near {
    /// Gives ranks of one host shortcuts. `gather` gives the numbers of all ranks, by rank; all ranks call
    /// this, before anything is sent. Where there is no other rank, or no memory, it is the fabric below.
    ///
    /// # Errors
    /// Those of `gather`.
    pub fn join<E>(
        below: Arc<dyn Fabric>,
        gather: impl Fn(u64) -> std::result::Result<Vec<u64>, E>,
    ) -> std::result::Result<Arc<dyn Fabric>, E> {
        let job = below.job().clone();
        let near = job.ranks_on(job.host());
        let own = (near[0] == job.rank && near.len() > 1).then(|| make(&job, near.len()).ok());
        let own = own.flatten();
        let address = own.as_ref().map_or(0, |(arena, _)| {
            u64::from(std::process::id()) << 32 | u64::from(arena.fd().as_raw_fd().cast_unsigned())
        });
        let address = gather(address)?[near[0] as usize];
        let offset = gather(own.as_ref().map_or(0, |(_, block)| block.file_offset()))?;
        let block = match own {
            Some((_, block)) => Some(block),
            None if address != 0 => find(&job, near.len(), address, offset[near[0] as usize]).ok(),
            None => None,
        };
        let block = block.map(Arc::new);
        let have = gather(u64::from(block.is_some()))?;
        let Some(block) = block else { return Ok(below) };
        let me = near.iter().position(|&rank| rank == job.rank).unwrap_or(0);
        let mut outgoing: Vec<_> = (0..job.size()).map(|_| None).collect();
        let mut incoming = Vec::new();
        for (index, &rank) in near.iter().enumerate() {
            if rank == job.rank || have[rank as usize] == 0 {
                continue;
            }
            let there = ring_of(&block, near.len(), me, index);
            let back = ring_of(&block, near.len(), index, me);
            let (Ok((there, at)), Ok((back, _))) = (there, back) else { continue };
            let block = Some((block.clone(), at));
            outgoing[rank as usize] =
                Some(Mutex::new(Outgoing { ring: there, tail: 0, head: 0, block }));
            incoming.push(Incoming { from: rank, ring: back, head: 0 });
        }
        let (receiver, incoming) = (OnceLock::new(), Mutex::new(incoming));
        Ok(Arc::new(Self { below, receiver, outgoing, incoming }))
    }

    /// Delivers what is in the rings; tells whether anything was.
    fn take(&self) -> bool {
        let Some(receiver) = self.receiver.get() else { return false };
        let mut frames = Frames::new();
        {
            let Some(mut incoming) = self.incoming.try_lock() else { return false };
            for ring in &mut *incoming {
                // A rank that writes nonsense into memory that is its own and ours ends up unheard.
                let _ = ring.take(&**receiver, &mut frames);
            }
        }
        let moved = !frames.is_empty();
        for Frame { from, head, body } in frames {
            receiver.receive(from, &head, body);
        }
        moved
    }
}

/// By what ranks know that a segment is that of their host in their job.
fn mark_of(job: &Job) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&job.id, job.host()).hash(&mut hasher);
    hasher.finish()
}

/// Bytes in front of the rings of so many ranks, a multiple of a page.
fn front(ranks: usize) -> usize {
    (MARK + ranks * ranks * WORDS).next_multiple_of(mobula_shm::PAGE_BYTES)
}

/// The segment of a host with so many ranks.
fn make(job: &Job, ranks: usize) -> Result<(Arena, Block)> {
    let bytes = (front(ranks) + ranks * ranks * RING) as u64;
    // Blocks begin at huge pages.
    let capacity =
        bytes.next_multiple_of(mobula_shm::HUGE_BYTES as u64) + 2 * mobula_shm::HUGE_BYTES as u64;
    let arena = Arena::create_private(ArenaOptions { capacity, numa_node: None })?;
    let block = arena.alloc_sparse(bytes)?;
    block.allocate(0..front(ranks) as u64)?;
    block.view().put(0, mark_of(job))?;
    Ok((arena, block))
}

/// The segment that the first rank of this host has made.
fn find(job: &Job, ranks: usize, address: u64, offset: u64) -> Result<Block> {
    let (pid, fd) = ((address >> 32) as u32, (address as u32).cast_signed());
    let arena = Arena::attach_open(pid, fd)?;
    let bytes = (front(ranks) + ranks * ranks * RING) as u64;
    let block = arena.block_at(offset, bytes, Arc::new(()))?;
    // In another container the same numbers may mean another process.
    if block.view().get::<u64>(0)? != mark_of(job) {
        let (what, reason) = (format!("segment of process {pid}"), "it is another job's".into());
        return Err(mobula_shm::Error::Foreign { what, reason });
    }
    Ok(block)
}

/// The ring between two ranks, by their places on the host, and where its bytes lie in the block.
fn ring_of(block: &Block, ranks: usize, from: usize, to: usize) -> Result<(Ring, u64)> {
    let (view, number) = (block.view(), to * ranks + from);
    let at = front(ranks) + number * RING;
    let words = view.sub(MARK + number * WORDS, WORDS)?;
    Ok((Ring { words, bytes: view.sub(at, RING)? }, at as u64))
}

impl Outgoing {
    /// Puts a record into the ring; `false` when there is no room.
    fn put(&mut self, head: &[u8], body: &Body) -> Result<bool> {
        let len = (LENGTHS + head.len() + body.len()).next_multiple_of(LENGTHS);
        let mut at = (self.tail % RING as u64) as usize;
        let skipped = if RING - at < len { RING - at } else { 0 };
        let end = self.tail + (skipped + len) as u64;
        if end - self.head > RING as u64 {
            self.head = self.ring.words.atomic_u64(HEAD)?.load(Ordering::Acquire);
            if end - self.head > RING as u64 {
                return Ok(false);
            }
        }
        if let Some((block, offset)) = &self.block {
            block.allocate(*offset..*offset + RING as u64)?;
            self.block = None;
        }
        let bytes = &self.ring.bytes;
        if skipped > 0 {
            bytes.put(at, TO_START)?;
            at = 0;
        }
        bytes.put(at, head.len() as u32)?;
        bytes.put(at + 4, body.len() as u32)?;
        bytes.copy_in(at + LENGTHS, head)?;
        let behind = at + LENGTHS + head.len();
        match body {
            Body::None => {}
            Body::Bytes(data) => bytes.copy_in(behind, data)?,
            Body::View(view) => view.copy_to(0, bytes, behind, view.len())?,
        }
        self.tail = end;
        self.ring.words.atomic_u64(TAIL)?.store(end, Ordering::Release);
        Ok(true)
    }
}

impl Incoming {
    /// Takes what has come, bodies to where they are to lie.
    fn take(&mut self, receiver: &dyn Receiver, frames: &mut Frames) -> Result<()> {
        let tail = self.ring.words.atomic_u64(TAIL)?.load(Ordering::Acquire);
        if tail == self.head {
            return Ok(());
        }
        let bytes = &self.ring.bytes;
        let mut taken = 0;
        while self.head != tail && taken < AT_ONCE {
            let at = (self.head % RING as u64) as usize;
            let head_len = bytes.get::<u32>(at)?;
            if head_len == TO_START {
                self.head += (RING - at) as u64;
                continue;
            }
            let (head_len, body_len) = (head_len as usize, bytes.get::<u32>(at + 4)? as usize);
            let mut head = SmallVec::from_elem(0, head_len.min(LONGEST));
            bytes.copy_out(at + LENGTHS, &mut head)?;
            let body = self.body(receiver, &head, (at + LENGTHS + head_len, body_len))?;
            frames.push(Frame { from: self.from, head, body });
            self.head += (LENGTHS + head_len + body_len).next_multiple_of(LENGTHS) as u64;
            taken += 1;
        }
        self.ring.words.atomic_u64(HEAD)?.store(self.head, Ordering::Release);
        Ok(())
    }

    /// A body of so many bytes at that place in the ring, put where the receiver wants it.
    fn body(
        &self,
        receiver: &dyn Receiver,
        head: &[u8],
        (at, len): (usize, usize),
    ) -> Result<Body> {
        if len == 0 {
            return Ok(Body::None);
        }
        let place = receiver.landing(self.from, head, len).filter(|place| place.len() == len);
        match place {
            Some(place) if self.ring.bytes.copy_to(at, &place, 0, len).is_ok() => {
                Ok(Body::View(place))
            }
            _ => Ok(Body::Bytes(self.ring.bytes.read_vec(at, len)?)),
        }
    }
}

impl Fabric for Near {
    fn job(&self) -> &Job {
        self.below.job()
    }

    fn attach(&self, receiver: Arc<dyn Receiver>) {
        self.below.attach(receiver.clone());
        assert!(self.receiver.set(receiver).is_ok(), "a fabric has one receiver");
    }

    fn send(&self, to: RankId, head: &[u8], body: Body) {
        if let Some(outgoing) = &self.outgoing[to as usize]
            && LENGTHS + head.len() + body.len() <= LONGEST
            // Where the ring has no memory, or was broken, the other way remains.
            && outgoing.lock().put(head, &body).unwrap_or(false)
        {
            return;
        }
        self.below.send(to, head, body);
    }

    fn poll(&self) -> bool {
        let near = self.take();
        self.below.poll() || near
    }

    fn glance(&self) -> bool {
        self.take()
    }

    fn close(&self) {
        self.below.close();
    }

    fn abort(&self, code: u8) {
        self.below.abort(code);
    }
}
