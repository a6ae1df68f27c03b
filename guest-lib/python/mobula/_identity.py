"""Who runs, with what: input, output, index of the entry, flags of the run."""

import threading

from mobula import _host
from mobula._errors import Error


#: Inputs below this many bytes take one request; of longer ones the size is asked for first.
_SMALL = 1024


class _Running(threading.local):
    """What the library knows of the call of this thread beyond what the host knows."""

    #: Index that the program sees; None: ask the host.
    index = None
    #: Input that the program sees, when the host's holds more than that.
    input = None
    #: The call's output is the result of its function.
    returns_object = False


running = _Running()


def raw_input():
    """The call's input as the host has it."""
    got, data = _host.request("__faasm_read_input", _host.buffer(_SMALL), _SMALL, out=_SMALL)
    if got < _SMALL:
        return data[:got]
    size = _host.request("__faasm_read_input", b"", 0)[0]
    return _host.request("__faasm_read_input", _host.buffer(size), size, out=size)[1]


def input():
    """The input of this call; `b""` when there is none."""
    return raw_input() if running.input is None else running.input


def raw_output(data):
    """Replaces the call's output, whatever kind of call it is."""
    _host.request("__faasm_write_output", data, len(data))


def output(data):
    """Replaces the output that the caller gets, by anything bytes-like.

    Raises `Error` in a call started by `Function.chain`, whose output is its result.
    """
    if running.returns_object:
        raise Error("output: this call returns its result; it has no other output")
    raw_output(_host.data_bytes(data, "output"))


def index():
    """Index of the entry that runs; 0 is main."""
    if running.index is not None:
        return running.index
    return _host.request("__faasm_get_idx")[0]


def conf(key):
    """Whether a flag is on for this run (`mobula run --conf KEY=1`)."""
    return _host.request("__faasm_get_conf_flag", _host.key_bytes(key))[0] != 0
