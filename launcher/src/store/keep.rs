//! What a run writes back: values that changed, records that were appended, nothing else.
//!
//! ```text
//!  value in the table    compared with          written when
//!  ──────────────────────────────────────────────────────────────────────────────────────
//!  loaded                what was loaded        the bytes differ
//!  made at a first use   nothing was there      not all zeros, or still nothing is there
//!  written whole         what is there now      the bytes differ
//!  removed by the run    had the store none?    removed, unless so
//! ```
//!
//! Stores through windows are not flagged, so bytes are compared (by BLAKE3), not flags. All new
//! files are whole and on the disk before the first one gets its name: what cannot be written, for
//! want of room or of permission, changes nothing.
//!
//! Two runs that change one value: the last one to end wins, whole. A run that only read or made
//! zeros writes nothing over another's value. Records that two runs appended all stay, those of the
//! run that ended first before the other's; a run that cleared them replaces what is there.

use std::io;
use std::sync::Arc;

use anyhow::{Context, Result};
use mobula_runtime::{Records, StateTable, UserState, Value};

use super::file::{Seal, Sealed, Writer};
use super::name::{Kind, Name};
use super::{DirStore, Key, Origin, lock};

/// How much of a value passes through ordinary memory at a time.
const PIECE: usize = 1 << 20;

/// Writes what changed in `state` back to the store that it came from.
pub fn keep(store: &DirStore, state: &StateTable) -> Result<()> {
    let (mut sealed, mut removed, mut logs) = (Vec::new(), Vec::new(), Vec::new());
    for (user, table) in state.users() {
        for value in table.values() {
            let key = (user.clone(), value.key().to_owned());
            if let Some(file) = changed(store, &key, &table, &value)? {
                sealed.push((Name::new(&user, value.key(), Kind::Value), file));
            }
        }
        let vacant = table.vacant().into_iter().map(|key| (user.clone(), key));
        removed.extend(vacant.filter(|key| origin(store, key) != Some(Origin::Absent)));
        for (key, records) in table.all_records() {
            logs.push((Name::new(&user, &key, Kind::Records), records));
        }
    }
    logs.retain(|(name, records)| seen(store, name) != *records);
    for (name, file) in sealed {
        file.place(&store.path(&name)).with_context(|| store.cannot(&name))?;
    }
    for (user, key) in removed {
        store.remove(&Name::new(&user, &key, Kind::Value))?;
    }
    if logs.is_empty() {
        return Ok(());
    }
    let _alone = store.exclusive()?;
    logs.iter().try_for_each(|(name, records)| merge(store, name, records))
}

fn origin(store: &DirStore, key: &Key) -> Option<Origin> {
    lock(&store.values).get(key).copied()
}

/// The new file of a value, if it needs one.
fn changed(
    store: &DirStore,
    key: &Key,
    table: &UserState,
    value: &Arc<Value>,
) -> Result<Option<Sealed>> {
    let name = Name::new(&key.0, &key.1, Kind::Value);
    let mut hasher = blake3::Hasher::new();
    let mut zeros = true;
    pieces(table, value, |piece| {
        hasher.update(piece);
        zeros &= piece.iter().all(|&byte| byte == 0);
        Ok(())
    })?;
    let now = Seal { len: value.len(), records: 0, sum: *hasher.finalize().as_bytes() };
    let same = match origin(store, key) {
        Some(Origin::Loaded(seal)) => seal == now,
        Some(Origin::Absent) => zeros && store.path(&name).exists(),
        // What is damaged is replaced.
        None => store.open(&name).ok().flatten().is_some_and(|opened| opened.seal == now),
    };
    if same {
        return Ok(None);
    }
    let mut writer = store.writer(&name)?;
    let written = pieces(table, value, |piece| writer.write(piece));
    let sealed = written.and_then(|()| Ok(writer.seal()?));
    sealed.map(Some).with_context(|| store.cannot(&name))
}

/// Copies a value out piece by piece.
pub fn pieces(
    table: &UserState,
    value: &Arc<Value>,
    mut see: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<()> {
    let mut piece = vec![0; PIECE.min(value.bytes().len())];
    for at in (0..value.bytes().len()).step_by(PIECE) {
        let n = PIECE.min(value.bytes().len() - at);
        table.read(value, at, &mut piece[..n])?;
        see(&piece[..n])?;
    }
    Ok(())
}

/// The records that this run found.
fn seen(store: &DirStore, name: &Name) -> Records {
    let key = (name.user.clone(), name.name.clone());
    lock(&store.records).get(&key).cloned().unwrap_or_default()
}

/// Puts this run's records behind those that others appended meanwhile.
fn merge(store: &DirStore, name: &Name, ours: &Records) -> Result<()> {
    let found = seen(store, name);
    let now = store.read_records(name)?.unwrap_or_default();
    let only_appended = ours.ends.starts_with(&found.ends) && ours.bytes.starts_with(&found.bytes);
    let merged = if now == found || !only_appended {
        ours.clone()
    } else {
        let mut merged = now;
        ours.iter().skip(found.ends.len()).for_each(|record| merged.push(record));
        merged
    };
    if merged == Records::default() {
        return store.remove(name).map(drop);
    }
    let write = |writer: &mut Writer| {
        merged.iter().try_for_each(|record| writer.write_record(record))?;
        Ok(())
    };
    store.put(name, write).map(drop)
}
