//! The keeper's side, and how a rank finds its host's copy.
//!
//! ```text
//!  rank: cached? ─no─▶ keeper: has a copy? ─no─▶ owner: which value? ─▶ keeper allocates
//!   attach, hold ◀── place, counted as held ──────────────────────────────────┘
//! ```
//!
//! Invariants: a keeper has at most one copy of a key that is in use, and frees one that was retired when
//! no rank of the host holds it; it makes no copy of a value that it was told is no more.

use std::collections::HashMap;
use std::sync::Arc;

use mobula_shm::{Alignment, Block, ByteView, HUGE_BYTES};
use parking_lot::Mutex;

use super::message::{Name, Place, Reply, Request, Want, Which};
use super::share::{Hold, Layout, Share, base_bytes, meta_bytes};
use super::{Spread, Turn, unexpected};
use crate::error::StateError;
use crate::state::{Value, home, text};

/// What this rank keeps for its host.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    kept: Mutex<HashMap<Name, Kept>>,
    /// Retired copies that somebody may hold.
    graves: Mutex<Vec<Copy>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Values with smaller numbers are no more.
    floor: u64,
    copy: Option<Copy>,
}

/// A copy with its memory.
#[derive(Debug)]
struct Copy {
    place: Place,
    meta: ByteView,
    value: Value,
}

impl Keeper {
    /// The copy, counted as held once more.
    fn held(&self, name: &Name, fits: impl Fn(&Place) -> bool) -> Option<Place> {
        let kept = self.kept.lock();
        let copy = kept.get(name)?.copy.as_ref().filter(|copy| fits(&copy.place))?;
        Hold::count(&copy.meta);
        Some(copy.place)
    }

    /// Length of the copy, if the owner has told of it.
    fn len(&self, name: &Name) -> Option<u64> {
        let kept = self.kept.lock();
        let copy = kept.get(name)?.copy.as_ref()?;
        copy.value.is_settled().then_some(copy.place.len)
    }

    /// Frees retired copies that nobody holds any more.
    fn sweep(&self) {
        self.graves.lock().retain(|copy| Hold::any(&copy.meta));
    }

    /// Calls `f` with the flags of the copy of this very value.
    pub(super) fn with<R>(&self, which: &Which, f: impl FnOnce(&Share) -> R) -> Option<R> {
        let kept = self.kept.lock();
        let copy = kept.get(&which.name)?.copy.as_ref()?;
        let share = copy.value.share().filter(|_| copy.place.id == which.id)?;
        Some(f(share))
    }

    /// Marks the copy of this value, and does not make another.
    pub(super) fn retire(&self, which: &Which) {
        let mut kept = self.kept.lock();
        let entry = kept.entry(which.name.clone()).or_default();
        entry.floor = entry.floor.max(which.id + 1);
        if let Some(copy) = entry.copy.take_if(|copy| copy.place.id <= which.id) {
            if let Some(share) = copy.value.share() {
                share.retire();
            }
            self.graves.lock().push(copy);
        }
        drop(kept);
        self.sweep();
    }
}

/// Whether a value of `len` bytes will do.
pub(super) fn fits(key: &[u8], len: u64, want: Want) -> Result<bool, StateError> {
    match want {
        Want::Look => Ok(true),
        Want::Whole(asked) => Ok(asked == len),
        Want::Len(asked) if asked == len => Ok(true),
        Want::Len(asked) => Err(StateError::WrongLength { key: text(key), len, asked }),
    }
}

impl Spread {
    /// The value of a key, as this rank sees it.
    pub(in crate::state) async fn find(
        self: Arc<Self>,
        name: Name,
        want: Want,
    ) -> Result<Option<Arc<Value>>, StateError> {
        let user = self.rank()?.state.user(&name.user);
        let cached = || -> Result<Option<Arc<Value>>, StateError> {
            match user.get(&name.key) {
                Some(found) => Ok(fits(&name.key, found.len(), want)?.then_some(found)),
                None => Ok(None),
            }
        };
        self.turns
            .take((name.clone(), Turn::Find), async {
                if let Some(found) = cached()? {
                    return Ok(Some(found));
                }
                let keeper = self.keeper(&name, self.job.host());
                match self.say(keeper, Request::Find(name.clone(), want)).await? {
                    Reply::Copy(None) => Ok(None),
                    Reply::Copy(Some(place)) => self.attach(&name, place).await.map(Some),
                    _ => Err(unexpected()),
                }
            })
            .await
    }

    /// This very value; for what other ranks ask.
    pub(super) async fn this(self: &Arc<Self>, which: &Which) -> Result<Arc<Value>, StateError> {
        let user = self.rank()?.state.user(&which.name.user);
        let cached = || user.get_any(&which.name.key).filter(|found| found.id() == which.id);
        if let Some(found) = cached() {
            return Ok(found);
        }
        self.turns
            .take((which.name.clone(), Turn::Attach), async {
                if let Some(found) = cached() {
                    return Ok(found);
                }
                let keeper = self.keeper(&which.name, self.job.host());
                match self.say(keeper, Request::Copy(which.clone())).await? {
                    Reply::Copy(Some(place)) => self.attach(&which.name, place).await,
                    Reply::Copy(None) => Err(StateError::Replaced { key: text(&which.name.key) }),
                    _ => Err(unexpected()),
                }
            })
            .await
    }

    /// Makes the host's copy a value of this rank. The place was counted as held for it.
    async fn attach(self: &Arc<Self>, name: &Name, place: Place) -> Result<Arc<Value>, StateError> {
        let arena = self.arena(place.rank).await?;
        let arena = arena.get().ok_or_else(unexpected)?;
        let hash = home::hash(&name.user, &name.key);
        let layout = Layout::new(&self.job, hash, place.len).ok_or_else(unexpected)?;
        let meta = arena.at(place.meta, meta_bytes(layout.chunks))?;
        let hold = Arc::new(Hold::counted(meta.clone()));
        let block =
            |at: Option<u64>, len| at.map(|at| arena.block_at(at, len, hold.clone())).transpose();
        let (data, base) =
            (block(place.data, place.len)?, block(place.base, base_bytes(place.len))?);
        let (mut share, dirty) = Share::new(&self.job, layout, meta, base)?;
        share.held_by(hold.clone());
        let value = Value::shared(&name.key, (place.id, place.len), data, share, dirty)?;
        let user = self.rank()?.state.user(&name.user);
        Ok(user.adopt(Arc::new(value)))
    }

    /// The keeper's answer to `Find`.
    pub(super) async fn keep_found(
        self: &Arc<Self>,
        name: Name,
        want: Want,
    ) -> Result<Option<Place>, StateError> {
        self.turns
            .take((name.clone(), Turn::Keep), async {
                loop {
                    if let Some(len) = self.keeper.len(&name)
                        && fits(&name.key, len, want)?
                        && let Some(place) = self.keeper.held(&name, |place| place.len == len)
                    {
                        return Ok(Some(place));
                    }
                    let owner = self.owner(&name);
                    let settle = Request::Settle(name.clone(), want);
                    let (id, len) = match self.say(owner, settle).await? {
                        Reply::Is(None) => return Ok(None),
                        Reply::Is(Some(is)) => is,
                        _ => return Err(unexpected()),
                    };
                    let which = Which { name: name.clone(), id, len };
                    if let Some(place) = self.keep(&which).await? {
                        self.keeper.with(&which, Share::settle);
                        return Ok(Some(place));
                    }
                }
            })
            .await
    }

    /// The keeper's copy of this very value, made if need be; `None` when the value is no more.
    pub(super) async fn keep(self: &Arc<Self>, which: &Which) -> Result<Option<Place>, StateError> {
        let name = which.name.clone();
        self.turns
            .take((name.clone(), Turn::Make), async {
                if let Some(place) = self.keeper.held(&name, |place| place.id == which.id) {
                    return Ok(Some(place));
                }
                let is_gone = || {
                    let kept = self.keeper.kept.lock();
                    kept.get(&name).is_some_and(|kept| which.id < kept.floor)
                };
                if is_gone() {
                    return Ok(None);
                }
                self.keeper.sweep();
                let copy = self.make(which).map_err(|err| self.on_host(err))?;
                let place = copy.place;
                let mut kept = self.keeper.kept.lock();
                let entry = kept.entry(name.clone()).or_default();
                if which.id < entry.floor {
                    return Ok(None);
                }
                Hold::count(&copy.meta);
                entry.floor = which.id;
                entry.copy = Some(copy);
                Ok(Some(place))
            })
            .await
    }

    /// Allocates the host's copy: address space for all of it, memory for what is at home here.
    fn make(&self, which: &Which) -> Result<Copy, StateError> {
        let Which { name, id, len } = which;
        let key = &name.key;
        let too_long = || StateError::Shm(format!("key {:?}: {len} bytes are too many", text(key)));
        let hash = home::hash(&name.user, key);
        let layout = Layout::new(&self.job, hash, *len).ok_or_else(too_long)?;
        let rank = self.rank()?;
        let arena = rank.state.shared.arena()?;
        let meta = arena.alloc(meta_bytes(layout.chunks), Alignment::Chunk)?;
        let align = if *len >= HUGE_BYTES as u64 { Alignment::Huge } else { Alignment::Chunk };
        let (data, base) = match () {
            () if *len == 0 => (None, None),
            () if layout.away.is_empty() => (Some(arena.alloc(*len, align)?), None),
            () => {
                let data = arena.alloc_sparse(*len)?;
                for near in &layout.near {
                    let bytes = layout.bytes(near);
                    data.allocate_huge(bytes.start as u64..bytes.end as u64)?;
                }
                (Some(data), Some(arena.alloc_sparse(base_bytes(*len))?))
            }
        };
        let at = |block: &Option<Block>| block.as_ref().map(Block::file_offset);
        let place = Place {
            id: *id,
            len: *len,
            rank: self.job.rank,
            meta: meta.file_offset(),
            data: at(&data),
            base: at(&base),
        };
        let (share, dirty) = Share::new(&self.job, layout, meta.view(), base)?;
        for near in share.layout.near.clone() {
            share.filled.set_range(near.clone());
            share.present.set_range(near);
        }
        let value = Value::shared(key, (*id, *len), data, share, dirty)?;
        Ok(Copy { place, meta: meta.view(), value })
    }

    /// Says on which host memory ran out.
    pub(super) fn on_host(&self, err: StateError) -> StateError {
        match err {
            StateError::Shm(text) => {
                StateError::Shm(format!("{}: {text}", self.job.title(self.job.rank)))
            }
            err => err,
        }
    }
}
