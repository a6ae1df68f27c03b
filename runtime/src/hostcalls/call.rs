//! Input, output, identity and chaining.

use std::future::poll_fn;
use std::task::Poll;

use mobula_guest::abi;
use wasmtime::{Caller, Linker, Result, bail};

use super::{key, length, memory, named, payload};
use crate::call::{Slot, Wanted};
use crate::fabric::RankId;
use crate::function::Entry;
use crate::host::Host;
use crate::limits;
use crate::remote::functions::Which;

pub(super) fn add(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    linker.func_wrap(env, abi::READ_INPUT, |caller: Caller<'_, Host>, ptr: u32, len: i32| {
        read_input(&caller, ptr, len).map_err(named(abi::READ_INPUT))
    })?;
    linker.func_wrap(
        env,
        abi::WRITE_OUTPUT,
        |mut caller: Caller<'_, Host>, ptr: u32, len: i32| {
            let output =
                payload(&caller, ptr, len, "the output").map_err(named(abi::WRITE_OUTPUT))?;
            caller.data_mut().call.output = output;
            Ok(())
        },
    )?;
    linker.func_wrap(env, abi::GET_IDX, |caller: Caller<'_, Host>| {
        caller.data().call.entry.index()
    })?;
    linker.func_wrap(env, abi::GET_CONF_FLAG, |caller: Caller<'_, Host>, ptr: u32| {
        let flag = key(&caller, ptr).map_err(named(abi::GET_CONF_FLAG))?;
        let on = flag == b"ALWAYS_ON"
            || std::str::from_utf8(&flag).is_ok_and(|f| caller.data().rank.config.conf.contains(f));
        Ok(i32::from(on))
    })?;
    linker.func_wrap(
        env,
        abi::CHAIN_THIS,
        |mut caller: Caller<'_, Host>, index: i32, ptr: u32, len: i32| {
            chain_this(&mut caller, Entry::Index(index), ptr, len, None)
                .map_err(named(abi::CHAIN_THIS))
        },
    )?;
    linker.func_wrap_async(
        env,
        abi::CHAIN_FUNCTION,
        |mut caller: Caller<'_, Host>, (name, ptr, len): (u32, u32, i32)| {
            Box::new(async move {
                let id = chain_function(&mut caller, name, ptr, len).await;
                id.map_err(named(abi::CHAIN_FUNCTION))
            })
        },
    )?;
    add_chains(linker)?;
    add_awaits(linker)
}

fn add_chains(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    linker.func_wrap(
        env,
        abi::CHAIN_POINTER,
        |mut caller: Caller<'_, Host>, address: u32, ptr: u32, len: i32| {
            chain_this(&mut caller, Entry::Pointer(address), ptr, len, None)
                .map_err(named(abi::CHAIN_POINTER))
        },
    )?;
    linker.func_wrap(
        env,
        abi::CHAIN_RANGE,
        |caller: Caller<'_, Host>, idx: i32, lo: i64, hi: i64, grain: i64, ptr: u32, len: i32| {
            let range = Range { lo, hi, grain };
            chain_range(caller, idx, range, ptr, len).map_err(named(abi::CHAIN_RANGE))
        },
    )?;
    linker.func_wrap_async(
        env,
        abi::CHAIN_AT,
        |mut caller: Caller<'_, Host>, (k, offset, idx, ptr, len): (u32, i64, i32, u32, i32)| {
            Box::new(async move {
                let run = async {
                    let k = key(&caller, k)?;
                    let home = home_of(&mut caller, &k, offset).await?;
                    chain_this(&mut caller, Entry::Index(idx), ptr, len, home)
                };
                run.await.map_err(named(abi::CHAIN_AT))
            })
        },
    )?;
    linker.func_wrap(env, abi::GET_RANGE, |caller: Caller<'_, Host>, lo: u32, hi: u32| {
        get_range(&caller, lo, hi).map_err(named(abi::GET_RANGE))
    })?;
    Ok(())
}

fn add_awaits(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    linker.func_wrap_async(
        env,
        abi::AWAIT_CALL,
        |mut caller: Caller<'_, Host>, (id,): (u32,)| {
            Box::new(async move {
                if caller.data().call.children.is_loop(id) {
                    return await_loop(&mut caller, id).await.map_err(named(abi::AWAIT_CALL));
                }
                let slot = await_child(&mut caller, id).await.map_err(named(abi::AWAIT_CALL))?;
                Ok(close_child(&mut caller, id, slot))
            })
        },
    )?;
    linker.func_wrap_async(
        env,
        abi::AWAIT_ANY,
        |mut caller: Caller<'_, Host>, (ids, n): (u32, i32)| {
            Box::new(
                async move { await_any(&mut caller, ids, n).await.map_err(named(abi::AWAIT_ANY)) },
            )
        },
    )?;
    linker.func_wrap_async(
        env,
        abi::AWAIT_CALL_OUTPUT,
        |mut caller: Caller<'_, Host>, (id, ptr, len): (u32, u32, i32)| {
            Box::new(async move {
                let run = async {
                    let len = length(len, "the buffer's length")?;
                    memory(caller.data())?.check(ptr, len)?;
                    let slot = await_child(&mut caller, id).await?;
                    let output = caller.data().rank.calls.take_output(slot);
                    memory(caller.data())?.write(ptr, &output[..output.len().min(len)])?;
                    Ok(close_child(&mut caller, id, slot))
                };
                run.await.map_err(named(abi::AWAIT_CALL_OUTPUT))
            })
        },
    )?;
    linker.func_wrap_async(
        env,
        abi::AWAIT_OUTPUT_SIZE,
        |mut caller: Caller<'_, Host>, (id, size_ptr): (u32, u32)| {
            Box::new(async move {
                let run = async {
                    memory(caller.data())?.check(size_ptr, 4)?;
                    let slot = await_child(&mut caller, id).await?;
                    let size = caller.data().rank.calls.output_len(slot) as u32;
                    memory(caller.data())?.write(size_ptr, &size.to_le_bytes())?;
                    caller.data_mut().call.children.keep_output(id);
                    Ok(caller.data().rank.calls.code(slot))
                };
                run.await.map_err(named(abi::AWAIT_OUTPUT_SIZE))
            })
        },
    )?;
    linker.func_wrap(
        env,
        abi::TAKE_OUTPUT,
        |mut caller: Caller<'_, Host>, id: u32, ptr: u32, len: i32| {
            take_output(&mut caller, id, ptr, len).map_err(named(abi::TAKE_OUTPUT))
        },
    )?;
    Ok(())
}

fn read_input(caller: &Caller<'_, Host>, ptr: u32, len: i32) -> Result<i32> {
    let host = caller.data();
    let input = &host.call.input;
    let len = length(len, "the buffer's length")?;
    if len == 0 {
        return Ok(i32::try_from(input.len())?);
    }
    let n = input.len().min(len);
    let memory = memory(host)?;
    memory.check(ptr, len)?;
    memory.write(ptr, &input[..n])?;
    Ok(i32::try_from(n)?)
}

fn chain_this(
    caller: &mut Caller<'_, Host>,
    entry: Entry,
    ptr: u32,
    len: i32,
    home: Option<RankId>,
) -> Result<u32> {
    let input = payload(caller, ptr, len, "the input")?;
    let function = &caller.data().function;
    function.export(entry)?;
    let id = function.id;
    chain(caller, id, entry, input, home)
}

async fn chain_function(
    caller: &mut Caller<'_, Host>,
    name: u32,
    ptr: u32,
    len: i32,
) -> Result<u32> {
    let input = payload(caller, ptr, len, "the input")?;
    let Some(name) = memory(caller.data())?.read_c_string(name, limits::NAME_BYTES)? else {
        bail!("a function's name has at most {} bytes", limits::NAME_BYTES);
    };
    let host = caller.data();
    let (user, name) = (host.function.user.to_string(), String::from_utf8_lossy(&name).into());
    let function = host.rank.obtain(Which::Named(user, name)).await?;
    chain(caller, function, Entry::Index(0), input, None)
}

fn chain(
    caller: &mut Caller<'_, Host>,
    function: u32,
    entry: Entry,
    input: Vec<u8>,
    home: Option<RankId>,
) -> Result<u32> {
    let host = caller.data_mut();
    may_chain(host)?;
    let slot = host.rank.submit((function, entry), input, None, home);
    let Some(slot) = slot else { bail!(too_many_calls()) };
    Ok(host.call.children.add(slot))
}

fn may_chain(host: &Host) -> Result<()> {
    if host.call.slot.is_none() {
        bail!("constructors and the proto-function cannot chain calls");
    }
    Ok(())
}

fn too_many_calls() -> String {
    format!("{} calls exist already; await some before chaining more", limits::CALLS)
}

/// The rank where a part of the state is at home; `None` where there is one rank only.
async fn home_of(caller: &mut Caller<'_, Host>, key: &[u8], offset: i64) -> Result<Option<RankId>> {
    let host = caller.data();
    if host.rank.remote.is_some()
        && let Some(home) = host.function.state.known_home(key, offset)?
    {
        return Ok(home);
    }
    let (rank, state) = (host.rank.clone(), host.function.state.clone());
    state.check_place(key, offset)?;
    if rank.remote.is_none() {
        return Ok(None);
    }
    let home = state.home_rank(key, offset.cast_unsigned()).await?;
    // Its length is known now.
    state.check_place(key, offset)?;
    Ok(home)
}

/// The indices of a parallel loop: from `lo` to below `hi`, at least `grain` a call.
struct Range {
    lo: i64,
    hi: i64,
    grain: i64,
}

impl Range {
    /// Splits into so many parts, at most, of nearly the same size.
    fn split(&self, most: usize) -> Result<impl Iterator<Item = (i64, i64)> + use<>> {
        let Self { lo, hi, grain } = *self;
        let len = i128::from(hi) - i128::from(lo);
        if len < 0 || grain < 1 {
            bail!(
                "the range {lo}..{hi} with grain {grain} is none; it wants lo <= hi and grain >= 1"
            );
        }
        let parts = (len / i128::from(grain)).clamp(i128::from(len > 0), most.max(1) as i128);
        let at = move |part: i128| i64::try_from(i128::from(lo) + len * part / parts).unwrap_or(hi);
        Ok((0..parts).map(move |part| (at(part), at(part + 1))))
    }
}

fn chain_range(
    mut caller: Caller<'_, Host>,
    idx: i32,
    range: Range,
    ptr: u32,
    len: i32,
) -> Result<u32> {
    let bytes = payload(&caller, ptr, len, "the input")?;
    let host = caller.data_mut();
    let (function, entry) = (host.function.id, Entry::Index(idx));
    host.function.export(entry)?;
    may_chain(host)?;
    let rank = &host.rank;
    let mut slots = Vec::new();
    for range in range.split(rank.job_threads() * limits::LOOP_CALLS_PER_THREAD)? {
        let slot = rank.submit((function, entry), bytes.clone(), Some(range), None);
        let Some(slot) = slot else {
            slots
                .into_iter()
                .for_each(|slot| rank.with_free_slots(|f| rank.calls.release(f, slot)));
            bail!(too_many_calls());
        };
        slots.push(slot);
    }
    Ok(host.call.children.add_loop(slots))
}

fn get_range(caller: &Caller<'_, Host>, lo: u32, hi: u32) -> Result<i32> {
    let host = caller.data();
    let range = host.call.slot.and_then(|slot| host.rank.calls.range(slot));
    let (first, end) = range.unwrap_or((0, 0));
    let memory = memory(host)?;
    memory.check(hi, 8)?;
    memory.write(lo, &first.to_le_bytes())?;
    memory.write(hi, &end.to_le_bytes())?;
    Ok(i32::from(range.is_some()))
}

/// Suspends until the child has ended.
async fn await_child(caller: &mut Caller<'_, Host>, id: u32) -> Result<Slot> {
    let host = caller.data();
    let slot = host.call.children.running(id)?;
    let rank = &host.rank;
    if rank.calls.is_done(slot) {
        return Ok(slot);
    }
    let Some(me) = host.call.slot else { bail!("only calls can await") };
    let _blocked = rank.gate.block();
    rank.begin_await(me, host.title(), &[slot], Wanted::All);
    let done = |cx: &mut std::task::Context<'_>| match rank.calls.poll_done(slot, cx.waker()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    };
    poll_fn(done).await;
    rank.calls.end_awaits(me);
    Ok(slot)
}

/// Suspends until every call of a parallel loop has ended; the first result that is not 0.
async fn await_loop(caller: &mut Caller<'_, Host>, id: u32) -> Result<i32> {
    let slots = caller.data().call.children.all_running(id)?.to_vec();
    await_slots(caller, &slots, Wanted::All).await?;
    let host = caller.data_mut();
    let calls = &host.rank.calls;
    let code = slots.iter().map(|&slot| calls.code(slot)).find(|&code| code != 0).unwrap_or(0);
    host.call.children.close(id);
    host.rank.with_free_slots(|free| {
        slots.iter().for_each(|&slot| calls.release_done(free, slot));
    });
    Ok(code)
}

/// Suspends until one of the children has ended; its id, still to be awaited.
async fn await_any(caller: &mut Caller<'_, Host>, ids: u32, n: i32) -> Result<u32> {
    let host = caller.data();
    let n = length(n, "the number of ids")?;
    let Some(bytes) = n.checked_mul(4) else { bail!("{n} ids are too many") };
    let bytes = memory(host)?.read(ids, bytes)?;
    let ids = bytes.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id));
    let ids: Vec<u32> = ids.filter(|&id| id != 0).collect();
    if ids.is_empty() {
        bail!("none of the {n} ids is other than 0: there is no call to wait for");
    }
    let mut waited = Vec::with_capacity(ids.len());
    for &id in &ids {
        waited.push(host.call.children.all_running(id)?.to_vec());
    }
    loop {
        let calls = &caller.data().rank.calls;
        // One look at each call: what is not among the open ones here has been seen to have ended, and
        // what ends after this look is seen by `await_slots`.
        let mut open = Vec::new();
        for (slots, &id) in waited.iter().zip(&ids) {
            let before = open.len();
            open.extend(slots.iter().copied().filter(|&slot| !calls.is_done(slot)));
            if open.len() == before {
                return Ok(id);
            }
        }
        await_slots(caller, &open, Wanted::Any).await?;
    }
}

/// Suspends until all or any of the calls have ended.
async fn await_slots(caller: &mut Caller<'_, Host>, slots: &[Slot], wanted: Wanted) -> Result<()> {
    let host = caller.data();
    let rank = &host.rank;
    let mut done = slots.iter().map(|&slot| rank.calls.is_done(slot));
    if if wanted == Wanted::All { done.all(|d| d) } else { done.any(|d| d) } {
        return Ok(());
    }
    let Some(me) = host.call.slot else { bail!("only calls can await") };
    let _blocked = rank.gate.block();
    rank.begin_await(me, host.title(), slots, wanted);
    let mut next = 0;
    poll_fn(|cx| {
        let poll = |slot: &Slot| rank.calls.poll_done(*slot, cx.waker());
        let ended = match wanted {
            Wanted::Any => slots.iter().any(poll),
            Wanted::All => {
                next += slots[next..].iter().take_while(|slot| poll(slot)).count();
                next == slots.len()
            }
        };
        if ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    rank.calls.end_awaits(me);
    Ok(())
}

fn close_child(caller: &mut Caller<'_, Host>, id: u32, slot: Slot) -> i32 {
    let host = caller.data_mut();
    let code = host.rank.calls.code(slot);
    host.call.children.close(id);
    host.rank.with_free_slots(|free| host.rank.calls.release_done(free, slot));
    code
}

fn take_output(caller: &mut Caller<'_, Host>, id: u32, ptr: u32, len: i32) -> Result<i32> {
    let len = length(len, "the buffer's length")?;
    let memory = memory(caller.data())?.clone();
    memory.check(ptr, len)?;
    let slot = caller.data().call.children.output(id)?;
    let output = caller.data().rank.calls.take_output(slot);
    let n = output.len().min(len);
    memory.write(ptr, &output[..n])?;
    close_child(caller, id, slot);
    Ok(i32::try_from(n)?)
}
