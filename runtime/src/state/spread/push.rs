//! Changes on their way home.
//!
//! ```text
//!  dirty chunk ─▶ busy ─▶ copy against base ─▶ runs of changed bytes ─▶ patch ─▶ home ─▶ acknowledged
//!                            base := what is sent                                        busy again free
//! ```
//!
//! Tracked pages say where to look; what is sent is what was flagged or copied in, and what else differs
//! from what home had. A push is over when every chunk that was dirty when it began has been acknowledged,
//! also those that somebody else of this host is sending.
//!
//! Invariants: no lock on a chunk is waited for while others are held whose bytes were not sent; a byte
//! that this host neither changed nor flagged is never sent.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use futures_util::future::{join_all, try_join_all};
use mobula_shm::ChunkIndex;

use super::fetch::FRAME_CHUNKS;
use super::message::{Name, Request, Want, Which};
use super::patch::{self, Patch};
use super::share::{Busy, Share};
use super::{Spread, unexpected};
use crate::error::StateError;
use crate::fabric::{Body, RankId};
use crate::state::merge::Merge;
use crate::state::{Value, text};

/// Bytes that are collected before they are sent and waited for.
const BATCH: usize = 32 << 20;
/// Bytes of a frame from which on another one is begun.
const FRAME: usize = 4 << 20;

/// How changes meet home.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// They overwrite.
    Plain,
    /// They are combined.
    Merge(Merge),
    /// Bytes whose mask bytes are set overwrite; others stay here.
    Masked(Name),
}

/// What is about to be sent, and the locks on it.
#[derive(Default)]
struct Batch {
    bytes: usize,
    busy: Vec<Busy>,
    patches: BTreeMap<RankId, Vec<Patch>>,
    /// Whole chunks, sent from the base.
    wholes: Vec<(RankId, Range<u32>)>,
}

impl Batch {
    fn patch(&mut self, home: RankId) -> &mut Patch {
        let frames = self.patches.entry(home).or_default();
        if frames.last().is_none_or(|patch| patch.bytes.len() >= FRAME) {
            frames.push(Patch::default());
        }
        frames.last_mut().expect("just made")
    }

    fn add(&mut self, home: RankId, chunk: u32, now: &[u8], runs: &[Range<usize>]) {
        if !runs.is_empty() {
            let patch = self.patch(home);
            let before = patch.bytes.len();
            patch.add(chunk, now, runs);
            self.bytes += self.patch(home).bytes.len().saturating_sub(before);
        }
    }

    fn add_whole(&mut self, home: RankId, chunk: u32, bytes: usize) {
        self.bytes += bytes;
        match self.wholes.last_mut() {
            Some((rank, run))
                if (*rank, run.end) == (home, chunk) && run.len() < FRAME_CHUNKS as usize =>
            {
                run.end += 1;
            }
            _ => self.wholes.push((home, chunk..chunk + 1)),
        }
    }
}

impl Spread {
    /// Pushes a value; returns the chunks that were dirty.
    pub(in crate::state) async fn push(
        self: Arc<Self>,
        name: Name,
        kind: Kind,
    ) -> Result<u32, StateError> {
        let unknown = |name: &Name| StateError::Unknown { key: text(&name.key) };
        let found = self.clone().find(name.clone(), Want::Look).await?;
        let value = found.ok_or_else(|| unknown(&name))?;
        let which = Which { name: name.clone(), id: value.id(), len: value.len() };
        let chunks = match &kind {
            Kind::Plain => self.push_changes(&which, &value, None).await?,
            Kind::Merge(merge) => {
                merge.check(&name.key, 0, value.len())?;
                self.push_changes(&which, &value, Some(*merge)).await?
            }
            Kind::Masked(mask) => {
                let found = self.clone().find(mask.clone(), Want::Look).await?;
                let mask_value = found.ok_or_else(|| unknown(mask))?;
                if value.len() != mask_value.len() {
                    return Err(StateError::MaskLength {
                        key: text(&name.key),
                        len: value.len(),
                        mask: text(&mask.key),
                        mask_len: mask_value.len(),
                    });
                }
                let id = mask_value.id();
                let mask = Which { name: mask.clone(), id, len: mask_value.len() };
                self.push_masked(&which, &value, &mask, &mask_value).await?
            }
        };
        self.count(|stats| &stats.pushes, 1)?;
        self.count(|stats| &stats.pushed_chunks, u64::from(chunks))?;
        Ok(chunks)
    }

    /// Marks what was stored through windows anywhere on this host.
    pub(super) async fn collect(
        self: &Arc<Self>,
        which: &Which,
        value: &Value,
        share: &Share,
    ) -> Result<(), StateError> {
        fence(Ordering::SeqCst);
        value.collect_stores();
        if share.has_away() {
            let others = share.watching(&self.near);
            let others = others.into_iter().filter(|&rank| rank != self.job.rank);
            let asks = others.map(|rank| self.say(rank, Request::Collect(which.clone())));
            try_join_all(asks).await?;
        }
        Ok(())
    }

    async fn push_changes(
        self: &Arc<Self>,
        which: &Which,
        value: &Arc<Value>,
        merge: Option<Merge>,
    ) -> Result<u32, StateError> {
        let share = value.share().ok_or_else(unexpected)?;
        self.collect(which, value, share).await?;
        if !share.has_away() {
            return Ok(value.take_dirty());
        }
        let dirty: Vec<u32> = value.dirty().iter_set().map(|chunk| chunk.0).collect();
        // After the dirty bits: who takes a chunk locks it first.
        let others: Vec<u32> = share.busy.iter_set().map(|chunk| chunk.0).collect();
        let mut batch = Batch::default();
        for &chunk in &dirty {
            let home = share.layout.home(chunk).ok_or_else(unexpected)?;
            if self.job.is_near(home) {
                value.dirty().clear(ChunkIndex(chunk));
                continue;
            }
            let busy = match share.try_lock(chunk) {
                Some(busy) => busy,
                None => {
                    self.flush(which, share, &mut batch, merge).await?;
                    self.lock(share, chunk).await
                }
            };
            batch.busy.push(busy);
            value.dirty().clear(ChunkIndex(chunk));
            self.changes(which, value, share, (chunk, home), merge, &mut batch).await?;
            if batch.bytes >= BATCH {
                self.flush(which, share, &mut batch, merge).await?;
            }
        }
        self.flush(which, share, &mut batch, merge).await?;
        self.wait_for(share, others).await;
        Ok(dirty.len() as u32)
    }

    /// Puts what changed in a locked chunk into the batch.
    async fn changes(
        self: &Arc<Self>,
        which: &Which,
        value: &Value,
        share: &Share,
        (chunk, home): (u32, RankId),
        merge: Option<Merge>,
        batch: &mut Batch,
    ) -> Result<(), StateError> {
        let index = ChunkIndex(chunk);
        if !share.filled.test(index) {
            return Ok(());
        }
        let base = share.base().ok_or_else(unexpected)?;
        let bytes = share.layout.bytes(&(chunk..chunk + 1));
        let whole = share.whole.clear(index);
        let flags = share.take_flags(chunk)?;
        let all = || flags.as_deref().is_some_and(|flags| patch::has_all(flags, bytes.len()));
        if merge.is_none() && (whole || all()) {
            // The base is what is sent, and stays as it is until home has it.
            value.bytes().copy_to(bytes.start, &base, bytes.start, bytes.len())?;
            batch.add_whole(home, chunk, bytes.len());
            return Ok(());
        }
        if whole {
            // It was never read: what it gained is measured against what home has now.
            let get = Request::Get(which.clone(), chunk, 1);
            let body = self.ask(home, get, Body::None, None).await?.1.into_bytes();
            base.copy_in(bytes.start, &body)?;
        }
        let now = value.bytes().read_vec(bytes.start, bytes.len())?;
        let before = base.read_vec(bytes.start, bytes.len())?;
        let runs = match (merge, flags) {
            (Some(merge), _) => patch::changed(&now, &before, merge.size()),
            (None, Some(flags)) => patch::changed_or_flagged(&now, &before, &flags),
            (None, None) => patch::changed(&now, &before, 1),
        };
        match merge {
            None => batch.add(home, chunk, &now, &runs),
            Some(merge) => {
                let mut gained = now.clone();
                for run in &runs {
                    merge.gain(&mut gained[run.clone()], &before[run.clone()]);
                }
                batch.add(home, chunk, &gained, &runs);
            }
        }
        for run in runs {
            base.copy_in(bytes.start + run.start, &now[run])?;
        }
        Ok(())
    }

    /// Sends what is collected and waits until homes have it.
    async fn flush(
        self: &Arc<Self>,
        which: &Which,
        share: &Share,
        batch: &mut Batch,
        merge: Option<Merge>,
    ) -> Result<(), StateError> {
        let Batch { busy, patches, wholes, .. } = std::mem::take(batch);
        if busy.is_empty() {
            return Ok(());
        }
        let mut asks = Vec::new();
        let mut sent = 0;
        for (home, patch) in
            patches.into_iter().flat_map(|(r, all)| all.into_iter().map(move |p| (r, p)))
        {
            sent += patch.bytes.len();
            let request = Request::Patch(which.clone(), merge);
            asks.push((home, request, Body::of(patch.bytes)));
        }
        for (home, chunks) in wholes {
            let base = share.base().ok_or_else(unexpected)?;
            let bytes = share.layout.bytes(&chunks);
            sent += bytes.len();
            let view = base.sub(bytes.start, bytes.len())?;
            asks.push((home, Request::Put(which.clone(), bytes.start as u64), Body::View(view)));
        }
        self.count(|stats| &stats.pushed_bytes, sent as u64)?;
        let asks = asks.into_iter().map(|(home, what, body)| self.ask(home, what, body, None));
        // All of them, also after a refusal: the locks must hold until nothing is on its way.
        let done = join_all(asks).await;
        drop(busy);
        done.into_iter().try_for_each(|reply| reply.map(drop))
    }

    async fn push_masked(
        self: &Arc<Self>,
        which: &Which,
        value: &Arc<Value>,
        mask: &Which,
        mask_value: &Arc<Value>,
    ) -> Result<u32, StateError> {
        let share = value.share().ok_or_else(unexpected)?;
        let mask_share = mask_value.share().ok_or_else(unexpected)?;
        self.collect(which, value, share).await?;
        self.collect(mask, mask_value, mask_share).await?;
        self.fetch(mask, mask_value, 0..mask_share.layout.chunks).await?;
        let mut batch = Batch::default();
        let (mut chunks, mut used) = (0, Vec::new());
        for chunk in 0..share.layout.chunks {
            let bytes = share.layout.bytes(&(chunk..chunk + 1));
            let bits = mask_value.bytes().read_vec(bytes.start, bytes.len())?;
            let runs = patch::masked(&bits);
            let home = share.layout.home(chunk).ok_or_else(unexpected)?;
            chunks += u32::from(value.dirty().test(ChunkIndex(chunk)));
            if self.job.is_near(home) {
                value.dirty().clear(ChunkIndex(chunk));
            } else {
                if !runs.is_empty() && !share.filled.test(ChunkIndex(chunk)) {
                    self.flush(which, share, &mut batch, None).await?;
                    self.fetch(which, value, chunk..chunk + 1).await?;
                }
                if share.filled.test(ChunkIndex(chunk)) {
                    self.add_masked(which, value, (chunk, home), &runs, &mut batch).await?;
                }
            }
            if !runs.is_empty() {
                used.push(chunk);
            }
            if batch.bytes >= BATCH {
                self.flush(which, share, &mut batch, None).await?;
            }
        }
        self.flush(which, share, &mut batch, None).await?;
        // When no lock is held any more: the mask may be the value itself.
        for chunk in used {
            self.clear_mask(mask_value, mask_share, chunk).await?;
        }
        Ok(chunks)
    }

    /// Puts the masked bytes of a chunk into the batch; what else changed in it is not sent later.
    async fn add_masked(
        self: &Arc<Self>,
        which: &Which,
        value: &Value,
        (chunk, home): (u32, RankId),
        runs: &[Range<usize>],
        batch: &mut Batch,
    ) -> Result<(), StateError> {
        let share = value.share().ok_or_else(unexpected)?;
        let base = share.base().ok_or_else(unexpected)?;
        let busy = match share.try_lock(chunk) {
            Some(busy) => busy,
            None => {
                self.flush(which, share, batch, None).await?;
                self.lock(share, chunk).await
            }
        };
        let bytes = share.layout.bytes(&(chunk..chunk + 1));
        value.dirty().clear(ChunkIndex(chunk));
        share.whole.clear(ChunkIndex(chunk));
        share.take_flags(chunk)?;
        let now = value.bytes().read_vec(bytes.start, bytes.len())?;
        base.copy_in(bytes.start, &now)?;
        batch.add(home, chunk, &now, runs);
        batch.busy.push(busy);
        Ok(())
    }

    /// Zeroes a chunk of the mask on this host; that is no change to push.
    async fn clear_mask(
        &self,
        mask: &Value,
        share: &Arc<Share>,
        chunk: u32,
    ) -> Result<(), StateError> {
        let bytes = share.layout.bytes(&(chunk..chunk + 1));
        let home = share.layout.home(chunk).ok_or_else(unexpected)?;
        if self.job.is_near(home) {
            mask.bytes().fill_zero(bytes.start, bytes.len())?;
            return Ok(());
        }
        let _busy = self.lock(share, chunk).await;
        mask.bytes().fill_zero(bytes.start, bytes.len())?;
        if let Some(base) = share.base() {
            base.fill_zero(bytes.start, bytes.len())?;
        }
        share.whole.clear(ChunkIndex(chunk));
        share.take_flags(chunk)?;
        mask.dirty().clear(ChunkIndex(chunk));
        Ok(())
    }
}
