"""The one way to the host: `request(name, *arguments, out=bytes)`.

In the sandbox a request is packed for the builtin module `_host`; under an ordinary Python, where
there is none, `mobula._local` answers it from process memory. What is above need not know which.

    request   u8 length of name, name, u32 length of output, u8 number of arguments,
              that many (u8 kind, i64 value), blob
    reply     u8 0, i64 result, output                      or: u8 1, message

An argument of kind 0 is a number, of kind 1 an offset into the blob, of kind 2 one into the output, of
kind 3 the bits of a float.
Everything is little-endian. Names are those of `mobula_guest::abi`.
"""

import struct

from mobula._errors import Error

try:
    import _host as _door
except ImportError:
    _door = None

_ARGUMENT = struct.Struct("<Bq")
_FLOAT = struct.Struct("<Bd")
_RESULT = struct.Struct("<Bq")
_NUMBER, _IN_BLOB, _IN_OUTPUT, _REAL = 0, 1, 2, 3
#: Items of the blob start at multiples of this, so that the host reads numbers where they may lie.
_ALIGNMENT = 8
_PADDING = tuple(bytes(n) for n in range(_ALIGNMENT))


class Out:
    """A pointer to this offset of the output buffer."""

    __slots__ = ("offset",)

    def __init__(self, offset=0):
        self.offset = offset


_START_OF_OUTPUT = Out(0)


def buffer(size):
    """A pointer to an output buffer of this size; a null pointer for none."""
    return _START_OF_OUTPUT if size > 0 else b""


def in_sandbox():
    """Whether this is a guest of Mobula, not an ordinary Python."""
    return _door is not None


def key_bytes(key):
    """A key or name as the host takes it: UTF-8 with a NUL after it.

    Raises `Error` when it has not 1 to 255 bytes or holds a NUL.
    """
    if isinstance(key, str):
        encoded = key.encode()
    elif isinstance(key, (bytes, bytearray)):
        encoded = bytes(key)
    else:
        raise TypeError(f"a key is a str, not {type(key).__name__}")
    if not 1 <= len(encoded) <= 255 or b"\0" in encoded:
        raise Error(f"key {key!r} has {len(encoded)} bytes; 1 to 255 without NUL are allowed")
    return encoded + b"\0"


def data_bytes(data, what):
    """Anything bytes-like, numpy arrays included, as bytes in C order."""
    if isinstance(data, bytes):
        return data
    try:
        return memoryview(data).tobytes()
    except TypeError:
        raise TypeError(f"{what} is bytes-like, not {type(data).__name__}") from None


def pack(name, arguments, out):
    """A request as bytes. Arguments are int, float, bytes (empty: a null pointer) or `Out`."""
    encoded = name.encode("ascii")
    head = [
        bytes((len(encoded),)),
        encoded,
        out.to_bytes(4, "little"),
        bytes((len(arguments),)),
    ]
    blob, end = [], 0
    for argument in arguments:
        if isinstance(argument, bytes):
            if not argument:
                head.append(_ARGUMENT.pack(_NUMBER, 0))
                continue
            head.append(_ARGUMENT.pack(_IN_BLOB, end))
            padding = _PADDING[-len(argument) % _ALIGNMENT]
            blob += (argument, padding)
            end += len(argument) + len(padding)
        elif isinstance(argument, Out):
            head.append(_ARGUMENT.pack(_IN_OUTPUT, argument.offset))
        elif isinstance(argument, float):
            head.append(_FLOAT.pack(_REAL, argument))
        else:
            head.append(_ARGUMENT.pack(_NUMBER, argument))
    return b"".join(head + blob)


def unpack(reply):
    """`(result, output)` of a reply; raises `Error` with the host's message."""
    reply = bytes(reply)
    if not reply or reply[0] != 0:
        raise Error(reply[1:].decode("utf-8", "replace") or "the host gave no answer")
    return _RESULT.unpack_from(reply)[1], reply[_RESULT.size :]


def tell_exit(code):
    """Tells the runtime the return code of this call; the last thing that a call does."""
    # The answer is empty, and no reply.
    _door.call(pack("exit", (code,), 0))


def _request_of_door(name, *arguments, out=0):
    return unpack(_door.call(pack(name, arguments, out)))


def _request_of_process(name, *arguments, out=0):
    from mobula import _local

    return _local.host().request(name, arguments, out)


request = _request_of_door if in_sandbox() else _request_of_process


class Numbers:
    """A request of the sandbox whose arguments are numbers, for what is asked often: packed at once.

    name    of the host's function
    kinds   a letter for each argument: "q" an int, "d" a float

    Calling it with the arguments gives the result.
    """

    __slots__ = ("_pack", "_fields")

    def __init__(self, name, kinds):
        head = pack(name, (), 0)[:-1] + bytes((len(kinds),))
        self._pack = struct.Struct(f"<{len(head)}s" + "".join("B" + kind for kind in kinds)).pack
        self._fields = [head]
        for kind in kinds:
            self._fields += (_REAL if kind == "d" else _NUMBER, 0)

    def __call__(self, *arguments):
        fields = self._fields.copy()
        fields[2::2] = arguments
        return unpack(_door.call(self._pack(*fields)))[0]


def call_id(result):
    """The result of a request as the id of a call: 32 bits without sign."""
    return result & 0xFFFFFFFF


def return_code(result):
    """The result of a request as the return value of an entry: 32 bits with sign."""
    return ((result & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
