"""Values of state by copying: whole, in part, appended, merged; and moving them between hosts.

A value is a named array of bytes of the user's, shared by all calls. Its first use fixes its
length; only writing it whole changes that, while no window is open on it. What nobody wrote reads
as zeros.
"""

from mobula import _host
from mobula._errors import Error

_OPERATIONS = {"sum": 0, "min": 1, "max": 2}
#: Element types of merges, by numpy's names and `struct`'s letters.
_TYPES = {"int32": 0, "int64": 1, "float32": 2, "float64": 3, "i": 0, "q": 1, "f": 2, "d": 3}
_SIZES = (4, 8, 4, 8)


def state_size(key):
    """Length of a value in bytes; 0 when it is not known."""
    return _host.request("__faasm_read_state", _host.key_bytes(key), b"", 0)[0]


def get_state(key, length=None, offset=None, total=None):
    """A copy of a value, or of `length` bytes of it from `offset` on.

    Only the part asked for is fetched when `offset` is given. `total` is the length of the whole
    value; it may be left out when the value is there. What is beyond a value reads as zeros, except
    that a part has to lie within it: else `Error`.
    """
    name = _host.key_bytes(key)
    if offset is None:
        if length is None:
            length = total if total is not None else state_size(key)
        if length <= 0:
            return b""
        buffer = _host.buffer(length)
        got, data = _host.request("__faasm_read_state", name, buffer, length, out=length)
        return data[:got].ljust(length, b"\0")
    if total is None:
        total = state_size(key) or offset + (length or 0)
    if length is None:
        length = total - offset
    return _host.request(
        "__faasm_read_state_offset", name, total, offset, _host.buffer(length), length, out=length
    )[1]


def set_state(key, data, offset=None, total=None):
    """Replaces a value by bytes-like `data`, or with `offset` the part of it that starts there.

    `total` is the length of the whole value; it may be left out when the value is there. Raises
    `Error` when a part is not within the value, or a whole of another length is written while a
    window is open on it.
    """
    name, data = _host.key_bytes(key), _host.data_bytes(data, "a value")
    if offset is None:
        _host.request("__faasm_write_state", name, data, len(data))
        return
    if total is None:
        total = state_size(key) or offset + len(data)
    _host.request("__faasm_write_state_offset", name, total, offset, data, len(data))


def create_state(key, length):
    """Makes a value of `length` zeros; does nothing when it is there with that length."""
    _host.request("__mobula_state_create", _host.key_bytes(key), length)


def delete_state(key):
    """Removes a value. Raises `Error` while a call, this one included, has a window on it."""
    _host.request("__mobula_state_delete", _host.key_bytes(key))


def append_state(key, record):
    """Appends bytes-like `record` to an append-only value; atomic, from any call."""
    record = _host.data_bytes(record, "a record")
    _host.request("__faasm_append_state", _host.key_bytes(key), record, len(record))


def read_appended_state(key, count, size):
    """The first `count` records in the order of their arrival, as one `bytes` of at most `size`."""
    return _host.request(
        "__faasm_read_appended_state",
        _host.key_bytes(key),
        _host.buffer(size),
        size,
        count,
        out=size,
    )[1]


def clear_appended_state(key):
    """Removes all records of an append-only value."""
    _host.request("__faasm_clear_appended_state", _host.key_bytes(key))


def push(what, partial=False, mask=None, merge=None):
    """Sends home what changed in a value, and returns when home has it.

    what     a key, or an array made by `window` (or a part of one): its bytes are flagged first and
             only they are sent
    partial  send only bytes that were flagged, so that writers of one chunk do not overwrite each
             other
    mask     key of a value of the same length: send the bytes whose mask bytes are not zero; these
             are zero afterwards
    merge    `(type, operation)`, such as `("float64", "sum")`: combine with home's elements instead
             of overwriting them; operations are sum, min, max
    """
    from mobula import _windows

    if not isinstance(what, (str, bytes)):
        what, partial = _windows.flag(what), True
    name = _host.key_bytes(what)
    if mask is not None:
        _host.request("__faasm_push_state_partial_mask", name, _host.key_bytes(mask))
    elif merge is not None:
        _host.request("__mobula_push_merge", name, _type(merge[0]), _operation(merge[1]))
    else:
        _host.request("__faasm_push_state_partial" if partial else "__faasm_push_state", name)


def pull(what, length=None):
    """Makes later reads, also those through open windows, see what others have pushed.

    what     a key, or an array made by `window`
    length   of the value, in bytes; may be left out when this host knows the value
    """
    from mobula import _windows

    if not isinstance(what, (str, bytes)):
        opened = _windows.opened(what)
        what, length = opened.key, opened.total
    if length is None:
        length = state_size(what)
    _host.request("__faasm_pull_state", _host.key_bytes(what), length)


def merge_state(key, data, operation="sum", offset=0, total=None, type=None, push=True):
    """Combines elements of a private array with those of a value, each atomically.

    data       a numpy array, or anything bytes-like together with `type`
    operation  sum (integers wrap), min or max
    offset     of the first element in the value, in bytes
    total      length of the whole value; may be left out when the value is there
    type       int32, int64, float32 or float64; of numpy arrays it is known
    push       combine this host's copy with home at once; else at a later `push(key, merge=...)`

    Reductions from any number of calls at once, without locks. Raises `Error` for another type, or
    when the elements do not lie within the value.
    """
    if type is None:
        dtype = getattr(data, "dtype", None)
        type = dtype.name if dtype is not None else memoryview(data).format
    element = _type(type)
    data = _host.data_bytes(data, "data")
    if len(data) % _SIZES[element]:
        raise Error(f"merge_state {key!r}: {len(data)} bytes are no whole number of {type}")
    if total is None:
        total = state_size(key) or offset + len(data)
    name = _host.key_bytes(key)
    _host.request(
        "__mobula_merge_state",
        name,
        total,
        offset,
        data,
        len(data),
        element,
        _operation(operation),
    )
    if push:
        _host.request("__mobula_push_merge", name, element, _operation(operation))


def _type(name):
    name = getattr(name, "__name__", name)
    if str(name) not in _TYPES:
        raise Error(f"elements of type {name} cannot be merged; int32, int64, float32, float64 can")
    return _TYPES[str(name)]


def _operation(name):
    if name not in _OPERATIONS:
        raise Error(f"{name!r} is no operation of merges; sum, min and max are")
    return _OPERATIONS[name]
