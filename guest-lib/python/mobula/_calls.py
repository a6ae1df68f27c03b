"""Chaining: calls of other entries and functions, and waiting for them.

A call goes to an entry of this file or, by name, to another function of the same user. What the
library itself starts tells the callee by the number of the entry how its input is to be read:

    entry                       input
    0 .. OBJECTS - 1            bytes, as the caller gave them
    OBJECTS + i                 pickled arguments of the function that is entry i; so is its result
    NAMED                       u8 form, u16 length, "module:function", then bytes (form 0) or
                                pickled arguments (form 1): a function that is no entry

Pickled are `(args, kwargs)`, or for parts of a loop, which come before args, `(args, None)`.

So an input that came from outside is never unpickled, whatever it holds.
"""

import functools
import pickle
import struct

from mobula import _host
from mobula._errors import CallError, Error

OBJECTS = 1_000_000
NAMED = 2_000_000
FORM_BYTES, FORM_OBJECTS = 0, 1
#: What a call gives: its output, an object pickled into it, or (a loop) nothing.
BYTES, OBJECT, NOTHING = "bytes", "object", "nothing"
_NAMED_HEAD = struct.Struct("<BH")
_ID = struct.Struct("<I")
_RANGE = struct.Struct("<qq")
_PROTOCOL = 5


class Call:
    """A call that was started. `id` is the host's number for it.

    `wait` may be called again and then gives the same; only the call that chained it can wait for
    it. A call that nobody waits for still runs.
    """

    __slots__ = ("id", "_what", "_gives", "_code", "_output")

    def __init__(self, id, what, gives=BYTES):
        self.id = id
        self._what = what
        self._gives = gives
        self._code = None
        self._output = b""

    def __repr__(self):
        state = "not awaited" if self._code is None else f"returned {self._code}"
        return f"<Call {self.id} of {self._what}, {state}>"

    @property
    def code(self):
        """What the entry returned, waiting for it: 0 is success, below 0: it did not return."""
        if self._code is None:
            if self._gives == NOTHING:
                result = _host.request("__faasm_await_call", self.id)[0]
            else:
                result = self._await_output()
            self._code = _host.return_code(result)
        return self._code

    def _await_output(self):
        result, size = _host.request(
            "__mobula_await_output_size", self.id, _host.buffer(_ID.size), out=_ID.size
        )
        size = _ID.unpack(size)[0]
        # Also an empty one is taken: only then the host forgets the call.
        self._output = _host.request(
            "__mobula_take_output", self.id, _host.buffer(size), size, out=size
        )[1]
        return result

    @property
    def output(self):
        """The call's output as bytes, waiting for it; also of one that failed. Loops have none."""
        self.code  # noqa: B018 - waits
        return self._output

    def wait(self):
        """Waits; returns the function's result, or the output of a call by number or by name.

        Raises `CallError` when the call failed.
        """
        code = self.code
        if code != 0:
            reason = self._output.decode("utf-8", "replace") if self._gives == OBJECT else ""
            raise CallError(self._what, code, reason)
        if self._gives != OBJECT:
            return self._output
        return pickle.loads(self._output) if self._output else None


class Function:
    """A function that can be chained, made by `@mobula.func`. Called directly it just runs, here.

    `index` is the number of its entry.
    """

    def __init__(self, function, index):
        functools.update_wrapper(self, function)
        self.index = index

    def __call__(self, *args, **kwargs):
        return self.__wrapped__(*args, **kwargs)

    def __repr__(self):
        return f"<mobula function {self.__name__}, entry {self.index}>"

    def __reduce__(self):
        # By name, as functions are.
        return self.__qualname__

    def chain(self, *args, **kwargs):
        """Starts it in a memory of its own and returns the `Call`; waiting gives its result.

        Arguments and result are copied with `pickle`: hand over large data as windows.
        """
        return _chain_objects(self, args, kwargs)

    def chain_at(self, key, offset, *args, **kwargs):
        """As `chain`, placed on the host where that byte of the value is at home."""
        return _chain_objects(self, args, kwargs, _at(key, offset))


def chain(name, input=b""):
    """Starts another function of the same user, in whatever language, and returns the `Call`."""
    data = _host.data_bytes(input, "input")
    result = _host.request("__faasm_chain_function", _host.key_bytes(name), data, len(data))[0]
    return Call(_host.call_id(result), f"function {name}")


def chain_this(entry, input=b""):
    """Starts an entry of this file, given by its number or function, with bytes as input."""
    return _chain_bytes(entry, input, _this)


def chain_at(key, offset, entry, input=b""):
    """As `chain_this`, placed on the host where that byte of the value is at home."""
    return _chain_bytes(entry, input, _at(key, offset))


def chain_range(entry, lo, hi, grain=1, input=b""):
    """A parallel loop under one `Call`: starts the entry for sub-ranges that together cover lo..hi
    once, each of at least `grain` indices but the last, as many as the runtime sees fit.

    The entry takes its sub-range from `get_range`; all get the same input, none has an output.
    """
    return _chain_bytes(entry, input, _over(lo, hi, grain), NOTHING)


def get_range():
    """`(lo, hi)` of this call: indices from lo to below hi; None when it is no part of a loop."""
    found, ends = _host.request("__mobula_get_range", _host.Out(0), _host.Out(8), out=_RANGE.size)
    return _RANGE.unpack(ends) if found else None


def parallel_for(func, n, grain=1, *args):
    """Runs `func(lo, hi, *args)` in parallel, for sub-ranges that together cover 0..n once.

    func   made by `@mobula.func`, or any function of a module; its result is not kept
    n      number of indices, or a `(lo, hi)` to be covered
    grain  no sub-range but the last is shorter: make it some microseconds of work

    How many calls there are is the runtime's choice. Arguments are copied into each. Raises
    `CallError` when one failed.
    """
    lo, hi = (0, n) if not isinstance(n, tuple) else n
    _chain_objects(func, args, None, _over(lo, hi, grain), NOTHING).wait()


def await_any(calls):
    """Waits until one of these calls has ended and returns it; waiting for it is immediate then."""
    calls = list(calls)
    for call in calls:
        if call._code is not None:
            return call
    if not calls:
        raise Error("await_any: no calls")
    ids = b"".join(_ID.pack(call.id) for call in calls)
    ended = _host.call_id(_host.request("__mobula_await_any", ids, len(calls))[0])
    return next(call for call in calls if call.id == ended)


def pickled(value):
    """A result or arguments as bytes."""
    return pickle.dumps(value, _PROTOCOL)


def chain_function(function, input):
    """Starts any function of a module, entry or not, with bytes as input; returns the `Call`."""
    return _chain_bytes(function, input, _this)


def split_named(input):
    """`(form, module, function, rest)` of the input of the entry `NAMED`."""
    form, length = _NAMED_HEAD.unpack_from(input)
    end = _NAMED_HEAD.size + length
    module, _, name = input[_NAMED_HEAD.size : end].decode().partition(":")
    return form, module, name, input[end:]


def _chain_bytes(entry, input, start, gives=BYTES):
    data = _host.data_bytes(input, "input")
    index = _index_of(entry)
    if index is None:
        index, data = NAMED, _named(entry, FORM_BYTES, data)
    what = f"entry {entry}" if isinstance(entry, int) else entry.__name__
    return Call(_host.call_id(start(index, data)), what, gives)


def _chain_objects(function, args, kwargs, start=None, gives=OBJECT):
    index = _index_of(function)
    data = pickled((args, kwargs))
    if index is None:
        index, data = NAMED, _named(function, FORM_OBJECTS, data)
    else:
        index += OBJECTS
    result = (start or _this)(index, data)
    return Call(_host.call_id(result), function.__name__, gives)


def _index_of(entry):
    """The number of an entry given by number or function; None for a function that is no entry."""
    from mobula import _entries

    if isinstance(entry, int):
        return entry
    if not callable(entry):
        raise TypeError(f"an entry is an int or a function, not {type(entry).__name__}")
    return _entries.current().index_of(entry)


def _named(function, form, data):
    module, name = function.__module__, function.__qualname__
    if "<" in name:
        raise Error(f"chain: {name} cannot be found by name; use a function of a module")
    reference = f"{module}:{name}".encode()
    return _NAMED_HEAD.pack(form, len(reference)) + reference + data


def _this(index, data):
    return _host.request("__faasm_chain_this", index, data, len(data))[0]


def _at(key, offset):
    name = _host.key_bytes(key)
    return lambda index, data: _host.request(
        "__mobula_chain_at", name, offset, index, data, len(data)
    )[0]


def _over(lo, hi, grain):
    return lambda index, data: _host.request(
        "__mobula_chain_range", index, lo, hi, grain, data, len(data)
    )[0]
