//! State: named byte arrays of a user in shared memory.
//!
//! `README.md` beside this file holds the contract (consistency, locks, limits). This module knows
//! nothing of WebAssembly, guests or pointers; the joint between a value and a guest address is
//! `hostcalls::state`.
//!
//! ```text
//!  StateTable ─ user ─▶ UserState ─ key ─▶ Value  (data block in the arena, dirty bits, open count)
//!                           ├─ key ─▶ KeyLocks    (read/write lock, global lock)
//!                           └─ key ─▶ Appended    (records in append order)
//! ```
//!
//! In a job of several ranks `seek` asks the others, which is `spread`'s business. What may wait for them
//! is `async`; alone it never waits. The functions of the same purpose that are not async wait on the
//! thread that calls them, for whoever is no guest.
//!
//! Invariants: keys of different users live in different tables; a value's length never changes (a
//! resize makes a new value); a block is freed when the last window or copy on it is gone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mobula_shm::{
    Alignment, Arena, ArenaOptions, Block, OwnerSlot, OwnerTable, RW_LOCK_BYTES, RwLockWord,
};
use parking_lot::{Mutex, RwLock};

use crate::error::StateError;
use crate::limits;
use crate::stats::Stats;
use crate::store::Store;

mod append;
mod home;
pub(crate) mod lock;
mod merge;
mod seek;
pub(crate) mod spread;
mod stored;
mod value;
pub(crate) mod watch;

pub(crate) use append::Appended;
pub(crate) use lock::{Holder, LongWait};
pub(crate) use lock::{KeyLock, Mode};
pub(crate) use merge::Merge;
pub(crate) use spread::{HeldLock, Spread, call_of, rank_of};
pub use value::Value;

/// All state of one rank.
#[derive(Debug)]
pub struct StateTable {
    users: RwLock<HashMap<Box<str>, Arc<UserState>>>,
    store: Option<Arc<dyn Store>>,
    shared: Arc<Shared>,
}

/// What all users' tables have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    arena: OnceLock<Arena>,
    numa_node: Option<u32>,
    next_value: AtomicU64,
    lock_words: Mutex<Slab>,
    owners: OnceLock<(OwnerTable, OwnerSlot)>,
    pub(crate) waits: lock::Waits,
    pub(crate) stats: Arc<Stats>,
    /// The other ranks' part; empty where there are none.
    spread: OnceLock<Arc<Spread>>,
}

/// Memory for lock words, cut from arena blocks.
#[derive(Debug, Default)]
struct Slab {
    block: Option<Block>,
    used: usize,
}

impl Slab {
    fn word(&mut self, shared: &Shared) -> Result<RwLockWord, StateError> {
        let full = |block: &Block| self.used + RW_LOCK_BYTES > block.view().len();
        if self.block.as_ref().is_none_or(full) {
            self.block = Some(shared.arena()?.alloc(1 << 16, Alignment::Chunk)?);
            self.used = 0;
        }
        let at = self.used;
        self.used += RW_LOCK_BYTES;
        let block = self.block.as_ref().expect("just made");
        Ok(RwLockWord::new(block.view().sub(at, RW_LOCK_BYTES)?)?)
    }
}

/// The keys of one user.
#[derive(Debug)]
pub struct UserState {
    values: RwLock<HashMap<Box<[u8]>, Arc<Value>>>,
    locks: RwLock<HashMap<Box<[u8]>, Arc<KeyLocks>>>,
    appended: RwLock<HashMap<Box<[u8]>, Arc<Appended>>>,
    backing: stored::Backing,
    shared: Arc<Shared>,
}

/// The two locks of a key: of the host's copy, and of the whole job.
#[derive(Debug)]
pub(crate) struct KeyLocks {
    pub(crate) local: Arc<KeyLock>,
    pub(crate) global: Arc<KeyLock>,
}

impl StateTable {
    /// A table without entries over `store`; the arena is created at the first use, on `numa_node`
    /// if given.
    #[must_use]
    pub(crate) fn new(
        numa_node: Option<u32>,
        stats: Arc<Stats>,
        store: Option<Arc<dyn Store>>,
    ) -> Self {
        let shared = Shared {
            arena: OnceLock::new(),
            numa_node,
            next_value: AtomicU64::new(1),
            lock_words: Mutex::default(),
            owners: OnceLock::new(),
            waits: lock::Waits::default(),
            stats,
            spread: OnceLock::new(),
        };
        Self { users: RwLock::default(), store, shared: Arc::new(shared) }
    }

    /// The table of `user`, made at its first use.
    pub fn user(&self, user: &str) -> Arc<UserState> {
        if let Some(found) = self.users.read().get(user) {
            return found.clone();
        }
        let fresh = || {
            Arc::new(UserState {
                values: RwLock::default(),
                locks: RwLock::default(),
                appended: RwLock::default(),
                backing: stored::Backing::new(user, self.store.clone()),
                shared: self.shared.clone(),
            })
        };
        self.users.write().entry(user.into()).or_insert_with(fresh).clone()
    }

    /// From now on the state is that of a job of several ranks.
    pub(crate) fn join(&self, spread: Spread) {
        let joined = self.shared.spread.set(Arc::new(spread));
        debug_assert!(joined.is_ok(), "a rank joins one job, once");
    }

    /// This rank's part in a job of several.
    pub(crate) fn spread(&self) -> Option<&Arc<Spread>> {
        self.shared.spread.get()
    }

    /// Lets lock waiters look again at locks that other processes hold.
    pub(crate) fn retry_foreign_locks(&self) {
        if let Some((owners, _)) = self.shared.owners.get() {
            self.shared.waits.retry_foreign(owners);
        }
    }

    /// Bytes of the arena in use and at most in use so far.
    pub(crate) fn arena_bytes(&self) -> (u64, u64) {
        self.shared.arena.get().map_or((0, 0), |arena| {
            let stats = arena.stats();
            match self.spread() {
                None => (stats.allocated, stats.high_water),
                // Chunks from other hosts are no blocks of their own.
                Some(_) => (arena.memory(), stats.high_water.max(arena.memory())),
            }
        })
    }

    pub(crate) fn waits(&self) -> &lock::Waits {
        &self.shared.waits
    }
}

impl Shared {
    pub(crate) fn arena(&self) -> Result<&Arena, StateError> {
        if let Some(arena) = self.arena.get() {
            return Ok(arena);
        }
        let most = self.spread.get().map_or(u64::MAX, |spread| spread.arena_share());
        let capacity = Arena::default_capacity()?.min(most);
        let options = ArenaOptions { capacity, numa_node: self.numa_node };
        let arena = Arena::create_private(options)?;
        Ok(self.arena.get_or_init(|| arena))
    }

    fn owners(&self) -> Result<&(OwnerTable, OwnerSlot), StateError> {
        if let Some(owners) = self.owners.get() {
            return Ok(owners);
        }
        let bytes = OwnerTable::bytes() as u64;
        let block = self.arena()?.alloc(bytes, mobula_shm::Alignment::Chunk)?;
        let table = OwnerTable::create(block.view())?;
        let slot = table.register()?;
        Ok(self.owners.get_or_init(|| (table, slot)))
    }
}

/// Checks a key's bytes.
pub(crate) fn check_key(key: &[u8]) -> Result<(), StateError> {
    if key.is_empty() || key.len() > limits::KEY_BYTES || key.contains(&0) {
        return Err(StateError::BadKey { len: key.len() });
    }
    Ok(())
}

impl UserState {
    /// The value of `key`, if this run has used or made it.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Arc<Value>> {
        self.get_any(key).filter(|value| value.is_settled())
    }

    /// As [`get`](Self::get), also while the value is brought home from the store: for what other ranks do
    /// with it, and not for guests.
    fn get_any(&self, key: &[u8]) -> Option<Arc<Value>> {
        self.values.read().get(key).filter(|value| !value.is_retired()).cloned()
    }

    /// The value of `key`, which must exist.
    ///
    /// # Errors
    /// [`StateError::Unknown`], or as [`find`](Self::find).
    pub fn known(&self, key: &[u8]) -> Result<Arc<Value>, StateError> {
        self.find(key)?.ok_or_else(|| StateError::Unknown { key: text(key) })
    }

    /// The value of `key` with `len` bytes; made of zeros if there is none.
    ///
    /// # Errors
    /// [`StateError::WrongLength`] when it has another length, or as [`find`](Self::find).
    pub fn with_len(&self, key: &[u8], len: u64) -> Result<Arc<Value>, StateError> {
        if self.spread().is_some() {
            return crate::runtime::block_on(self.seek_len(key, len));
        }
        if let Some(found) = self.find_of_len(key, Some(len))? {
            return found.of_len(len);
        }
        let mut values = self.values.write();
        if let Some(found) = values.get(key) {
            return found.clone().of_len(len);
        }
        let fresh = Arc::new(Value::new(&self.shared, key, len)?);
        values.insert(key.into(), fresh.clone());
        Ok(fresh)
    }

    /// The value of `key` with `len` bytes for writing it whole: made or, when no window is open on
    /// it, resized.
    ///
    /// # Errors
    /// [`StateError::ResizeWithWindow`], or what the arena says.
    pub fn for_whole_write(&self, key: &[u8], len: u64) -> Result<Arc<Value>, StateError> {
        check_key(key)?;
        if self.spread().is_some() {
            return crate::runtime::block_on(self.seek_whole(key, len));
        }
        if let Some(found) = self.get(key)
            && found.len() == len
        {
            return Ok(found);
        }
        let mut values = self.values.write();
        if let Some(old) = values.get(key) {
            if old.len() == len {
                return Ok(old.clone());
            }
            if old.is_open() {
                let key = text(key);
                return Err(StateError::ResizeWithWindow { key, len: old.len(), asked: len });
            }
        }
        let fresh = Arc::new(Value::new(&self.shared, key, len)?);
        self.backing.settle(key);
        values.insert(key.into(), fresh.clone());
        Ok(fresh)
    }

    /// Makes a value of `len` zeros; nothing when it is there with this length.
    ///
    /// # Errors
    /// As [`with_len`](Self::with_len).
    pub fn create(&self, key: &[u8], len: u64) -> Result<(), StateError> {
        self.with_len(key, len).map(drop)
    }

    /// Removes the value of `key`; nothing when there is none.
    ///
    /// # Errors
    /// [`StateError::DeleteWithWindow`] while a running call has a window on it.
    pub fn delete(&self, key: &[u8]) -> Result<(), StateError> {
        check_key(key)?;
        if self.spread().is_some() {
            return crate::runtime::block_on(self.remove(key));
        }
        let mut values = self.values.write();
        if values.get(key).is_some_and(|value| value.is_open()) {
            return Err(StateError::DeleteWithWindow { key: text(key) });
        }
        values.remove(key);
        self.backing.settle(key);
        Ok(())
    }

    /// Checks that a call may be placed by `offset` of the value of `key`; a key without a value has
    /// no offsets to be wrong.
    ///
    /// # Errors
    /// [`StateError::BadKey`] or [`StateError::OutOfRange`].
    pub(crate) fn check_place(&self, key: &[u8], offset: i64) -> Result<(), StateError> {
        check_key(key)?;
        match self.get(key) {
            Some(value) => value.range(offset, 1).map(drop),
            None if offset < 0 => {
                Err(StateError::OutOfRange { key: text(key), len: 0, offset, count: 1 })
            }
            None => Ok(()),
        }
    }

    /// Combines `data` with the elements at `offset` of the value of `key`, each atomically.
    ///
    /// # Errors
    /// [`StateError::OutOfRange`], or [`StateError::NotElements`] when offset or length are no
    /// multiples of the element's size.
    pub(crate) fn merge(
        &self,
        value: &Value,
        offset: i64,
        data: &[u8],
        merge: Merge,
    ) -> Result<(), StateError> {
        let count = i64::try_from(data.len()).unwrap_or(i64::MAX);
        let (at, _) = value.range(offset, count)?;
        merge.check(value.key(), at, data.len() as u64)?;
        merge.apply(value.bytes(), usize::try_from(at).unwrap_or(usize::MAX), data)?;
        value.mark_dirty(offset, count)
    }

    /// Pushes by combining what changed here with home. On the home's host what changed is there
    /// already, so this is [`push`](Self::push).
    ///
    /// # Errors
    /// As `push`, or [`StateError::NotElements`] when the value is no array of such elements.
    pub(crate) fn push_merge(&self, key: &[u8], merge: Merge) -> Result<u32, StateError> {
        merge.check(key, 0, self.known(key)?.len())?;
        self.push(key)
    }

    /// Sends what is dirty home. On the home's host the home copy is what guests map, so only the
    /// bookkeeping changes; returns the chunks that were dirty.
    ///
    /// # Errors
    /// [`StateError::Unknown`].
    pub fn push(&self, key: &[u8]) -> Result<u32, StateError> {
        if self.spread().is_some() {
            return crate::runtime::block_on(self.send(key, &spread::Kind::Plain));
        }
        let value = self.known(key)?;
        std::sync::atomic::fence(Ordering::SeqCst);
        value.collect_stores();
        let chunks = value.take_dirty();
        self.shared.stats.pushes.fetch_add(1, Ordering::Relaxed);
        self.shared.stats.pushed_chunks.fetch_add(u64::from(chunks), Ordering::Relaxed);
        Ok(chunks)
    }

    /// Sends the bytes whose mask bytes are set, then zeroes the mask.
    ///
    /// # Errors
    /// [`StateError::Unknown`], or [`StateError::MaskLength`] when the mask has another size.
    pub fn push_masked(&self, key: &[u8], mask: &[u8]) -> Result<(), StateError> {
        if self.spread().is_some() {
            return crate::runtime::block_on(self.send_masked(key, mask));
        }
        let (value, mask_value) = (self.known(key)?, self.known(mask)?);
        if value.len() != mask_value.len() {
            return Err(StateError::MaskLength {
                key: text(key),
                len: value.len(),
                mask: text(mask),
                mask_len: mask_value.len(),
            });
        }
        self.push(key)?;
        mask_value.bytes().fill_zero(0, mask_value.bytes().len())?;
        Ok(())
    }

    /// Makes later reads see what was pushed. On the home's host nothing can be stale.
    ///
    /// # Errors
    /// As [`with_len`](Self::with_len).
    pub fn pull(&self, key: &[u8], len: u64) -> Result<(), StateError> {
        if self.spread().is_some() {
            return crate::runtime::block_on(self.fetch_again(key, len, false));
        }
        self.with_len(key, len)?;
        std::sync::atomic::fence(Ordering::SeqCst);
        self.shared.stats.pulls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The locks of `key`, which needs no value.
    pub(crate) fn locks(&self, key: &[u8]) -> Result<Arc<KeyLocks>, StateError> {
        if let Some(found) = self.locks.read().get(key) {
            return Ok(found.clone());
        }
        check_key(key)?;
        let mut locks = self.locks.write();
        if let Some(found) = locks.get(key) {
            return Ok(found.clone());
        }
        let fresh = Arc::new(KeyLocks {
            local: Arc::new(KeyLock::new(&self.shared, key)?),
            global: Arc::new(KeyLock::new(&self.shared, key)?),
        });
        locks.insert(key.into(), fresh.clone());
        Ok(fresh)
    }

    /// The appended records of `key`, from the store or made empty at the first use.
    pub(crate) fn appended(&self, key: &[u8]) -> Result<Arc<Appended>, StateError> {
        if let Some(found) = self.appended.read().get(key) {
            return Ok(found.clone());
        }
        check_key(key)?;
        self.stored_records(key)
    }
}

/// A key as people read it.
pub(crate) fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
