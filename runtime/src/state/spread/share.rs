//! A host's copy of a value, as all ranks of the host see it.
//!
//! ```text
//!  keeper's arena   ┌ meta ──────────────────────┐ ┌ copy ───────────┐ ┌ base ────────────────────────┐
//!                   │ flags, open, watchers, ... │ │ what guests map │ │ what home had when it was    │
//!                   │ present filled busy whole  │ │                 │ │ pulled or pushed; behind it  │
//!                   │ flagged dirty: bit a chunk │ │                 │ │ a bit for each byte: flagged │
//!                   └────────────────────────────┘ └─────────────────┘ └──────────────────────────────┘
//! ```
//!
//! | bit | a chunk that is not at home on this host |
//! |---|---|
//! | filled | copy and base have memory and bytes of it |
//! | present | the copy is as home was at the last pull or later |
//! | busy | somebody on this host moves it; a lock |
//! | dirty | something may have been stored that home does not have |
//! | whole | it was overwritten before it was filled: all its bytes are this host's |
//! | flagged | some of its bytes are to be sent whatever they are; only then their bits count |
//!
//! Chunks at home on this host are present and filled from the start, and have no base.
//!
//! Invariants: whoever changes base, filled or present of a chunk holds its busy bit, but for a pull,
//! which clears present; a chunk is mapped by a guest only once it was filled; only filled chunks have
//! flagged bytes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use mobula_shm::{Bitmap, Block, ByteView, CHUNK_BYTES, ChunkCount, ChunkIndex, chunk_range};
use tokio::sync::Notify;

use crate::error::StateError;
use crate::fabric::{Job, RankId};
use crate::state::home;

const FLAGS_AT: usize = 0;
const OPEN_AT: usize = 4;
const WATCHERS_AT: usize = 8;
const HOLDERS_AT: usize = 16;
const WRITERS_AT: usize = 24;
const SETTLED_AT: usize = 28;
const BITS_AT: usize = 64;

/// The value is another one's by now: a resize or a removal is done.
const RETIRED: u32 = 1;
/// A resize or a removal looks whether it may be done.
const CLOSING: u32 = 2;

/// Bytes are being copied into a value.
#[derive(Debug)]
pub(crate) struct Writing(Arc<Share>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.writers().fetch_sub(1, Ordering::SeqCst);
    }
}

/// Bits for which a chunk has one in the meta block.
const BITMAPS: usize = 6;
/// Bytes that hold a bit for each byte of a chunk.
const CHUNK_BITS: usize = CHUNK_BYTES / 8;

/// Which chunks of a value are where; the same on all ranks but for `host`.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) chunks: u32,
    pub(crate) len: u64,
    /// The chunks of each home, in order.
    pub(crate) blocks: Vec<(Range<u32>, RankId)>,
    /// Blocks whose home is on another host.
    pub(crate) away: Vec<(Range<u32>, RankId)>,
    /// Blocks whose home is on this host.
    pub(crate) near: Vec<Range<u32>>,
}

impl Layout {
    pub(crate) fn new(job: &Job, hash: u64, len: u64) -> Option<Self> {
        let chunks = ChunkCount::for_bytes(len)?.0;
        let blocks = home::blocks(home::owner(hash, job.size()), chunks, job.size());
        let (near, away): (Vec<_>, Vec<_>) =
            blocks.iter().cloned().partition(|(_, rank)| job.is_near(*rank));
        let near = near.into_iter().map(|(range, _)| range).collect();
        Some(Self { chunks, len, blocks, away, near })
    }

    /// The bytes of these chunks.
    pub(crate) fn bytes(&self, chunks: &Range<u32>) -> Range<usize> {
        let at = |chunk| ChunkIndex(chunk).first_byte().min(self.len) as usize;
        at(chunks.start)..at(chunks.end)
    }

    /// The home of a chunk.
    pub(crate) fn home(&self, chunk: u32) -> Option<RankId> {
        let block = self.blocks.iter().find(|(range, _)| range.contains(&chunk))?;
        Some(block.1)
    }
}

/// See the module head.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) layout: Layout,
    meta: ByteView,
    pub(crate) present: Bitmap,
    pub(crate) filled: Bitmap,
    pub(crate) busy: Bitmap,
    pub(crate) whole: Bitmap,
    flagged: Bitmap,
    /// `None` where every chunk is at home on this host.
    base: Option<Block>,
    /// Wakes those of this rank that wait for a busy bit.
    pub(crate) freed: Notify,
    /// This rank's bit among the watchers; none for ranks from the 64th of the host on.
    watcher: u64,
    /// Keeps the keeper from freeing the copy.
    hold: Option<Arc<Hold>>,
}

/// Bytes of the base of a value of `len` bytes: as many, in whole chunks, and a bit for each.
pub(crate) fn base_bytes(len: u64) -> u64 {
    let bytes = len.next_multiple_of(CHUNK_BYTES as u64);
    bytes + bytes / 8
}

/// Bytes of the meta block of a value.
pub(crate) fn meta_bytes(chunks: u32) -> u64 {
    (BITS_AT + BITMAPS * Bitmap::bytes_for(ChunkCount(chunks))) as u64
}

impl Share {
    /// The share behind `meta`, and the dirty bits.
    pub(crate) fn new(
        job: &Job,
        layout: Layout,
        meta: ByteView,
        base: Option<Block>,
    ) -> Result<(Self, Bitmap), StateError> {
        let count = ChunkCount(layout.chunks);
        let bits = |n: usize| {
            let len = Bitmap::bytes_for(count);
            Bitmap::new(meta.sub(BITS_AT + n * len, len)?, count)
        };
        let index = job.ranks_on(job.host()).iter().position(|&rank| rank == job.rank);
        let watcher = index.filter(|&i| i < 64).map_or(u64::MAX, |i| 1 << i);
        let share = Self {
            present: bits(0)?,
            filled: bits(1)?,
            busy: bits(2)?,
            whole: bits(3)?,
            flagged: bits(4)?,
            layout,
            base,
            freed: Notify::new(),
            watcher,
            hold: None,
            meta: meta.clone(),
        };
        share.word(FLAGS_AT)?;
        Ok((share, bits(5)?))
    }

    /// This rank uses the copy under that hold.
    pub(crate) fn held_by(&mut self, hold: Arc<Hold>) {
        self.hold = Some(hold);
    }

    /// The block that holds the words and bits.
    pub(crate) fn meta(&self) -> ByteView {
        self.meta.clone()
    }

    fn word(&self, at: usize) -> Result<&AtomicU32, StateError> {
        Ok(self.meta.atomic_u32(at)?)
    }

    fn flags(&self) -> &AtomicU32 {
        self.word(FLAGS_AT).expect("`new` looked")
    }

    pub(crate) fn open(&self) -> &AtomicU32 {
        self.word(OPEN_AT).expect("`new` looked")
    }

    /// Notes that the owner has told this host of the value: what is in the store is at its homes.
    pub(crate) fn settle(&self) {
        self.settled().store(1, Ordering::Release);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled().load(Ordering::Acquire) != 0
    }

    fn settled(&self) -> &AtomicU32 {
        self.word(SETTLED_AT).expect("the meta block has it beside the others")
    }

    fn writers(&self) -> &AtomicU32 {
        self.word(WRITERS_AT).expect("the meta block has it beside the others")
    }

    /// Whether somebody copies bytes in.
    pub(crate) fn is_written(&self) -> bool {
        self.writers().load(Ordering::SeqCst) > 0
    }

    /// Notes, until what it returns is dropped, that bytes are copied in. Whoever looks afterwards whether
    /// chunks are present either is seen by a pull that wants to put bytes there, or sees that pull.
    pub(crate) fn writing(self: &Arc<Self>) -> Writing {
        self.writers().fetch_add(1, Ordering::SeqCst);
        Writing(self.clone())
    }

    fn watchers(&self) -> &AtomicU64 {
        self.meta.atomic_u64(WATCHERS_AT).expect("`new` looked")
    }

    /// Notes that this rank watches windows on the value.
    pub(crate) fn watch(&self) {
        self.watchers().fetch_or(self.watcher, Ordering::SeqCst);
    }

    /// The ranks of `near`, in the host's order, that watch windows on the value.
    pub(crate) fn watching(&self, near: &[RankId]) -> Vec<RankId> {
        let bits = self.watchers().load(Ordering::SeqCst);
        let watches = |i: usize| i >= 64 && bits == u64::MAX || i < 64 && bits >> i & 1 == 1;
        (0..near.len()).filter(|&i| watches(i)).map(|i| near[i]).collect()
    }

    /// Whether some chunk has its home on another host.
    pub(crate) fn has_away(&self) -> bool {
        self.base.is_some()
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.flags().load(Ordering::Acquire) & RETIRED != 0
    }

    /// Counts one more user of windows; false, and nothing counted, while the value is being replaced or
    /// when it was.
    pub(crate) fn try_open(&self) -> bool {
        self.open().fetch_add(1, Ordering::SeqCst);
        let free = self.flags().load(Ordering::SeqCst) == 0;
        if !free {
            self.open().fetch_sub(1, Ordering::SeqCst);
        }
        free
    }

    /// From now on nobody opens it; tells whether somebody has it open.
    pub(crate) fn close(&self) -> bool {
        self.flags().fetch_or(CLOSING, Ordering::SeqCst);
        self.open().load(Ordering::SeqCst) > 0
    }

    pub(crate) fn reopen(&self) {
        self.flags().fetch_and(!CLOSING, Ordering::SeqCst);
    }

    pub(crate) fn retire(&self) {
        self.flags().fetch_or(RETIRED, Ordering::SeqCst);
    }

    /// The base, from the value's first byte on; only filled chunks have memory there.
    pub(crate) fn base(&self) -> Option<ByteView> {
        self.base.as_ref().map(Block::view)
    }

    pub(crate) fn base_block(&self) -> Option<&Block> {
        self.base.as_ref()
    }

    /// Where the bits of a chunk's bytes lie in the base.
    fn bits_at(&self, chunk: u32) -> usize {
        self.layout.chunks as usize * CHUNK_BYTES + chunk as usize * CHUNK_BITS
    }

    /// Notes that these bytes are to be sent, whatever they are. What is at home here needs no sending;
    /// a chunk that never came has no stores.
    ///
    /// # Errors
    /// When there is no memory for the bits.
    pub(crate) fn flag(&self, bytes: Range<u64>) -> Result<(), StateError> {
        let Some(base) = &self.base else { return Ok(()) };
        let touched = chunk_range(bytes.start, bytes.end - bytes.start);
        for chunk in self.away_parts(&touched).into_iter().flat_map(|(part, _)| part) {
            let index = ChunkIndex(chunk);
            if !self.filled.test(index) {
                continue;
            }
            let at = self.bits_at(chunk);
            if !self.flagged.test(index) {
                base.allocate(at as u64..(at + CHUNK_BITS) as u64)?;
            }
            let bits = base.view().sub(at, CHUNK_BITS)?;
            let first = index.first_byte();
            let part = bytes.start.max(first) - first..(bytes.end - first).min(CHUNK_BYTES as u64);
            Bitmap::new(bits, ChunkCount(CHUNK_BYTES as u32))?
                .set_range(part.start as u32..part.end as u32);
            // After the bits: who clears it takes all that were set before.
            self.flagged.set(index);
        }
        Ok(())
    }

    /// The bits of the flagged bytes of a chunk, if it has any.
    pub(crate) fn flags_of(&self, chunk: u32) -> Result<Option<Vec<u8>>, StateError> {
        match &self.base {
            Some(base) if self.flagged.test(ChunkIndex(chunk)) => {
                Ok(Some(base.view().read_vec(self.bits_at(chunk), CHUNK_BITS)?))
            }
            _ => Ok(None),
        }
    }

    /// The same, and from now on none is flagged.
    pub(crate) fn take_flags(&self, chunk: u32) -> Result<Option<Vec<u8>>, StateError> {
        let Some(base) = self.base.as_ref().filter(|_| self.flagged.clear(ChunkIndex(chunk)))
        else {
            return Ok(None);
        };
        let view = base.view().sub(self.bits_at(chunk), CHUNK_BITS)?;
        let mut bits = Vec::with_capacity(CHUNK_BITS);
        for at in (0..CHUNK_BITS).step_by(8) {
            bits.extend_from_slice(&view.atomic_u64(at)?.swap(0, Ordering::AcqRel).to_le_bytes());
        }
        Ok(Some(bits))
    }

    /// Whether all `chunks` may be used as they are.
    pub(crate) fn is_present(&self, chunks: &Range<u32>) -> bool {
        !self.has_away() || self.present.has_range(chunks.clone())
    }

    /// Takes the busy bit of a chunk.
    pub(crate) fn try_lock(self: &Arc<Self>, chunk: u32) -> Option<Busy> {
        let mine = self.busy.set(ChunkIndex(chunk));
        mine.then(|| Busy { share: self.clone(), chunk })
    }

    /// Parts of `chunks` whose homes are on other hosts, each with one home.
    pub(crate) fn away_parts(&self, chunks: &Range<u32>) -> Vec<(Range<u32>, RankId)> {
        let cut = |(range, rank): &(Range<u32>, RankId)| {
            (range.start.max(chunks.start)..range.end.min(chunks.end), *rank)
        };
        self.layout.away.iter().map(cut).filter(|(range, _)| !range.is_empty()).collect()
    }
}

/// A chunk that nobody else on this host moves, as long as this lives.
#[derive(Debug)]
pub(crate) struct Busy {
    share: Arc<Share>,
    pub(crate) chunk: u32,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.share.busy.clear(ChunkIndex(self.chunk));
        self.share.freed.notify_waiters();
    }
}

/// A rank's use of the copy, counted so that the keeper frees nothing that is in use.
#[derive(Debug)]
pub(crate) struct Hold(ByteView);

impl Hold {
    /// Takes over a hold that was counted already.
    pub(crate) fn counted(meta: ByteView) -> Self {
        Self(meta)
    }

    /// Counts a hold for somebody else.
    pub(crate) fn count(meta: &ByteView) {
        if let Ok(word) = meta.atomic_u32(HOLDERS_AT) {
            word.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Whether somebody holds the copy.
    pub(crate) fn any(meta: &ByteView) -> bool {
        meta.atomic_u32(HOLDERS_AT).is_ok_and(|word| word.load(Ordering::SeqCst) > 0)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Ok(word) = self.0.atomic_u32(HOLDERS_AT) {
            word.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// The chunks that lie wholly in `bytes` of a value; its last chunk may be short.
pub(crate) fn whole_chunks(layout: &Layout, bytes: &Range<u64>) -> Range<u32> {
    let chunk = CHUNK_BYTES as u64;
    let first = bytes.start.div_ceil(chunk);
    let end = if bytes.end == layout.len { bytes.end.div_ceil(chunk) } else { bytes.end / chunk };
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).min(layout.chunks);
    number(first)..number(end.max(first))
}
