//! Ranks that are processes, connected by MPI.
//!
//! ```text
//!  send ─▶ outbox ─▶ who has the lock: isend ─────────▶ frame: header, head, body up to INLINE
//!                                      isend × n ─────▶ body in pieces, straight from where it lies
//!
//!  poll ─▶ lock: test the oldest receive ─▶ a frame; body not in it? ─▶ irecv × n, straight to where
//!          drain the outbox                 `landing` says            ─▶ all there: receive
//! ```
//!
//! One thread at a time owns MPI: the one that holds the lock. It is whoever sends or polls, so that a
//! message between idle ranks needs no other thread; nobody waits for the lock, because its holder
//! finds what others put into the outbox.
//!
//! Invariants: a frame is at most [`FRAME_BYTES`]; a piece at most [`PIECE`]; receivers are called
//! without the lock, `landing` excepted; MPI is finalised by the thread that initialised it.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::environment::Universe;
use parking_lot::Mutex;

use super::{Body, Fabric, HEAD_BYTES, Job, RankId, Receiver};

#[allow(unsafe_code, reason = "MPI is C; see its JUSTIFICATION")]
mod raw;

use raw::{Buffer, Comm, Memory, MpiError, Pending};

/// Bytes of a body that travel with its head: a message of its own costs more than a copy on both sides. With
/// most heads such frames are still sent unasked, up to 64 KiB over TCP.
const INLINE: usize = 32 << 10;
/// Header: length of the head, number of the transfer (0: the body is inline), length of the body.
const HEADER: usize = 16;
const FRAME_BYTES: usize = HEADER + HEAD_BYTES + INLINE;
/// Bytes of a body in one message of MPI's, whose counts are ints.
const PIECE: usize = 16 << 20;
/// Receives that are posted for frames.
const POSTED: usize = 8;
/// Most bytes of a body: more than any payload or part of a value that is sent at once.
const BODY_BYTES: usize = 8 << 30;
const TAG_FRAME: c_int = 1;
const TAG_BODY: c_int = 2;
/// How long bodies on their way keep a thread awake: a gigabyte over a slow network.
const GOING: Duration = Duration::from_secs(2);
/// How long the end of a job may take.
const LEAVE: Duration = Duration::from_secs(10);
/// How long aborting may take before this process just ends.
const ABORT: Duration = Duration::from_secs(2);

/// The fabric of a job that `mpirun` or `srun` started. See the module head.
pub struct Mpi {
    job: Job,
    core: Mutex<Core>,
    outbox: Mutex<VecDeque<Outgoing>>,
    waiting: AtomicUsize,
    receiver: OnceLock<Arc<dyn Receiver>>,
    universe: Mutex<Option<Universe>>,
    closing: AtomicBool,
}

/// What only the owner of MPI touches.
struct Core {
    comm: Option<Comm>,
    posted: VecDeque<Pending>,
    sends: Vec<Pending>,
    landings: Vec<Landing>,
    next_transfer: u32,
    tags: u32,
    /// Since when something has been on its way all the time.
    going_since: Option<Instant>,
}

struct Outgoing {
    to: RankId,
    head: Vec<u8>,
    body: Body,
}

/// A body on its way in.
struct Landing {
    from: RankId,
    head: Vec<u8>,
    memory: Memory,
    pieces: Vec<Pending>,
}

struct Frame {
    from: RankId,
    head: Vec<u8>,
    body: Body,
}

/// Why there is no fabric.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// MPI is running already.
    #[error("MPI was initialised before")]
    Twice,
    /// The MPI library was built for fewer threads.
    #[error(
        "this MPI gives thread level {given:?}, but Serialized is needed; use an MPI library built \
         with thread support"
    )]
    Threads {
        /// The level.
        given: Threading,
    },
    /// MPI failed.
    #[error("{0}")]
    Mpi(String),
}

impl From<MpiError> for StartError {
    fn from(err: MpiError) -> Self {
        Self::Mpi(err.to_string())
    }
}

impl std::fmt::Debug for Mpi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mpi(rank {} of {})", self.job.rank, self.job.size())
    }
}

impl Mpi {
    /// Initialises MPI and finds out who is in the job. All ranks call it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start() -> Result<Arc<Self>, StartError> {
        raw::keep_the_cpu();
        let started = mpi::initialize_with_threading(Threading::Serialized);
        let (universe, given) = started.ok_or(StartError::Twice)?;
        if given < Threading::Serialized {
            return Err(StartError::Threads { given });
        }
        let comm = Comm::of_world()?;
        let job = job_of(&comm)?;
        let tags = (comm.largest_tag() - TAG_BODY).clamp(1, 1 << 20) as u32;
        let mut core = Core {
            comm: Some(comm),
            posted: VecDeque::new(),
            sends: Vec::new(),
            landings: Vec::new(),
            next_transfer: 1,
            tags,
            going_since: None,
        };
        if !job.is_alone() {
            for _ in 0..POSTED {
                core.post(Memory::Owned(Arc::new(Buffer::zeroed(FRAME_BYTES))))?;
            }
        }
        Ok(Arc::new(Self {
            job,
            core: Mutex::new(core),
            outbox: Mutex::default(),
            waiting: AtomicUsize::new(0),
            receiver: OnceLock::new(),
            universe: Mutex::new(Some(universe)),
            closing: AtomicBool::new(false),
        }))
    }

    /// The number that every rank gives, by rank. All ranks call it, before anything is sent.
    ///
    /// # Errors
    /// [`StartError::Mpi`].
    pub fn gather(&self, number: u64) -> Result<Vec<u64>, StartError> {
        let core = self.core.lock();
        let Some(comm) = &core.comm else { return Ok(vec![number]) };
        let all = comm.all_gather(&number.to_le_bytes())?;
        Ok(all.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }

    /// Runs `work` as the owner of MPI, if nobody is, then sends what has come into the outbox.
    fn own<R>(&self, work: impl FnOnce(&mut Core, &Self) -> Result<R, MpiError>) -> Option<R> {
        let mut core = self.core.try_lock()?;
        let result = work(&mut core, self).and_then(|result| {
            core.drain(self)?;
            Ok(result)
        });
        drop(core);
        match result {
            Ok(result) => Some(result),
            Err(err) => {
                self.fail(&err.to_string());
                None
            }
        }
    }

    /// Sends what is in the outbox, unless somebody else is about to.
    fn flush(&self) {
        // Whoever puts something in looks at the lock after it; the holder gives the lock back before it
        // looks at the count. With a full fence on both sides one of them sees the other.
        fence(Ordering::SeqCst);
        while self.waiting.load(Ordering::Relaxed) > 0 && self.own(|_, _| Ok(())).is_some() {
            fence(Ordering::SeqCst);
        }
    }

    fn fail(&self, why: &str) {
        if !self.closing.swap(true, Ordering::AcqRel) {
            let title = self.job.title(self.job.rank);
            eprintln!("mobula: {title}: {why}; the job ends");
            self.abort(super::FAILED);
        }
    }
}

/// Finds out who is in the job.
fn job_of(comm: &Comm) -> Result<Job, MpiError> {
    const NAME: usize = 64;
    let rank = comm.rank()?;
    let near = comm.near()?;
    let mut first = rank.to_le_bytes();
    near.broadcast(&mut first)?;
    near.free();
    let firsts = comm.all_gather(&first)?;
    let firsts = firsts.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let firsts: Vec<u32> = firsts.collect();
    let alone = Job::alone();
    let mut name = [0; NAME];
    let own = alone.names[0].as_bytes();
    name[..own.len().min(NAME)].copy_from_slice(&own[..own.len().min(NAME)]);
    let all = comm.all_gather(&name)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    // Hosts are numbered in the order of their first ranks.
    let mut leaders = firsts.clone();
    leaders.sort_unstable();
    leaders.dedup();
    let names = leaders.iter().map(|&rank| text(&all[rank as usize * NAME..][..NAME])).collect();
    let place = |first: &u32| leaders.iter().position(|leader| leader == first).unwrap_or(0) as u32;
    let hosts = firsts.iter().map(place).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let text_id = format!("{}-{:x}", alone.id, now.map_or(0, |now| now.as_nanos() as u64));
    let mut id = [0; NAME];
    id[..text_id.len()].copy_from_slice(text_id.as_bytes());
    comm.broadcast(&mut id)?;
    Ok(Job { rank, hosts, names, id: text(&id) })
}

impl Core {
    fn post(&mut self, memory: Memory) -> Result<(), MpiError> {
        let Some(comm) = &self.comm else { return Ok(()) };
        let pending = comm.irecv(memory, (0, FRAME_BYTES), None, TAG_FRAME)?;
        self.posted.push_back(pending);
        Ok(())
    }

    /// Hands everything in the outbox to MPI.
    fn drain(&mut self, fabric: &Mpi) -> Result<(), MpiError> {
        while fabric.waiting.load(Ordering::Acquire) > 0 {
            let Some(outgoing) = fabric.outbox.lock().pop_front() else { return Ok(()) };
            fabric.waiting.fetch_sub(1, Ordering::AcqRel);
            self.start_send(outgoing)?;
        }
        Ok(())
    }

    fn start_send(&mut self, Outgoing { to, head, body }: Outgoing) -> Result<(), MpiError> {
        let Some(comm) = &self.comm else { return Ok(()) };
        let inline = body.len() <= INLINE;
        let transfer = if inline { 0 } else { self.next_transfer };
        let mut frame =
            Vec::with_capacity(HEADER + head.len() + if inline { body.len() } else { 0 });
        frame.extend_from_slice(&(head.len() as u32).to_le_bytes());
        frame.extend_from_slice(&transfer.to_le_bytes());
        frame.extend_from_slice(&(body.len() as u64).to_le_bytes());
        frame.extend_from_slice(&head);
        let whole = if inline {
            match &body {
                Body::Bytes(bytes) => frame.extend_from_slice(bytes),
                body => frame.extend_from_slice(&body.clone().into_bytes()),
            }
            None
        } else {
            self.next_transfer = self.next_transfer.checked_add(1).unwrap_or(1);
            match body {
                Body::None => None,
                Body::Bytes(bytes) => Some(Memory::Owned(Arc::new(Buffer::of(bytes)))),
                Body::View(view) => Some(Memory::Shared(view)),
            }
        };
        let len = frame.len();
        let frame = Memory::Owned(Arc::new(Buffer::of(frame)));
        let mut sent = comm.isend(frame, (0, len), to, TAG_FRAME)?;
        if sent.test(comm)?.is_none() {
            self.sends.push(sent);
        }
        if let Some(memory) = whole {
            let tag = TAG_BODY + (transfer % self.tags) as c_int;
            for at in (0..memory.len()).step_by(PIECE) {
                let len = PIECE.min(memory.len() - at);
                self.sends.push(comm.isend(memory.clone(), (at, len), to, tag)?);
            }
        }
        Ok(())
    }

    /// One look at everything that MPI is doing; what has arrived.
    fn look(&mut self, receiver: &dyn Receiver, moved: &mut bool) -> Result<Vec<Frame>, MpiError> {
        let mut frames = Vec::new();
        let Some(comm) = self.comm.take() else { return Ok(frames) };
        let looked = self.look_with(&comm, receiver, moved, &mut frames);
        self.comm = Some(comm);
        looked.map(|()| frames)
    }

    fn look_with(
        &mut self,
        comm: &Comm,
        receiver: &dyn Receiver,
        moved: &mut bool,
        frames: &mut Vec<Frame>,
    ) -> Result<(), MpiError> {
        // Receives are matched in the order in which they were posted.
        while let Some(oldest) = self.posted.front_mut() {
            let Some(arrived) = oldest.test(comm)? else { break };
            let pending = self.posted.pop_front().expect("just seen");
            let memory = pending.memory().expect("receives have memory").clone();
            if let Memory::Owned(buffer) = &memory {
                let bytes = buffer.prefix(arrived.len);
                *moved = true;
                if let Some(frame) = self.take_in(comm, receiver, arrived.from, &bytes)? {
                    frames.push(frame);
                }
            }
            self.posted.push_back(comm.irecv(memory, (0, FRAME_BYTES), None, TAG_FRAME)?);
        }
        let mut at = 0;
        while at < self.landings.len() {
            let pieces = &mut self.landings[at].pieces;
            while let Some(piece) = pieces.last_mut() {
                if piece.test(comm)?.is_none() {
                    break;
                }
                *moved = true;
                pieces.pop();
            }
            if pieces.is_empty() {
                let Landing { from, head, memory, .. } = self.landings.swap_remove(at);
                let body = match memory {
                    Memory::Shared(view) => Body::View(view),
                    Memory::Owned(buffer) => match Arc::try_unwrap(buffer) {
                        Ok(buffer) => Body::Bytes(buffer.into_vec()),
                        Err(buffer) => Body::Bytes(buffer.prefix(usize::MAX)),
                    },
                };
                frames.push(Frame { from, head, body });
            } else {
                at += 1;
            }
        }
        // Bodies on their way are worth looking at again at once, for as long as they can take.
        let going = !self.landings.is_empty() || !self.sends.is_empty();
        if !going {
            self.going_since = None;
        } else if self.going_since.get_or_insert_with(Instant::now).elapsed() < GOING {
            *moved = true;
        }
        let mut at = 0;
        while at < self.sends.len() {
            if self.sends[at].test(comm)?.is_some() {
                *moved = true;
                self.sends.swap_remove(at);
            } else {
                at += 1;
            }
        }
        Ok(())
    }

    /// A frame has come; its body, if it is not in it, is received from now on.
    fn take_in(
        &mut self,
        comm: &Comm,
        receiver: &dyn Receiver,
        from: RankId,
        bytes: &[u8],
    ) -> Result<Option<Frame>, MpiError> {
        let Some((header, rest)) = bytes.split_at_checked(HEADER) else { return Ok(None) };
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (head_len, transfer) = (word(0) as usize, word(4));
        let len = u64::from(word(8)) | u64::from(word(12)) << 32;
        // Ranks of one version send nothing else; what does not fit is not a frame of theirs.
        let Some((head, inline)) = rest.split_at_checked(head_len) else { return Ok(None) };
        let Some(len) = usize::try_from(len).ok().filter(|&len| len <= BODY_BYTES) else {
            return Ok(None);
        };
        if transfer == 0 && len != inline.len() {
            return Ok(None);
        }
        let place = receiver.landing(from, head, len).filter(|place| place.len() == len);
        if transfer == 0 {
            let body = match place {
                Some(place) if place.copy_in(0, inline).is_ok() => Body::View(place),
                _ => Body::of(inline.to_vec()),
            };
            return Ok(Some(Frame { from, head: head.to_vec(), body }));
        }
        let memory = match place {
            Some(place) => Memory::Shared(place),
            None => Memory::Owned(Arc::new(Buffer::zeroed(len))),
        };
        let tag = TAG_BODY + (transfer % self.tags) as c_int;
        let mut pieces = Vec::with_capacity(len.div_ceil(PIECE));
        for at in (0..len).step_by(PIECE) {
            let piece = comm.irecv(memory.clone(), (at, PIECE.min(len - at)), Some(from), tag)?;
            pieces.push(piece);
        }
        self.landings.push(Landing { from, head: head.to_vec(), memory, pieces });
        Ok(None)
    }
}

/// Takes what nobody waits for.
struct Nobody;

impl Receiver for Nobody {
    fn landing(&self, _: RankId, _: &[u8], _: usize) -> Option<mobula_shm::ByteView> {
        None
    }
    fn receive(&self, _: RankId, _: &[u8], _: Body) {}
}

impl Fabric for Mpi {
    fn job(&self) -> &Job {
        &self.job
    }

    fn attach(&self, receiver: Arc<dyn Receiver>) {
        assert!(self.receiver.set(receiver).is_ok(), "a fabric has one receiver");
    }

    fn send(&self, to: RankId, head: &[u8], body: Body) {
        debug_assert!(to != self.job.rank && head.len() <= HEAD_BYTES);
        self.outbox.lock().push_back(Outgoing { to, head: head.to_vec(), body });
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.flush();
    }

    fn poll(&self) -> bool {
        let Some(receiver) = self.receiver.get() else { return false };
        let mut moved = false;
        let frames = self.own(|core, _| core.look(&**receiver, &mut moved));
        self.flush();
        for Frame { from, head, body } in frames.into_iter().flatten() {
            receiver.receive(from, &head, body);
        }
        moved
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Release);
        let until = Instant::now() + LEAVE;
        let receiver: &dyn Receiver = self.receiver.get().map_or(&Nobody, |receiver| &**receiver);
        let mut core = self.core.lock();
        let mut barrier = None;
        // What still comes is of no use to anybody, but must be taken for its senders to get through.
        loop {
            let left = core.drain(self).and_then(|()| {
                let mut moved = false;
                core.look(receiver, &mut moved)?;
                let Core { comm: Some(comm), sends, .. } = &mut *core else { return Ok(true) };
                if barrier.is_none() && sends.is_empty() {
                    barrier = Some(comm.ibarrier()?);
                }
                match &mut barrier {
                    Some(pending) => Ok(pending.test(comm)?.is_some()),
                    None => Ok(false),
                }
            });
            match left {
                Ok(true) => break,
                Ok(false) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_micros(100))
                }
                Ok(false) | Err(_) => {
                    drop(core);
                    return self.abort(super::FAILED);
                }
            }
        }
        if let Some(comm) = core.comm.take() {
            core.posted.drain(..).for_each(|pending| pending.cancel(&comm));
            comm.free();
        }
        drop(core);
        // Finalises MPI.
        drop(self.universe.lock().take());
    }

    fn abort(&self, code: u8) {
        if self.universe.try_lock().is_some_and(|universe| universe.is_none()) {
            // MPI is over; so is the job.
            std::process::exit(code.into());
        }
        // MPI_Abort may hang when the job is broken; this process ends in any case.
        let end = move || {
            std::thread::sleep(ABORT);
            // Whatever hangs in the handlers of `exit` does not hold this up.
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        };
        let _ = std::thread::Builder::new().name("mobula-abort".into()).spawn(end);
        Comm::abort(code.into());
        std::process::exit(code.into());
    }
}
