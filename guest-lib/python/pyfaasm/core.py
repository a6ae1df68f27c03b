"""All functions of pyfaasm that Faasm's programs use. Values are bytes, sizes and offsets bytes.

What each does is the same as in `mobula`; here are Faasm's names and argument orders. A function
that a name chains gets the input as its argument if it takes one, else from `get_input`.
"""

import os

import mobula
from mobula import _entries, _host, _identity
from pyfaasm.code import await_call, chain_this, faasm_func, faasm_main  # noqa: F401 - theirs, too

#: Set under an ordinary Python (and in the sandbox by `set_local_chaining`): chained functions have
#: to be registered, and are in this process.
PYTHON_LOCAL_CHAINING = not _host.in_sandbox() or bool(os.environ.get("PYTHON_LOCAL_CHAINING"))
#: Set by `set_local_input_output`: output is kept for `get_output`.
PYTHON_LOCAL_OUTPUT = bool(os.environ.get("PYTHON_LOCAL_OUTPUT"))
PYTHON_LOCAL_INPUT_OUTPUT = PYTHON_LOCAL_OUTPUT
IS_NATIVE_PYTHON = PYTHON_LOCAL_CHAINING

_local_input = b""
_local_output = None

# ---------------------------------------------------------------- input, output, identity


def get_input():
    """The input of this call; `b""` when there is none."""
    return _local_input if PYTHON_LOCAL_INPUT_OUTPUT and _local_input else mobula.input()


def get_input_len():
    """Bytes of input."""
    return len(get_input())


def read_input(input_len):
    """At most `input_len` bytes of the input."""
    return get_input()[: int(input_len)]


def set_output(output):
    """Replaces the output that the caller gets; a str is written as UTF-8."""
    global _local_output
    data = output.encode() if isinstance(output, str) else output
    if PYTHON_LOCAL_OUTPUT:
        _local_output = data
    mobula.output(data)


def get_output():
    """What `set_output` was given last. Raises `RuntimeError` unless output is local."""
    if not PYTHON_LOCAL_OUTPUT:
        raise RuntimeError("get_output: output is not local; see set_local_input_output")
    return _local_output


def get_function_idx():
    """Index of the entry that runs; 0 is main."""
    return mobula.index()


def conf_flag(key):
    """Whether a flag is on for this run."""
    return mobula.conf(key)


# ---------------------------------------------------------------- chaining


def register_function(idx, func):
    """Makes a function the entry `idx`; again, if there is one."""
    _entries.current().register(idx, func, replace=True)


def clear_registered_functions():
    """Forgets all entries but main."""
    _entries.current().clear()


def chain_this_with_input(function, input_data):
    """Starts an entry of this file, or a function of any module, and returns its call's id."""
    return chain_this(function, input_data)


def chain(func, input_data=b""):
    """Starts a function of any module and returns its call's id."""
    return chain_this(func, input_data)


def chain_name(name, input_data=b""):
    """Starts another function of the same user and returns its call's id."""
    return mobula.chain(name, input_data).id


def await_call_output(call_id):
    """Waits for a call: `(return value, output)`."""
    call = mobula.Call(call_id, f"call {call_id}")
    return call.code, call.output


def get_call_status(call_id):
    """Waits for a call: "SUCCESS" or "FAILED"."""
    return "SUCCESS" if await_call(call_id) == 0 else "FAILED"


# ---------------------------------------------------------------- state


def get_state_size(key):
    """Length of a value; 0 when it is not known."""
    return mobula.state_size(key)


def get_state(key, state_len):
    """A copy of the whole value as `state_len` bytes; what is beyond it reads as zeros."""
    return mobula.get_state(key, length=int(state_len))


def get_state_offset(key, total_len, offset, offset_len):
    """A copy of `offset_len` bytes of a value of `total_len`, from `offset` on."""
    return mobula.get_state(key, int(offset_len), int(offset), int(total_len))


def set_state(key, value):
    """Replaces a value."""
    mobula.set_state(key, value)


def set_state_offset(key, total_len, offset, value):
    """Replaces the part of a value of `total_len` that starts at `offset`."""
    mobula.set_state(key, value, int(offset), int(total_len))


def push_state(key):
    """Sends home what is dirty."""
    mobula.push(key)


def push_state_partial(key):
    """Sends home dirty bytes only."""
    mobula.push(key, partial=True)


def push_state_partial_mask(key, mask_key):
    """Sends home the bytes whose mask bytes are set."""
    mobula.push(key, mask=mask_key)


def pull_state(key, state_len):
    """Makes later reads see what others have pushed."""
    mobula.pull(key, int(state_len))


def append_state(key, value):
    """Appends a record to an append-only value."""
    mobula.append_state(key, value)


def read_appended_state(key, length, n_elems):
    """The first `n_elems` records as at most `length` bytes."""
    return mobula.read_appended_state(key, int(n_elems), int(length))


def clear_appended_state(key):
    """Removes all records of an append-only value."""
    mobula.clear_appended_state(key)


def lock_state_read(key):
    """Takes the value's lock, shared with other readers."""
    _lock("lock_state_read", key)


def unlock_state_read(key):
    """Gives it back."""
    _lock("unlock_state_read", key)


def lock_state_write(key):
    """Takes the value's lock alone."""
    _lock("lock_state_write", key)


def unlock_state_write(key):
    """Gives it back."""
    _lock("unlock_state_write", key)


def lock_state_global(key):
    """Takes the value's lock of the whole job."""
    _lock("lock_state_global", key)


def unlock_state_global(key):
    """Gives it back."""
    _lock("unlock_state_global", key)


def _lock(function, key):
    _host.request(f"__faasm_{function}", _host.key_bytes(key))


# ---------------------------------------------------------------- Faasm's emulator


def set_local_chaining(value):
    """Chained functions run at once, in this call, from now on."""
    global PYTHON_LOCAL_CHAINING, IS_NATIVE_PYTHON
    PYTHON_LOCAL_CHAINING = IS_NATIVE_PYTHON = value


def set_local_input_output(value):
    """Input is what `set_input` gives and output is kept for `get_output` from now on."""
    global PYTHON_LOCAL_OUTPUT, PYTHON_LOCAL_INPUT_OUTPUT
    PYTHON_LOCAL_OUTPUT = PYTHON_LOCAL_INPUT_OUTPUT = value


def set_input(data):
    """Sets the input of this process. Raises `RuntimeError` unless input is local."""
    global _local_input
    if not PYTHON_LOCAL_INPUT_OUTPUT:
        raise RuntimeError("set_input: input is not local; see set_local_input_output")
    _local_input = data


def set_function_idx(idx):
    """Sets what `get_function_idx` says. Raises `RuntimeError` unless input is local."""
    if not PYTHON_LOCAL_INPUT_OUTPUT:
        raise RuntimeError("set_function_idx: input is not local; see set_local_input_output")
    _identity.running.index = idx


def check_python_bindings():
    """Prints that the way to the host works."""
    print(f"Function idx = {get_function_idx()}")


# ---------------------------------------------------------------- the same in camelCase

getInput = get_input
setOutput = set_output
getOutput = get_output
setInput = set_input
getFunctionIdx = get_function_idx
setFunctionIdx = set_function_idx
registerFunction = register_function
clearRegisteredFunctions = clear_registered_functions
chainThis = chain_this
chainThisWithInput = chain_this_with_input
awaitCall = await_call
awaitThis = await_call
getCallStatus = get_call_status
getState = get_state
getStateOffset = get_state_offset
getStateSize = get_state_size
setState = set_state
setStateOffset = set_state_offset
pushState = push_state
pushStatePartial = push_state_partial
pullState = pull_state
setLocalChaining = set_local_chaining
setLocalInputOutput = set_local_input_output
checkPythonBindings = check_python_bindings

# ---------------------------------------------------------------- the same under its last names

write_output = set_output
read_state = get_state
read_state_size = get_state_size
read_state_offset = get_state_offset
write_state = set_state
write_state_offset = set_state_offset
