//! One value: its bytes in the arena and the bookkeeping of its chunks.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mobula_shm::{
    Alignment, Bitmap, Block, ByteView, ChunkCount, HUGE_BYTES, WriteWatch, chunk_range,
};

use super::spread::{Share, Writing};
use super::watch::{WatchList, Watched, Window};
use super::{Shared, text};
use crate::error::StateError;

/// A named byte array. Its length is fixed; a resize makes another value under the same key.
#[derive(Debug)]
pub struct Value {
    id: u64,
    key: Box<[u8]>,
    len: u64,
    data: Option<Block>,
    bytes: ByteView,
    dirty: Bitmap,
    open: AtomicU32,
    watched: Arc<WatchList>,
    /// What the ranks of a job of several know of it in common.
    share: Option<Arc<Share>>,
}

impl Value {
    pub(super) fn new(shared: &Arc<Shared>, key: &[u8], len: u64) -> Result<Self, StateError> {
        let arena = shared.arena()?;
        let align = if len >= HUGE_BYTES as u64 { Alignment::Huge } else { Alignment::Chunk };
        let data = if len == 0 { None } else { Some(arena.alloc(len, align)?) };
        let too_long = || StateError::Shm(format!("key {:?}: {len} bytes are too many", text(key)));
        let chunks = ChunkCount::for_bytes(len).ok_or_else(too_long)?;
        let bitmap = arena.alloc(Bitmap::bytes_for(chunks).max(1) as u64, Alignment::Chunk)?;
        let used = usize::try_from(len).map_err(|_| too_long())?;
        let bytes =
            data.as_ref().map_or_else(|| bitmap.view().sub(0, 0), |d| d.view().sub(0, used))?;
        Ok(Self {
            id: shared.next_value.fetch_add(1, Ordering::Relaxed),
            key: key.into(),
            len,
            data,
            bytes,
            dirty: Bitmap::new(bitmap.view(), chunks)?,
            open: AtomicU32::new(0),
            watched: Arc::default(),
            share: None,
        })
    }

    /// This rank's handle to the host's copy of a value of a job of several ranks: its number in the
    /// job, its bytes and its dirty bits.
    pub(super) fn shared(
        key: &[u8],
        (id, len): (u64, u64),
        data: Option<Block>,
        share: Share,
        dirty: Bitmap,
    ) -> Result<Self, StateError> {
        let too_long = || StateError::Shm(format!("key {:?}: {len} bytes are too many", text(key)));
        let used = usize::try_from(len).map_err(|_| too_long())?;
        let bytes = data.as_ref().map_or_else(|| share.meta(), |d| d.view()).sub(0, used)?;
        let (open, watched) = (AtomicU32::new(0), Arc::default());
        let share = Some(Arc::new(share));
        Ok(Self { id, key: key.into(), len, data, bytes, dirty, open, watched, share })
    }

    /// What the ranks of the job know of it in common; `None` where there is one rank.
    pub(crate) fn share(&self) -> Option<&Arc<Share>> {
        self.share.as_ref()
    }

    /// The dirty bits.
    pub(super) fn dirty(&self) -> &Bitmap {
        &self.dirty
    }

    /// Whether the key has another value by now, or none.
    pub(super) fn is_retired(&self) -> bool {
        self.share.as_ref().is_some_and(|share| share.is_retired())
    }

    /// Whether all chunks that hold these bytes may be used as they are.
    pub(crate) fn is_present(&self, start: u64, bytes: u64) -> bool {
        let Some(share) = &self.share else { return true };
        bytes == 0 || share.is_present(&chunk_range(start, bytes))
    }

    /// Whether guests may use it: not before what the store has of it is at its homes.
    pub(crate) fn is_settled(&self) -> bool {
        self.share.as_ref().is_none_or(|share| share.is_settled())
    }

    /// Whether some chunk is at home on another host.
    pub(crate) fn travels(&self) -> bool {
        self.share.as_ref().is_some_and(|share| share.has_away())
    }

    /// Whether stores to these chunks have to be found without a word from guests: some are to be sent
    /// elsewhere. What is at home here never is, and its windows stay free of protection faults.
    pub(crate) fn sends_any(&self, chunks: &Range<u32>) -> bool {
        self.share.as_ref().is_some_and(|share| !share.away_parts(chunks).is_empty())
    }

    /// Number that no other value of this job ever has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The key's bytes.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the value has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes themselves, shared with every window on them.
    #[must_use]
    pub fn bytes(&self) -> &ByteView {
        &self.bytes
    }

    /// The piece of the arena that holds the bytes; `None` for an empty value.
    pub(crate) fn block(&self) -> Option<&Block> {
        self.data.as_ref()
    }

    pub(super) fn of_len(self: Arc<Self>, len: u64) -> Result<Arc<Self>, StateError> {
        if self.len == len {
            return Ok(self);
        }
        Err(StateError::WrongLength { key: text(&self.key), len: self.len, asked: len })
    }

    /// Checks that `count` bytes at `offset` lie in the value.
    ///
    /// # Errors
    /// [`StateError::OutOfRange`], also for negative numbers.
    pub fn range(&self, offset: i64, count: i64) -> Result<(u64, u64), StateError> {
        let start = u64::try_from(offset).ok();
        let bytes = u64::try_from(count).ok();
        if let (Some(start), Some(bytes)) = (start, bytes)
            && start.checked_add(bytes).is_some_and(|end| end <= self.len)
        {
            return Ok((start, bytes));
        }
        Err(StateError::OutOfRange { key: text(&self.key), len: self.len, offset, count })
    }

    /// Marks the chunks that hold these bytes as changed here and not yet pushed.
    ///
    /// # Errors
    /// [`StateError::OutOfRange`].
    pub fn mark_dirty(&self, offset: i64, count: i64) -> Result<(), StateError> {
        let (start, bytes) = self.range(offset, count)?;
        if bytes > 0 {
            self.dirty.set_range(chunk_range(start, bytes));
        }
        Ok(())
    }

    /// Declares that these bytes were stored here: the next push sends them, whatever they are.
    ///
    /// # Errors
    /// [`StateError::OutOfRange`], or what the arena says.
    pub(crate) fn flag(&self, offset: i64, count: i64) -> Result<(), StateError> {
        self.flag_bytes(offset, count)?;
        self.mark_dirty(offset, count)
    }

    /// As [`flag`](Self::flag) for bytes that are about to be copied in: they are marked dirty when they
    /// are there, and no pull undoes the copy.
    pub(crate) fn flag_bytes(&self, offset: i64, count: i64) -> Result<(), StateError> {
        let (start, bytes) = self.range(offset, count)?;
        match &self.share {
            Some(share) if bytes > 0 => share.flag(start..start + bytes),
            _ => Ok(()),
        }
    }

    /// Notes that stores to a window on these chunks are watched; the result is dropped before the
    /// window is unmapped.
    pub(crate) fn watch(&self, watch: Option<WriteWatch>, chunks: Range<u32>) -> Arc<Watched> {
        let watched = self.watched.add(Window { watch, chunks, dirty: self.dirty.clone() });
        if let Some(share) = &self.share {
            share.watch();
        }
        Arc::new(watched)
    }

    /// Marks what was stored through watched windows as dirty.
    pub(super) fn collect_stores(&self) {
        self.watched.collect();
    }

    /// Chunks that are marked dirty.
    #[must_use]
    pub fn dirty_chunks(&self) -> u32 {
        self.dirty.count()
    }

    pub(super) fn take_dirty(&self) -> u32 {
        let mut taken = 0;
        self.dirty.drain(|_| taken += 1);
        taken
    }

    fn open(&self) -> &AtomicU32 {
        self.share.as_ref().map_or(&self.open, |share| share.open())
    }

    /// Notes, until what it returns is dropped, that bytes are copied in, so that no pull puts older ones over
    /// them. Before looking what is present.
    pub(crate) fn writing(&self) -> Option<Writing> {
        self.share.as_ref().filter(|share| share.has_away()).map(Share::writing)
    }

    /// Whether a running call has a window on the value.
    pub(crate) fn is_open(&self) -> bool {
        self.open().load(Ordering::Acquire) > 0
    }

    /// Counts a call that opened its first window on the value; false where it cannot be opened: it is
    /// being replaced, or was.
    pub(crate) fn try_open(&self) -> bool {
        match &self.share {
            Some(share) => share.try_open(),
            None => {
                self.open.fetch_add(1, Ordering::AcqRel);
                true
            }
        }
    }

    /// Counts the end of a call that had a window on the value.
    pub(crate) fn closed(&self) {
        self.open().fetch_sub(1, Ordering::AcqRel);
    }
}
