//! State: where a value meets a guest address.
//!
//! Every function here is one `async` body. Where there is one rank nothing in it ever waits, and it is
//! a plain function to the guest ([`now`]); in a job of several it may suspend the guest.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mobula_guest::abi;
use mobula_shm::{CHUNK_BYTES, chunk_range};
use wasmtime::{Caller, Linker, Result, bail};

use super::{key, length, memory, named};
use crate::error::StateError;
use crate::host::Host;
use crate::state::spread::Kind;
use crate::state::{HeldLock, Merge, Mode, UserState, Value, text};

/// The result of what does not wait.
fn now<R>(body: impl Future<Output = Result<R>>) -> Result<R> {
    match pin!(body).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => bail!("it waited for other ranks, and there are none"),
    }
}

/// Adds a host function of that name and those parameters.
macro_rules! host {
    ($linker:expr, $several:expr, $name:expr, $run:expr, ($($arg:ident: $type:ty),*)) => {
        if $several {
            $linker.func_wrap_async(
                abi::MODULE,
                $name,
                move |mut caller: Caller<'_, Host>, ($($arg,)*): ($($type,)*)| {
                    Box::new(async move { $run(&mut caller, $($arg),*).await.map_err(named($name)) })
                },
            )?;
        } else {
            $linker.func_wrap(
                abi::MODULE,
                $name,
                move |mut caller: Caller<'_, Host>, $($arg: $type),*| {
                    now($run(&mut caller, $($arg),*)).map_err(named($name))
                },
            )?;
        }
    };
}

/// A guest that calls.
type Guest<'a, 'b> = &'a mut Caller<'b, Host>;

pub(super) fn add(l: &mut Linker<Host>, s: bool) -> Result<()> {
    host!(l, s, abi::READ_STATE, read_state, (k: u32, buf: u32, len: i32));
    host!(l, s, abi::WRITE_STATE, write_state, (k: u32, data: u32, len: i32));
    host!(l, s, abi::READ_STATE_OFFSET, read_at, (k: u32, n: i32, off: i32, buf: u32, len: i32));
    host!(l, s, abi::WRITE_STATE_OFFSET, write_at, (k: u32, n: i32, off: i32, data: u32, len: i32));
    host!(l, s, abi::READ_STATE_PTR, open_whole, (k: u32, total: i32));
    host!(l, s, abi::READ_STATE_OFFSET_PTR, open_part, (k: u32, total: i32, off: i32, len: i32));
    host!(l, s, abi::FLAG_STATE_DIRTY, flag, (k: u32, total: i32));
    host!(l, s, abi::FLAG_STATE_OFFSET_DIRTY, flag_part, (k: u32, total: i32, off: i32, len: i32));
    host!(l, s, abi::PUSH_STATE, push, (k: u32));
    host!(l, s, abi::PUSH_STATE_PARTIAL, push, (k: u32));
    host!(l, s, abi::PUSH_STATE_PARTIAL_MASK, push_masked, (k: u32, mask: u32));
    host!(l, s, abi::PUSH_MERGE, push_merge, (k: u32, element: i32, op: i32));
    host!(l, s, abi::MERGE_STATE, merge_state,
        (k: u32, total: i32, off: i32, data: u32, len: i32, element: i32, op: i32));
    host!(l, s, abi::PULL_STATE, pull, (k: u32, len: i32));
    host!(l, s, abi::STATE_CREATE, create, (k: u32, len: i32));
    host!(l, s, abi::STATE_DELETE, delete, (k: u32));
    l.func_wrap(abi::MODULE, abi::UNMAP, |mut caller: Caller<'_, Host>, ptr: u32| {
        caller.data_mut().close_window(ptr).map_err(named(abi::UNMAP))
    })?;
    host!(l, s, abi::APPEND_STATE, append, (k: u32, data: u32, len: i32));
    host!(l, s, abi::READ_APPENDED_STATE, read_appended, (k: u32, buf: u32, len: i32, n: i32));
    host!(l, s, abi::CLEAR_APPENDED_STATE, clear_appended, (k: u32));
    add_locks(l, s)
}

fn add_locks(linker: &mut Linker<Host>, several: bool) -> Result<()> {
    for (name, mode) in [
        (abi::LOCK_STATE_READ, Mode::Read),
        (abi::LOCK_STATE_WRITE, Mode::Write),
        (abi::LOCK_STATE_GLOBAL, Mode::Global),
    ] {
        linker.func_wrap_async(
            abi::MODULE,
            name,
            move |mut caller: Caller<'_, Host>, (k,): (u32,)| {
                Box::new(async move { lock(&mut caller, k, mode).await.map_err(named(name)) })
            },
        )?;
    }
    host!(linker, several, abi::UNLOCK_STATE_READ, unlock_read, (k: u32));
    host!(linker, several, abi::UNLOCK_STATE_WRITE, unlock_write, (k: u32));
    host!(linker, several, abi::UNLOCK_STATE_GLOBAL, unlock_global, (k: u32));
    Ok(())
}

/// The calling function's user's state.
fn state<'a>(caller: &'a Caller<'_, Host>) -> &'a Arc<UserState> {
    &caller.data().function.state
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
                spread.pause().await;
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
    Ok(value(caller, k, total).await?.mark_dirty(0, total.into())?)
}

async fn flag_part(caller: Guest<'_, '_>, k: u32, total: i32, off: i32, len: i32) -> Result<()> {
    Ok(value(caller, k, total).await?.mark_dirty(off.into(), len.into())?)
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
    Ok(state(caller).fetch_again(&key, len as u64).await?)
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
    let (start, bytes) = (usize::try_from(at)?, usize::try_from(n)?);
    let to = memory(caller.data())?.check(buf, bytes)?;
    if !value.is_present(at, n) {
        state(caller).gather(value, at, n).await?;
    }
    Ok(value.bytes().copy_to(start, memory(caller.data())?.bytes(), to, bytes)?)
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
    let prepared = if value.is_present(at, n) {
        None
    } else {
        Some(state(caller).prepare(value, at, n).await?)
    };
    memory(caller.data())?.bytes().copy_to(from, value.bytes(), start, bytes)?;
    if let Some(prepared) = prepared {
        prepared.done(value);
    }
    Ok(value.mark_dirty(i64::try_from(at)?, i64::try_from(n)?)?)
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

/// Combines a guest's elements with a value's, piece by piece.
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
        state(caller).gather(&value, at, n).await?;
    }
    let (memory, n) = (memory(caller.data())?, usize::try_from(n)?);
    let mut piece = [0u8; 4096];
    for at in (0..n).step_by(piece.len()) {
        let part = &mut piece[..(n - at).min(4096)];
        memory.bytes().copy_out(data as usize + at, part)?;
        state(caller).merge(&value, i64::from(off) + at as i64, part, merge)?;
    }
    Ok(())
}

/// Guest address of `len` bytes at `offset` of the value, mapping them if no window holds them.
async fn window(caller: Guest<'_, '_>, value: &Arc<Value>, offset: i32, len: i32) -> Result<u32> {
    let (start, bytes) = value.range(offset.into(), len.into())?;
    if !value.is_present(start, bytes) {
        state(caller).gather(value, start, bytes).await?;
    }
    map(caller, value, start, bytes)
}

fn map(caller: Guest<'_, '_>, value: &Value, start: u64, bytes: u64) -> Result<u32> {
    let host = caller.data_mut();
    let serial = host.call.serial;
    let Some(side) = &mut host.memory else { bail!("the module has no memory") };
    let Some(block) = value.block().filter(|_| bytes > 0) else {
        // Nothing to map; any address will do that is inside the memory and not null.
        return Ok(8);
    };
    let chunks = chunk_range(start, bytes);
    let within = usize::try_from(start)? % CHUNK_BYTES;
    if let Some(at) = side.windows.find(value.id(), &chunks, serial) {
        host.count(|worker| &worker.warm_windows);
        return Ok(u32::try_from(at + within)?);
    }
    let size = chunks.len() * CHUNK_BYTES;
    let at = reserve(caller, size, value)?;
    let host = caller.data_mut();
    let Some(side) = &mut host.memory else { bail!("the module has no memory") };
    side.known.forget(&(at..at + size));
    side.windows.map(&side.bytes, at..at + size, value.id(), chunks, block, serial)?;
    host.rank.stats.cold_windows.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    host.watch_windows();
    Ok(u32::try_from(at + within)?)
}

/// Finds address space for a window: a hole, new memory, or the place of windows no longer used.
fn reserve(caller: Guest<'_, '_>, size: usize, value: &Value) -> Result<usize> {
    for attempt in 0..2 {
        let host = caller.data_mut();
        let serial = host.call.serial;
        let Some(side) = &mut host.memory else { bail!("the module has no memory") };
        if attempt == 1 {
            side.windows.evict_unused(&side.bytes, serial)?;
        }
        if let Some(at) = side.windows.take_hole(size) {
            return Ok(at);
        }
        let (wasm, end) = (side.wasm, side.bytes.size());
        if end + size <= side.bytes.capacity() - CHUNK_BYTES {
            side.windows.grow_for(size);
            let grown = wasm.grow(&mut *caller, (size / CHUNK_BYTES) as u64);
            if let Some(side) = &mut caller.data_mut().memory {
                side.windows.grow_for(0);
            }
            if grown.is_ok() {
                return Ok(end);
            }
        }
    }
    Err(StateError::NoAddressSpace { key: text(value.key()), need: size as u64 }.into())
}

/// Which lock of a key a mode means, and where it is served.
fn lock_of(caller: &Caller<'_, Host>, k: u32, mode: Mode) -> Result<HeldLock> {
    let (key, state) = (key(caller, k)?, state(caller));
    if let Some((server, name)) = state.lock_server(&key, mode) {
        crate::state::check_key(&key)?;
        return Ok(HeldLock::There(server, name));
    }
    let locks = state.locks(&key)?;
    let lock = if mode == Mode::Global { locks.global.clone() } else { locks.local.clone() };
    Ok(HeldLock::Here(lock))
}

async fn lock(caller: Guest<'_, '_>, k: u32, mode: Mode) -> Result<()> {
    let lock = lock_of(caller, k, mode)?;
    let host = caller.data_mut();
    let Some(me) = host.call.slot else { bail!("the proto-function cannot hold locks") };
    let rank = &host.rank;
    let blocked = rank.gate.block();
    match &lock {
        HeldLock::Here(lock) => {
            let awaits = |call| rank.awaited_by(call);
            lock.acquire(u64::from(me), mode, &awaits, || rank.monitor.arm()).await?;
        }
        HeldLock::There(server, name) => {
            let Some(spread) = rank.state.spread() else { bail!("there is no other rank") };
            if host.call.lock_id == 0 {
                host.call.lock_id = spread.lock_id();
            }
            spread.lock_there(*server, name.clone(), mode, host.call.lock_id).await?;
        }
    }
    drop(blocked);
    host.call.locks.push((lock, mode));
    Ok(())
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
            spread.detached(async move { on.unlock_there(server, name, mode, id).await }).await?;
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
