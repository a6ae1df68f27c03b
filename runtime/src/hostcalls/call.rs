//! Input, output, identity and chaining.

use std::future::poll_fn;
use std::task::Poll;

use mobula_guest::abi;
use wasmtime::{Caller, Linker, Result, bail};

use super::{key, length, memory, named, payload};
use crate::call::Slot;
use crate::host::Host;
use crate::limits;

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
    linker.func_wrap(env, abi::GET_IDX, |caller: Caller<'_, Host>| caller.data().call.entry)?;
    linker.func_wrap(env, abi::GET_CONF_FLAG, |caller: Caller<'_, Host>, ptr: u32| {
        let flag = key(&caller, ptr).map_err(named(abi::GET_CONF_FLAG))?;
        let on = flag == b"ALWAYS_ON"
            || std::str::from_utf8(&flag).is_ok_and(|f| caller.data().rank.config.conf.contains(f));
        Ok(i32::from(on))
    })?;
    linker.func_wrap(
        env,
        abi::CHAIN_THIS,
        |caller: Caller<'_, Host>, index: i32, ptr: u32, len: i32| {
            chain_this(caller, index, ptr, len).map_err(named(abi::CHAIN_THIS))
        },
    )?;
    linker.func_wrap(
        env,
        abi::CHAIN_FUNCTION,
        |caller: Caller<'_, Host>, name: u32, ptr: u32, len: i32| {
            chain_function(caller, name, ptr, len).map_err(named(abi::CHAIN_FUNCTION))
        },
    )?;
    add_awaits(linker)
}

fn add_awaits(linker: &mut Linker<Host>) -> Result<()> {
    let env = abi::MODULE;
    linker.func_wrap_async(
        env,
        abi::AWAIT_CALL,
        |mut caller: Caller<'_, Host>, (id,): (u32,)| {
            Box::new(async move {
                let slot = await_child(&mut caller, id).await.map_err(named(abi::AWAIT_CALL))?;
                Ok(close_child(&mut caller, id, slot))
            })
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

fn chain_this(mut caller: Caller<'_, Host>, index: i32, ptr: u32, len: i32) -> Result<u32> {
    let input = payload(&caller, ptr, len, "the input")?;
    let function = &caller.data().function;
    function.entry(index)?;
    let id = function.id;
    chain(&mut caller, id, index, input)
}

fn chain_function(mut caller: Caller<'_, Host>, name: u32, ptr: u32, len: i32) -> Result<u32> {
    let input = payload(&caller, ptr, len, "the input")?;
    let Some(name) = memory(caller.data())?.read_c_string(name, limits::NAME_BYTES)? else {
        bail!("a function's name has at most {} bytes", limits::NAME_BYTES);
    };
    let host = caller.data();
    let function = host.rank.find_function(&host.function.user, &String::from_utf8_lossy(&name))?;
    chain(&mut caller, function, 0, input)
}

fn chain(caller: &mut Caller<'_, Host>, function: u32, entry: i32, input: Vec<u8>) -> Result<u32> {
    let host = caller.data_mut();
    if host.call.slot.is_none() {
        bail!("constructors and the proto-function cannot chain calls");
    }
    let Some(slot) = host.rank.submit(function, entry, input) else {
        bail!("{} calls exist already; await some before chaining more", limits::CALLS);
    };
    Ok(host.call.children.add(slot))
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
    rank.calls.set_awaits(me, Some(slot));
    rank.break_deadlock(me);
    let done = |cx: &mut std::task::Context<'_>| match rank.calls.poll_done(slot, cx.waker()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    };
    poll_fn(done).await;
    rank.calls.set_awaits(me, None);
    Ok(slot)
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
