//! Chunks on their way here: on demand, and again after a pull.
//!
//! ```text
//!  missing chunks ─▶ busy ─┬─ never filled: memory, body lands in the copy ─▶ base := copy ─┬─▶ present
//!                          ├─ clean, and nobody else looks: body lands in the copy, the same ┤
//!                          └─ filled: body beside it ─▶ word by word into copy and base ────┘
//! ```
//!
//! Invariants: a body lands straight in a copy only while no guest can store to the chunk; what this
//! host stored and has not pushed stays.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use mobula_shm::{ByteView, CHUNK_BYTES, ChunkIndex, chunk_range};

use super::message::{Name, Request, Want, Which};
use super::patch::merge_word;
use super::share::{Busy, Share, whole_chunks};
use super::{Spread, unexpected};
use crate::error::StateError;
use crate::fabric::{Body, RankId};
use crate::state::{UserState, Value};

/// Most chunks in one answer: 4 MiB.
pub(super) const FRAME_CHUNKS: u32 = 64;
/// Answers that may be on their way to one fetch at once.
const AT_ONCE: usize = 8;

/// Bytes of a base from which on they are kept out of the caches, where the copy is about to be read.
const MANY: usize = 1 << 20;

/// Chunks of one home that are moved together.
struct Part {
    chunks: Range<u32>,
    home: RankId,
    /// Whether its memory is to be had first.
    fresh: bool,
    /// Whether the body lands in the copy.
    lands: bool,
    busy: Vec<Busy>,
}

impl Spread {
    /// Makes all `chunks` present.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        which: &Which,
        value: &Arc<Value>,
        chunks: Range<u32>,
    ) -> Result<(), StateError> {
        self.fetch_with(which, value, chunks, false).await
    }

    /// As [`fetch`](Self::fetch); `still` says that nobody stores to the value meanwhile, and that its
    /// dirty bits are up to date.
    async fn fetch_with(
        self: &Arc<Self>,
        which: &Which,
        value: &Arc<Value>,
        chunks: Range<u32>,
        still: bool,
    ) -> Result<(), StateError> {
        let Some(share) = value.share().filter(|share| share.has_away()) else { return Ok(()) };
        let is_clean = |chunk| still && !value.dirty().test(chunk);
        while !share.is_present(&chunks) {
            let parts = claim(share, &chunks, is_clean);
            if parts.is_empty() {
                // Others fetch what is missing.
                self.nap(share).await;
                continue;
            }
            let each = |part| self.fetch_part(which, value, share, part);
            stream::iter(parts.into_iter().map(each))
                .buffer_unordered(AT_ONCE)
                .try_for_each(|()| async { Ok(()) })
                .await?;
        }
        Ok(())
    }

    async fn fetch_part(
        self: &Arc<Self>,
        which: &Which,
        value: &Arc<Value>,
        share: &Arc<Share>,
        part: Part,
    ) -> Result<(), StateError> {
        let Part { chunks, home, fresh, lands, busy } = part;
        let base = share.base().ok_or_else(unexpected)?;
        let bytes = share.layout.bytes(&chunks);
        let copy = value.bytes().sub(bytes.start, bytes.len())?;
        let base = base.sub(bytes.start, bytes.len())?;
        if fresh {
            self.give_memory(value, share, &chunks)?;
        }
        let place = lands.then(|| copy.clone());
        let get = Request::Get(which.clone(), chunks.start, chunks.len() as u32);
        let (_, body) = self.ask(home, get, Body::None, place).await?;
        if body.len() != bytes.len() {
            return Err(unexpected());
        }
        self.count(|stats| &stats.pulled_bytes, bytes.len() as u64)?;
        if lands {
            body.land(&copy)?;
            if bytes.len() < MANY {
                copy.copy_to(0, &base, 0, bytes.len())?;
            } else {
                copy.copy_aside(0, &base, 0, bytes.len())?;
            }
            share.filled.set_range(chunks.clone());
        } else {
            // Blocks are whole pages: what follows the value's last byte is zero in all of them.
            let mut new = body.into_bytes();
            new.resize(new.len().next_multiple_of(8), 0);
            let block = value.block().ok_or_else(unexpected)?.view();
            let copy = block.sub(bytes.start, new.len())?;
            let base = share.base().ok_or_else(unexpected)?.sub(bytes.start, new.len())?;
            for (at, chunk) in chunks.clone().enumerate() {
                let at = at * CHUNK_BYTES;
                let len = CHUNK_BYTES.min(new.len() - at);
                let flags = share.flags_of(chunk)?;
                let (copy, base) = (copy.sub(at, len)?, base.sub(at, len)?);
                merge(&copy, &base, &new[at..at + len], flags.as_deref())?;
            }
        }
        share.present.set_range(chunks);
        drop(busy);
        Ok(())
    }

    /// Gives chunks of copy and base memory.
    fn give_memory(
        &self,
        value: &Value,
        share: &Share,
        chunks: &Range<u32>,
    ) -> Result<(), StateError> {
        let bytes = share.layout.bytes(chunks);
        for block in value.block().into_iter().chain(share.base_block()) {
            let given = block.allocate(bytes.start as u64..bytes.end as u64);
            given.map_err(|err| self.on_host(err.into()))?;
        }
        Ok(())
    }

    /// Makes later reads see what was pushed before: chunks are asked for again, at once where a guest
    /// may be looking at them. `own` says that the call that pulls has a window on the value itself.
    pub(in crate::state) async fn pull(
        self: Arc<Self>,
        name: Name,
        len: u64,
        own: bool,
    ) -> Result<(), StateError> {
        fence(Ordering::SeqCst);
        let found = self.clone().find(name.clone(), Want::Len(len)).await?;
        let value = found.ok_or_else(unexpected)?;
        self.count(|stats| &stats.pulls, 1)?;
        let Some(share) = value.share().filter(|share| share.has_away()) else { return Ok(()) };
        // What is on its way was asked for before this pull.
        self.wait_for(share, share.busy.iter_set().map(|chunk| chunk.0).collect()).await;
        for (away, _) in &share.layout.away {
            share.present.clear_range(away.clone());
        }
        if value.is_open() {
            let which = Which { name, id: value.id(), len };
            // Whoever opens it from here on waits for what is missing.
            let still =
                share.open().load(Ordering::SeqCst) <= u32::from(own) && !share.is_written();
            if still {
                self.collect(&which, &value, share).await?;
            }
            for (away, _) in share.layout.away.clone() {
                for run in runs(away.filter(|&c| share.filled.test(ChunkIndex(c)))) {
                    self.fetch_with(&which, &value, run, still).await?;
                }
            }
        }
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Waits until each of `chunks` was not busy for a moment.
    pub(super) async fn wait_for(&self, share: &Arc<Share>, mut chunks: Vec<u32>) {
        loop {
            chunks.retain(|&chunk| share.busy.test(ChunkIndex(chunk)));
            if chunks.is_empty() {
                return;
            }
            self.nap(share).await;
        }
    }

    /// Takes the busy bit of a chunk.
    pub(super) async fn lock(&self, share: &Arc<Share>, chunk: u32) -> Busy {
        loop {
            if let Some(busy) = share.try_lock(chunk) {
                return busy;
            }
            self.nap(share).await;
        }
    }

    /// Adds to a counter of this rank.
    pub(super) fn count(
        &self,
        counter: impl Fn(&crate::stats::Stats) -> &AtomicU64,
        n: u64,
    ) -> Result<(), StateError> {
        counter(&self.rank()?.stats).fetch_add(n, Ordering::Relaxed);
        Ok(())
    }

    /// Copies bytes of a value from their homes.
    pub(in crate::state) async fn read_home(
        self: Arc<Self>,
        which: Which,
        value: Arc<Value>,
        bytes: Range<u64>,
    ) -> Result<Vec<u8>, StateError> {
        let share = value.share().ok_or_else(unexpected)?;
        let mut out = value.bytes().read_vec(
            usize::try_from(bytes.start).map_err(|_| unexpected())?,
            usize::try_from(bytes.end - bytes.start).map_err(|_| unexpected())?,
        )?;
        let touched = chunk_range(bytes.start, bytes.end - bytes.start);
        for (part, home) in share.away_parts(&touched) {
            for chunks in frames(part) {
                let get = Request::Get(which.clone(), chunks.start, chunks.len() as u32);
                let body = self.ask(home, get, Body::None, None).await?.1.into_bytes();
                let got = share.layout.bytes(&chunks);
                let (start, end) = (bytes.start as usize, bytes.end as usize);
                let (from, to) = (got.start.max(start), got.end.min(end));
                if body.len() != got.len() {
                    return Err(unexpected());
                }
                out[from - start..to - start]
                    .copy_from_slice(&body[from - got.start..to - got.start]);
            }
        }
        Ok(out)
    }

    /// Copies bytes of a value to their homes; copies elsewhere see them after a pull.
    pub(in crate::state) async fn write_home(
        self: Arc<Self>,
        which: Which,
        value: Arc<Value>,
        at: u64,
        bytes: Vec<u8>,
    ) -> Result<(), StateError> {
        let share = value.share().ok_or_else(unexpected)?;
        let (start, end) = (at as usize, at as usize + bytes.len());
        for (block, home) in &share.layout.blocks {
            let has = share.layout.bytes(block);
            let (from, to) = (has.start.max(start), has.end.min(end));
            if from >= to {
                continue;
            }
            let part = &bytes[from - start..to - start];
            if self.job.is_near(*home) {
                value.bytes().copy_in(from, part)?;
            } else {
                let put = Request::Put(which.clone(), from as u64);
                self.ask(*home, put, Body::of(part.to_vec()), None).await?;
            }
        }
        Ok(())
    }
}

/// Takes the busy bits of missing chunks, as far as they are free.
fn claim(
    share: &Arc<Share>,
    chunks: &Range<u32>,
    is_clean: impl Fn(ChunkIndex) -> bool,
) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (range, home) in share.away_parts(chunks) {
        for chunk in range {
            let index = ChunkIndex(chunk);
            let is_missing = || !share.present.test(index);
            let Some(busy) = is_missing().then(|| share.try_lock(chunk)).flatten() else {
                continue;
            };
            if !is_missing() {
                continue;
            }
            if share.whole.test(index) {
                // Every byte of it is ours and not pushed yet.
                share.present.set(index);
                continue;
            }
            let fresh = !share.filled.test(index);
            let lands = fresh || is_clean(index);
            let joins = |part: &&mut Part| {
                let same = (part.home, part.fresh, part.lands) == (home, fresh, lands);
                same && part.chunks.end == chunk && part.chunks.len() < FRAME_CHUNKS as usize
            };
            match parts.last_mut().filter(joins) {
                Some(part) => {
                    part.chunks.end += 1;
                    part.busy.push(busy);
                }
                None => {
                    let (chunks, busy) = (chunk..chunk + 1, vec![busy]);
                    parts.push(Part { chunks, home, fresh, lands, busy });
                }
            }
        }
    }
    parts
}

/// Neighbouring chunks together.
fn runs(chunks: impl Iterator<Item = u32>) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for chunk in chunks {
        match runs.last_mut() {
            Some(run) if run.end == chunk => run.end += 1,
            _ => runs.push(chunk..chunk + 1),
        }
    }
    runs
}

/// Pieces of `chunks` that fit in one answer.
fn frames(chunks: Range<u32>) -> impl Iterator<Item = Range<u32>> {
    let end = chunks.end;
    chunks.step_by(FRAME_CHUNKS as usize).map(move |at| at..(at + FRAME_CHUNKS).min(end))
}

/// Takes `new`, whole words, into a chunk that may be stored to at this moment; `flags` has a bit for each
/// byte.
fn merge(
    copy: &ByteView,
    base: &ByteView,
    new: &[u8],
    flags: Option<&[u8]>,
) -> Result<(), StateError> {
    for (index, new) in new.as_chunks::<8>().0.iter().enumerate() {
        let (word, before) = (copy.atomic_u64(index * 8)?, base.atomic_u64(index * 8)?);
        let (old, new) = (before.load(Ordering::Relaxed), u64::from_le_bytes(*new));
        if old == new {
            continue;
        }
        let flagged = flags.is_some_and(|flags| flags.get(index).is_some_and(|&bits| bits != 0));
        let mut now = word.load(Ordering::Relaxed);
        let next = loop {
            let (ours, next) = merge_word(now, old, new, flagged);
            match word.compare_exchange_weak(now, ours, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break next,
                Err(changed) => now = changed,
            }
        };
        before.store(next, Ordering::Relaxed);
    }
    Ok(())
}

/// Chunks that are about to be overwritten wholly, locked: nothing that was fetched lands there meanwhile.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Those that were never here; they have memory now.
    busy: Vec<Busy>,
    /// Those that were here before a pull.
    held: Vec<Busy>,
}

impl Prepared {
    /// Nothing had to be done.
    pub(crate) fn none() -> Self {
        Self { busy: Vec::new(), held: Vec::new() }
    }

    /// The bytes are there, and marked dirty where they are not the first.
    pub(crate) fn done(self, value: &Value) {
        let Some(share) = value.share() else { return };
        for busy in self.busy {
            let chunk = ChunkIndex(busy.chunk);
            share.whole.set(chunk);
            value.dirty().set(chunk);
            share.filled.set(chunk);
            share.present.set(chunk);
        }
    }
}

impl UserState {
    /// Makes `n` bytes of a value at `at` present.
    pub(crate) async fn gather(
        &self,
        value: &Arc<Value>,
        at: u64,
        n: u64,
    ) -> Result<(), StateError> {
        let Some(spread) = self.spread().filter(|_| !value.is_present(at, n)) else {
            return Ok(());
        };
        let (spread, value, which) = (spread.clone(), value.clone(), self.which(value));
        let on = spread.clone();
        on.detached(async move { spread.fetch(&which, &value, chunk_range(at, n)).await }).await
    }

    /// Makes `n` bytes of a value at `at` ready to be overwritten.
    pub(crate) async fn prepare(
        &self,
        value: &Arc<Value>,
        at: u64,
        n: u64,
    ) -> Result<Prepared, StateError> {
        let Some(spread) = self.spread().filter(|_| !value.is_present(at, n)) else {
            return Ok(Prepared::none());
        };
        let Some(share) = value.share() else { return Ok(Prepared::none()) };
        let (all, whole) = (chunk_range(at, n), whole_chunks(&share.layout, &(at..at + n)));
        // Chunks of which a part is kept.
        for chunk in [all.start, all.end - 1] {
            if !whole.contains(&chunk) {
                let bytes = share.layout.bytes(&(chunk..chunk + 1));
                self.gather(value, bytes.start as u64, bytes.len() as u64).await?;
            }
        }
        let mut prepared = Prepared::none();
        for chunk in share.away_parts(&whole).into_iter().flat_map(|(part, _)| part) {
            let index = ChunkIndex(chunk);
            if share.present.test(index) {
                continue;
            }
            let lock = spread.lock(share, chunk).await;
            if share.filled.test(index) {
                prepared.held.push(lock);
            } else {
                spread.give_memory(value, share, &(chunk..chunk + 1))?;
                prepared.busy.push(lock);
            }
        }
        Ok(prepared)
    }
}
