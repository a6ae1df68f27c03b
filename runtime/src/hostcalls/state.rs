//! State: where a value meets a guest address.
//!
//! What may have to wait for other ranks is in `several` a second time, for jobs that have some.

use std::sync::Arc;

use mobula_guest::abi;
use mobula_shm::{CHUNK_BYTES, chunk_range};
use wasmtime::{Caller, Linker, Result, bail};

use super::{key, length, memory, named};
use crate::error::StateError;
use crate::host::Host;
use crate::memory::window::Phase;
use crate::state::{HeldLock, Merge, Mode, UserState, Value, text};

/// A guest that calls.
pub(super) type Guest<'a, 'b> = &'a mut Caller<'b, Host>;

pub(super) fn add(linker: &mut Linker<Host>, several: bool) -> Result<()> {
    add_locks(linker)?;
    linker.func_wrap(abi::MODULE, abi::UNMAP, |mut caller: Caller<'_, Host>, ptr: u32| {
        caller.data_mut().close_window(ptr).map_err(named(abi::UNMAP))
    })?;
    if several {
        return super::several::add(linker);
    }
    add_copies(linker)?;
    add_windows(linker)?;
    add_transfers(linker)?;
    add_lives(linker)?;
    add_appends(linker)?;
    add_unlocks(linker)
}

fn add_copies(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    linker.func_wrap(
        env,
        abi::READ_STATE,
        |caller: Caller<'_, Host>, k: u32, buf: u32, len: i32| {
            read_state(&caller, k, buf, len).map_err(named(abi::READ_STATE))
        },
    )?;
    linker.func_wrap(
        env,
        abi::WRITE_STATE,
        |caller: Caller<'_, Host>, k: u32, data: u32, len: i32| {
            write_state(&caller, k, data, len).map_err(named(abi::WRITE_STATE))
        },
    )?;
    linker.func_wrap(
        env,
        abi::READ_STATE_OFFSET,
        |caller: Caller<'_, Host>, k: u32, total: i32, off: i32, buf: u32, len: i32| {
            let run = || -> Result<()> {
                let value = value(&caller, k, total)?;
                let (at, n) = value.range(off.into(), len.into())?;
                copy_out(&caller, &value, at, buf, n)
            };
            run().map_err(named(abi::READ_STATE_OFFSET))
        },
    )?;
    linker.func_wrap(
        env,
        abi::WRITE_STATE_OFFSET,
        |caller: Caller<'_, Host>, k: u32, total: i32, off: i32, data: u32, len: i32| {
            let run = || -> Result<()> {
                let value = value(&caller, k, total)?;
                let (at, n) = value.range(off.into(), len.into())?;
                copy_in(&caller, &value, at, data, n)
            };
            run().map_err(named(abi::WRITE_STATE_OFFSET))
        },
    )?;
    Ok(())
}

fn add_windows(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    linker.func_wrap(
        env,
        abi::READ_STATE_PTR,
        |mut caller: Caller<'_, Host>, k: u32, total: i32| {
            let run = |caller: &mut Caller<'_, Host>| {
                let value = open(caller, k, total)?;
                window(caller, &value, 0, total)
            };
            run(&mut caller).map_err(named(abi::READ_STATE_PTR))
        },
    )?;
    linker.func_wrap(
        env,
        abi::READ_STATE_OFFSET_PTR,
        |mut caller: Caller<'_, Host>, k: u32, total: i32, off: i32, len: i32| {
            let run = |caller: &mut Caller<'_, Host>| {
                let value = open(caller, k, total)?;
                window(caller, &value, off, len)
            };
            run(&mut caller).map_err(named(abi::READ_STATE_OFFSET_PTR))
        },
    )?;
    linker.func_wrap(
        env,
        abi::FLAG_STATE_DIRTY,
        |caller: Caller<'_, Host>, k: u32, total: i32| {
            let run = || Ok(value(&caller, k, total)?.flag(0, total.into())?);
            run().map_err(named(abi::FLAG_STATE_DIRTY))
        },
    )?;
    linker.func_wrap(
        env,
        abi::FLAG_STATE_OFFSET_DIRTY,
        |caller: Caller<'_, Host>, k: u32, total: i32, off: i32, len: i32| {
            let run = || Ok(value(&caller, k, total)?.flag(off.into(), len.into())?);
            run().map_err(named(abi::FLAG_STATE_OFFSET_DIRTY))
        },
    )?;
    Ok(())
}

fn add_transfers(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    for name in [abi::PUSH_STATE, abi::PUSH_STATE_PARTIAL] {
        linker.func_wrap(env, name, move |caller: Caller<'_, Host>, k: u32| {
            let run = || {
                caller.data().function.state.push(&key(&caller, k)?)?;
                Ok(())
            };
            run().map_err(named(name))
        })?;
    }
    linker.func_wrap(
        env,
        abi::PUSH_STATE_PARTIAL_MASK,
        |caller: Caller<'_, Host>, k: u32, mask: u32| {
            let run = || {
                let (k, mask) = (key(&caller, k)?, key(&caller, mask)?);
                Ok(caller.data().function.state.push_masked(&k, &mask)?)
            };
            run().map_err(named(abi::PUSH_STATE_PARTIAL_MASK))
        },
    )?;
    linker.func_wrap(
        env,
        abi::PUSH_MERGE,
        |caller: Caller<'_, Host>, k: u32, element: i32, op: i32| {
            let run = || {
                let (k, merge) = (key(&caller, k)?, Merge::new(element, op)?);
                caller.data().function.state.push_merge(&k, merge)?;
                Ok(())
            };
            run().map_err(named(abi::PUSH_MERGE))
        },
    )?;
    linker.func_wrap(
        env,
        abi::MERGE_STATE,
        |caller: Caller<'_, Host>,
         k: u32,
         total: i32,
         off: i32,
         data: u32,
         len: i32,
         element: i32,
         op: i32| {
            let run = || {
                let merge = Merge::new(element, op)?;
                merge_state(&caller, (k, total), (off, data, len), merge)
            };
            run().map_err(named(abi::MERGE_STATE))
        },
    )?;
    linker.func_wrap(env, abi::PULL_STATE, |caller: Caller<'_, Host>, k: u32, len: i32| {
        let run = || {
            let (k, len) = (key(&caller, k)?, length(len, "the length")?);
            Ok(caller.data().function.state.pull(&k, len as u64)?)
        };
        run().map_err(named(abi::PULL_STATE))
    })?;
    Ok(())
}

fn add_lives(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    linker.func_wrap(env, abi::STATE_CREATE, |caller: Caller<'_, Host>, k: u32, len: i32| {
        value(&caller, k, len).map(drop).map_err(named(abi::STATE_CREATE))
    })?;
    linker.func_wrap(env, abi::STATE_DELETE, |caller: Caller<'_, Host>, k: u32| {
        let run = || Ok(caller.data().function.state.delete(&key(&caller, k)?)?);
        run().map_err(named(abi::STATE_DELETE))
    })?;
    Ok(())
}

fn add_appends(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    linker.func_wrap(
        env,
        abi::APPEND_STATE,
        |caller: Caller<'_, Host>, k: u32, data: u32, len: i32| {
            let run = || {
                let record = memory(caller.data())?.read(data, length(len, "the length")?)?;
                caller.data().function.state.appended(&key(&caller, k)?)?.append(&record);
                Ok(())
            };
            run().map_err(named(abi::APPEND_STATE))
        },
    )?;
    linker.func_wrap(
        env,
        abi::READ_APPENDED_STATE,
        |caller: Caller<'_, Host>, k: u32, buf: u32, len: i32, n: i32| {
            let run = || {
                let k = key(&caller, k)?;
                let records = caller.data().function.state.appended(&k)?;
                let bytes = records.first(&k, n.into(), len.into())?;
                Ok(memory(caller.data())?.write(buf, &bytes)?)
            };
            run().map_err(named(abi::READ_APPENDED_STATE))
        },
    )?;
    linker.func_wrap(env, abi::CLEAR_APPENDED_STATE, |caller: Caller<'_, Host>, k: u32| {
        let run = || {
            caller.data().function.state.appended(&key(&caller, k)?)?.clear();
            Ok(())
        };
        run().map_err(named(abi::CLEAR_APPENDED_STATE))
    })?;
    Ok(())
}

fn add_locks(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    for (name, mode) in [
        (abi::LOCK_STATE_READ, Mode::Read),
        (abi::LOCK_STATE_WRITE, Mode::Write),
        (abi::LOCK_STATE_GLOBAL, Mode::Global),
    ] {
        linker.func_wrap_async(env, name, move |mut caller: Caller<'_, Host>, (k,): (u32,)| {
            Box::new(async move { lock(&mut caller, k, mode).await.map_err(named(name)) })
        })?;
    }
    Ok(())
}

fn add_unlocks(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    for (name, mode) in [
        (abi::UNLOCK_STATE_READ, Mode::Read),
        (abi::UNLOCK_STATE_WRITE, Mode::Write),
        (abi::UNLOCK_STATE_GLOBAL, Mode::Global),
    ] {
        linker.func_wrap(env, name, move |mut caller: Caller<'_, Host>, k: u32| {
            unlock(&mut caller, k, mode).map_err(named(name))
        })?;
    }
    Ok(())
}

/// The value of a key that the guest says is `total` bytes long.
fn value(caller: &Caller<'_, Host>, k: u32, total: i32) -> Result<Arc<Value>> {
    let total = length(total, "the total length")?;
    Ok(caller.data().function.state.with_len(&key(caller, k)?, total as u64)?)
}

/// The same, open for this call: it cannot be resized before the call ends.
fn open(caller: &mut Caller<'_, Host>, k: u32, total: i32) -> Result<Arc<Value>> {
    loop {
        let found = value(caller, k, total)?;
        let _open = caller.data_mut().note_open(&found);
        // A resize between finding and opening it has put another value in its place.
        let now = caller.data().function.state.get(found.key());
        if now.is_some_and(|now| now.id() == found.id()) {
            return Ok(found);
        }
    }
}

pub(super) fn copy_out(
    caller: &Caller<'_, Host>,
    value: &Value,
    at: u64,
    buf: u32,
    n: u64,
) -> Result<()> {
    let (at, n) = (usize::try_from(at)?, usize::try_from(n)?);
    let memory = memory(caller.data())?;
    let to = memory.check(buf, n)?;
    Ok(value.bytes().copy_to(at, memory.bytes(), to, n)?)
}

fn copy_in(caller: &Caller<'_, Host>, value: &Value, at: u64, data: u32, n: u64) -> Result<()> {
    let (start, n) = (usize::try_from(at)?, usize::try_from(n)?);
    let memory = memory(caller.data())?;
    let from = memory.check(data, n)?;
    memory.bytes().copy_to(from, value.bytes(), start, n)?;
    Ok(value.mark_dirty(i64::try_from(at)?, i64::try_from(n)?)?)
}

/// Whole value into a buffer; the size when the buffer has length 0; zeros for an unknown key.
fn read_state(caller: &Caller<'_, Host>, k: u32, buf: u32, len: i32) -> Result<i32> {
    let k = key(caller, k)?;
    crate::state::check_key(&k)?;
    let len = length(len, "the buffer's length")?;
    let value = caller.data().function.state.find(&k)?;
    let size = value.as_ref().map_or(0, |value| value.len());
    if len == 0 {
        return Ok(i32::try_from(size)?);
    }
    let n = size.min(len as u64);
    let at = memory(caller.data())?.check(buf, len)?;
    match value {
        Some(value) => copy_out(caller, &value, 0, buf, n)?,
        None => memory(caller.data())?.bytes().fill_zero(at, len)?,
    }
    Ok(i32::try_from(n)?)
}

fn write_state(caller: &Caller<'_, Host>, k: u32, data: u32, len: i32) -> Result<()> {
    let (k, len) = (key(caller, k)?, length(len, "the length")?);
    // Before the value is made or resized: a bad pointer must not leave an empty value behind.
    memory(caller.data())?.check(data, len)?;
    let value = caller.data().function.state.for_whole_write(&k, len as u64)?;
    copy_in(caller, &value, 0, data, len as u64)
}

/// Combines a guest's elements with a value's.
fn merge_state(
    caller: &Caller<'_, Host>,
    (k, total): (u32, i32),
    (off, data, len): (i32, u32, i32),
    merge: Merge,
) -> Result<()> {
    let value = value(caller, k, total)?;
    let (_, n) = value.range(off.into(), len.into())?;
    let n = usize::try_from(n)?;
    memory(caller.data())?.check(data, n)?;
    merge_pieces(caller, &value, off, (data, n), merge)
}

/// Combines `n` bytes of elements at `data`, which were checked, with those at `off` of the value, piece by
/// piece.
pub(super) fn merge_pieces(
    caller: &Caller<'_, Host>,
    value: &Value,
    off: i32,
    (data, n): (u32, usize),
    merge: Merge,
) -> Result<()> {
    let memory = memory(caller.data())?;
    let mut piece = [0u8; 4096];
    for at in (0..n).step_by(piece.len()) {
        let part = &mut piece[..(n - at).min(4096)];
        memory.bytes().copy_out(data as usize + at, part)?;
        caller.data().function.state.merge(value, i64::from(off) + at as i64, part, merge)?;
    }
    Ok(())
}

/// Guest address of `len` bytes at `offset` of the value, mapping them if no window holds them.
fn window(caller: Guest<'_, '_>, value: &Arc<Value>, offset: i32, len: i32) -> Result<u32> {
    let (start, bytes) = value.range(offset.into(), len.into())?;
    map(caller, value, start, bytes)
}

/// The same for a range that is checked and present.
pub(super) fn map(caller: Guest<'_, '_>, value: &Value, start: u64, bytes: u64) -> Result<u32> {
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
    let offset = block.file_offset() + (chunks.start as usize * CHUNK_BYTES) as u64;
    let phase = Phase::new(side.bytes.base(), offset, size);
    let at = reserve(caller, size, phase, value)?;
    let host = caller.data_mut();
    let Some(side) = &mut host.memory else { bail!("the module has no memory") };
    side.known.forget(&(at..at + size));
    side.windows.map(&side.bytes, at..at + size, value.id(), chunks, block, serial)?;
    host.rank.stats.cold_windows.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    host.watch_windows();
    Ok(u32::try_from(at + within)?)
}

/// Finds address space for a window: a hole, new memory, or the place of windows no longer used. In the
/// last resort at an address of any phase.
fn reserve(caller: Guest<'_, '_>, size: usize, phase: Phase, value: &Value) -> Result<usize> {
    for attempt in 0..2 {
        let host = caller.data_mut();
        let serial = host.call.serial;
        let Some(side) = &mut host.memory else { bail!("the module has no memory") };
        if attempt == 1 {
            side.windows.evict_unused(&side.bytes, serial)?;
        }
        if let Some(at) = side.windows.take_hole(size, phase) {
            return Ok(at);
        }
        let (wasm, end, room) = (side.wasm, side.bytes.size(), side.bytes.capacity() - CHUNK_BYTES);
        let skip = Some(phase.skip(end)).filter(|skip| end + skip + size <= room).unwrap_or(0);
        if end + skip + size <= room {
            side.windows.grow_for(skip + size);
            let grown = wasm.grow(&mut *caller, ((skip + size) / CHUNK_BYTES) as u64);
            let side = caller.data_mut().memory.as_mut();
            let Some(side) = side else { bail!("the module has no memory") };
            side.windows.grow_for(0);
            if grown.is_ok() {
                side.windows.add_hole(end..end + skip);
                return Ok(end + skip);
            }
        }
    }
    Err(StateError::NoAddressSpace { key: text(value.key()), need: size as u64 }.into())
}

/// Which lock of a key a mode means, and where it is served.
pub(super) fn lock_of(caller: &Caller<'_, Host>, k: u32, mode: Mode) -> Result<HeldLock> {
    let (key, state) = (key(caller, k)?, state(caller));
    if let Some((server, name)) = state.lock_server(&key, mode) {
        crate::state::check_key(&key)?;
        return Ok(HeldLock::There(server, name));
    }
    let locks = state.locks(&key)?;
    let lock = if mode == Mode::Global { locks.global.clone() } else { locks.local.clone() };
    Ok(HeldLock::Here(lock))
}

pub(super) async fn lock(caller: Guest<'_, '_>, k: u32, mode: Mode) -> Result<()> {
    let lock = lock_of(caller, k, mode)?;
    let host = caller.data_mut();
    let Some(me) = host.call.slot else { bail!("the proto-function cannot hold locks") };
    let rank = &host.rank;
    match &lock {
        HeldLock::Here(lock) => {
            if let Some(queued) = lock.ask(u64::from(me), mode)? {
                let (_blocked, awaits) = (rank.gate.block(), |call| rank.awaited_by(call));
                lock.wait(queued, host.title(), &awaits, || rank.monitor.arm()).await?;
            }
        }
        HeldLock::There(server, name) => {
            let Some(spread) = rank.state.spread() else { bail!("there is no other rank") };
            let _blocked = rank.gate.block();
            if host.call.lock_id == 0 {
                rank.calls.set_title(me, host.title());
                host.call.lock_id = spread.lock_id();
                rank.calls.set_lock_id(me, host.call.lock_id);
            }
            rank.calls.set_abroad(me, Some(*server));
            let lock = spread.lock_there(*server, name.clone(), mode, host.call.lock_id);
            let granted = Box::pin(lock).await;
            rank.calls.set_abroad(me, None);
            granted?;
        }
    }
    host.call.locks.push((lock, mode));
    Ok(())
}

fn unlock(caller: Guest<'_, '_>, k: u32, mode: Mode) -> Result<()> {
    let lock = lock_of(caller, k, mode)?;
    let call = &mut caller.data_mut().call;
    let Some(me) = call.slot else { bail!("the proto-function cannot hold locks") };
    let HeldLock::Here(here) = &lock else { bail!("there is no other rank") };
    here.release(u64::from(me), mode)?;
    if let Some(at) = call.locks.iter().position(|(held, m)| held.is(&lock) && *m == mode) {
        call.locks.swap_remove(at);
    }
    Ok(())
}

/// The calling function's user's state.
pub(super) fn state<'a>(caller: &'a Caller<'_, Host>) -> &'a Arc<UserState> {
    &caller.data().function.state
}
