//! State in a job of several ranks: the host functions of `state`, where they may have to wait for other
//! ranks. A guest that waits is suspended.
//!
//! They are apart because an asynchronous host function costs some tens of nanoseconds more, which a rank
//! that is alone does not pay.

use std::sync::Arc;

use mobula_guest::abi;
use wasmtime::{Caller, Linker, Result, bail};

use super::state::{Guest, lock_of, map, merge_pieces, state};
use super::{key, length, memory, named};
use crate::error::StateError;
use crate::host::Host;
use crate::state::spread::Kind;
use crate::state::{HeldLock, Merge, Mode, Value, text};

/// Adds a host function of that name and those parameters.
macro_rules! host {
    ($linker:expr, $name:expr, $run:expr, ($($arg:ident: $type:ty),*)) => {
        $linker.func_wrap_async(
            abi::MODULE,
            $name,
            move |mut caller: Caller<'_, Host>, ($($arg,)*): ($($type,)*)| {
                Box::new(async move { $run(&mut caller, $($arg),*).await.map_err(named($name)) })
            },
        )?;
    };
}

pub(super) fn add(l: &mut Linker<Host>) -> Result<()> {
    host!(l, abi::READ_STATE, read_state, (k: u32, buf: u32, len: i32));
    host!(l, abi::WRITE_STATE, write_state, (k: u32, data: u32, len: i32));
    host!(l, abi::READ_STATE_OFFSET, read_at, (k: u32, n: i32, off: i32, buf: u32, len: i32));
    host!(l, abi::WRITE_STATE_OFFSET, write_at, (k: u32, n: i32, off: i32, data: u32, len: i32));
    host!(l, abi::READ_STATE_PTR, open_whole, (k: u32, total: i32));
    host!(l, abi::READ_STATE_OFFSET_PTR, open_part, (k: u32, total: i32, off: i32, len: i32));
    host!(l, abi::FLAG_STATE_DIRTY, flag, (k: u32, total: i32));
    host!(l, abi::FLAG_STATE_OFFSET_DIRTY, flag_part, (k: u32, total: i32, off: i32, len: i32));
    host!(l, abi::PUSH_STATE, push, (k: u32));
    host!(l, abi::PUSH_STATE_PARTIAL, push, (k: u32));
    host!(l, abi::PUSH_STATE_PARTIAL_MASK, push_masked, (k: u32, mask: u32));
    host!(l, abi::PUSH_MERGE, push_merge, (k: u32, element: i32, op: i32));
    host!(l, abi::MERGE_STATE, merge_state,
        (k: u32, total: i32, off: i32, data: u32, len: i32, element: i32, op: i32));
    host!(l, abi::PULL_STATE, pull, (k: u32, len: i32));
    host!(l, abi::STATE_CREATE, create, (k: u32, len: i32));
    host!(l, abi::STATE_DELETE, delete, (k: u32));
    host!(l, abi::APPEND_STATE, append, (k: u32, data: u32, len: i32));
    host!(l, abi::READ_APPENDED_STATE, read_appended, (k: u32, buf: u32, len: i32, n: i32));
    host!(l, abi::CLEAR_APPENDED_STATE, clear_appended, (k: u32));
    host!(l, abi::UNLOCK_STATE_READ, unlock_read, (k: u32));
    host!(l, abi::UNLOCK_STATE_WRITE, unlock_write, (k: u32));
    host!(l, abi::UNLOCK_STATE_GLOBAL, unlock_global, (k: u32));
    Ok(())
}

/// The value of a key that the guest says is `total` bytes long.
async fn value(caller: Guest<'_, '_>, k: u32, total: i32) -> Result<Arc<Value>> {
    let total = length(total, "the total length")?;
    let key = key(caller, k)?;
    Ok(state(caller).seek_len(&key, total as u64).await?)
}

/// The same, open for this call: it cannot be resized before the call ends.
async fn open(caller: Guest<'_, '_>, k: u32, total: i32) -> Result<Arc<Value>> {
    loop {
        let found = value(caller, k, total).await?;
        if !caller.data_mut().note_open(&found) {
            // Somebody is replacing it; soon there is another one, or this one again.
            if let Some(spread) = caller.data().rank.state.spread() {
                Box::pin(spread.pause()).await;
            }
            continue;
        }
        // A resize between finding and opening it has put another value in its place.
        let now = state(caller).get(found.key());
        if now.is_some_and(|now| now.id() == found.id()) {
            return Ok(found);
        }
    }
}

async fn open_whole(caller: Guest<'_, '_>, k: u32, total: i32) -> Result<u32> {
    let value = open(caller, k, total).await?;
    window(caller, &value, 0, total).await
}

async fn open_part(caller: Guest<'_, '_>, k: u32, total: i32, off: i32, len: i32) -> Result<u32> {
    let value = open(caller, k, total).await?;
    window(caller, &value, off, len).await
}

async fn read_at(
    caller: Guest<'_, '_>,
    k: u32,
    total: i32,
    off: i32,
    buf: u32,
    len: i32,
) -> Result<()> {
    let value = value(caller, k, total).await?;
    let (at, n) = value.range(off.into(), len.into())?;
    copy_out(caller, &value, at, buf, n).await
}

async fn write_at(
    caller: Guest<'_, '_>,
    k: u32,
    total: i32,
    off: i32,
    data: u32,
    len: i32,
) -> Result<()> {
    let value = value(caller, k, total).await?;
    let (at, n) = value.range(off.into(), len.into())?;
    copy_in(caller, &value, at, data, n).await
}

async fn flag(caller: Guest<'_, '_>, k: u32, total: i32) -> Result<()> {
    Ok(value(caller, k, total).await?.flag(0, total.into())?)
}

async fn flag_part(caller: Guest<'_, '_>, k: u32, total: i32, off: i32, len: i32) -> Result<()> {
    Ok(value(caller, k, total).await?.flag(off.into(), len.into())?)
}

async fn push(caller: Guest<'_, '_>, k: u32) -> Result<()> {
    let key = key(caller, k)?;
    state(caller).send(&key, &Kind::Plain).await?;
    Ok(())
}

async fn push_masked(caller: Guest<'_, '_>, k: u32, mask: u32) -> Result<()> {
    let (k, mask) = (key(caller, k)?, key(caller, mask)?);
    Ok(state(caller).send_masked(&k, &mask).await?)
}

async fn push_merge(caller: Guest<'_, '_>, k: u32, element: i32, op: i32) -> Result<()> {
    let (key, merge) = (key(caller, k)?, Merge::new(element, op)?);
    state(caller).send(&key, &Kind::Merge(merge)).await?;
    Ok(())
}

async fn pull(caller: Guest<'_, '_>, k: u32, len: i32) -> Result<()> {
    let (key, len) = (key(caller, k)?, length(len, "the length")?);
    let own = caller.data().call.opened.iter().any(|open| open.key() == key);
    Ok(state(caller).fetch_again(&key, len as u64, own).await?)
}

async fn create(caller: Guest<'_, '_>, k: u32, len: i32) -> Result<()> {
    value(caller, k, len).await.map(drop)
}

async fn delete(caller: Guest<'_, '_>, k: u32) -> Result<()> {
    let key = key(caller, k)?;
    Ok(state(caller).remove(&key).await?)
}

async fn append(caller: Guest<'_, '_>, k: u32, data: u32, len: i32) -> Result<()> {
    let record = memory(caller.data())?.read(data, length(len, "the length")?)?;
    let key = key(caller, k)?;
    Ok(state(caller).append(&key, record).await?)
}

async fn read_appended(caller: Guest<'_, '_>, k: u32, buf: u32, len: i32, n: i32) -> Result<()> {
    let key = key(caller, k)?;
    let bytes = state(caller).first_records(&key, n.into(), len.into()).await?;
    Ok(memory(caller.data())?.write(buf, &bytes)?)
}

async fn clear_appended(caller: Guest<'_, '_>, k: u32) -> Result<()> {
    let key = key(caller, k)?;
    Ok(state(caller).clear_records(&key).await?)
}

async fn copy_out(
    caller: Guest<'_, '_>,
    value: &Arc<Value>,
    at: u64,
    buf: u32,
    n: u64,
) -> Result<()> {
    if !value.is_present(at, n) {
        // A bad pointer is refused before anything is moved for it.
        memory(caller.data())?.check(buf, usize::try_from(n)?)?;
        Box::pin(state(caller).gather(value, at, n)).await?;
    }
    super::state::copy_out(caller, value, at, buf, n)
}

async fn copy_in(
    caller: Guest<'_, '_>,
    value: &Arc<Value>,
    at: u64,
    data: u32,
    n: u64,
) -> Result<()> {
    let (start, bytes) = (usize::try_from(at)?, usize::try_from(n)?);
    let from = memory(caller.data())?.check(data, bytes)?;
    let _writing = value.writing();
    let prepared = if value.is_present(at, n) {
        None
    } else {
        Some(Box::pin(state(caller).prepare(value, at, n)).await?)
    };
    let (offset, count) = (i64::try_from(at)?, i64::try_from(n)?);
    value.flag_bytes(offset, count)?;
    memory(caller.data())?.bytes().copy_to(from, value.bytes(), start, bytes)?;
    value.mark_dirty(offset, count)?;
    if let Some(prepared) = prepared {
        prepared.done(value);
    }
    Ok(())
}

/// Whole value into a buffer; the size when the buffer has length 0; zeros for an unknown key.
async fn read_state(caller: Guest<'_, '_>, k: u32, buf: u32, len: i32) -> Result<i32> {
    let k = key(caller, k)?;
    crate::state::check_key(&k)?;
    let len = length(len, "the buffer's length")?;
    let value = state(caller).seek(&k).await?;
    let size = value.as_ref().map_or(0, |value| value.len());
    if len == 0 {
        return Ok(i32::try_from(size)?);
    }
    let n = size.min(len as u64);
    let at = memory(caller.data())?.check(buf, len)?;
    match value {
        Some(value) => copy_out(caller, &value, 0, buf, n).await?,
        None => memory(caller.data())?.bytes().fill_zero(at, len)?,
    }
    Ok(i32::try_from(n)?)
}

async fn write_state(caller: Guest<'_, '_>, k: u32, data: u32, len: i32) -> Result<()> {
    let (k, len) = (key(caller, k)?, length(len, "the length")?);
    // Before the value is made or resized: a bad pointer must not leave an empty value behind.
    memory(caller.data())?.check(data, len)?;
    let value = state(caller).seek_whole(&k, len as u64).await?;
    copy_in(caller, &value, 0, data, len as u64).await
}

/// Combines a guest's elements with a value's.
#[expect(clippy::too_many_arguments, reason = "they are the guest's")]
async fn merge_state(
    caller: Guest<'_, '_>,
    k: u32,
    total: i32,
    off: i32,
    data: u32,
    len: i32,
    element: i32,
    op: i32,
) -> Result<()> {
    let merge = Merge::new(element, op)?;
    let value = value(caller, k, total).await?;
    let (at, n) = value.range(off.into(), len.into())?;
    memory(caller.data())?.check(data, usize::try_from(n)?)?;
    if !value.is_present(at, n) {
        Box::pin(state(caller).gather(&value, at, n)).await?;
    }
    merge_pieces(caller, &value, off, (data, usize::try_from(n)?), merge)
}

/// Guest address of `len` bytes at `offset` of the value, mapping them if no window holds them.
async fn window(caller: Guest<'_, '_>, value: &Arc<Value>, offset: i32, len: i32) -> Result<u32> {
    let (start, bytes) = value.range(offset.into(), len.into())?;
    if !value.is_present(start, bytes) {
        Box::pin(state(caller).gather(value, start, bytes)).await?;
    }
    map(caller, value, start, bytes)
}

async fn unlock(caller: Guest<'_, '_>, k: u32, mode: Mode) -> Result<()> {
    let lock = lock_of(caller, k, mode)?;
    let host = caller.data_mut();
    let call = &mut host.call;
    let Some(me) = call.slot else { bail!("the proto-function cannot hold locks") };
    let held = call.locks.iter().position(|(held, m)| held.is(&lock) && *m == mode);
    match &lock {
        HeldLock::Here(lock) => lock.release(u64::from(me), mode)?,
        HeldLock::There(server, name) => {
            let Some(at) = held else {
                let key = text(&name.key);
                return Err(StateError::NotHeld { key, kind: mode.name().into() }.into());
            };
            // Out of the list first: a call that ends now would give it back twice.
            call.locks.swap_remove(at);
            let Some(spread) = host.rank.state.spread() else { bail!("there is no other rank") };
            let (on, id) = (spread.clone(), call.lock_id);
            let (server, name) = (*server, name.clone());
            let unlock = async move { on.unlock_there(server, name, mode, id).await };
            Box::pin(spread.detached(unlock)).await?;
            return Ok(());
        }
    }
    if let Some(at) = held {
        call.locks.swap_remove(at);
    }
    Ok(())
}

async fn unlock_read(caller: Guest<'_, '_>, k: u32) -> Result<()> {
    unlock(caller, k, Mode::Read).await
}

async fn unlock_write(caller: Guest<'_, '_>, k: u32) -> Result<()> {
    unlock(caller, k, Mode::Write).await
}

async fn unlock_global(caller: Guest<'_, '_>, k: u32) -> Result<()> {
    unlock(caller, k, Mode::Global).await
}
