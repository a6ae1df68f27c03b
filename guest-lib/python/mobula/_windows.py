"""Windows: numpy arrays on the shared bytes of a value, without a copy.

    value    |........[================]..........|      total bytes
                      offset           offset + nbytes
    array              shape x dtype

An array keeps nothing alive in the sandbox: its memory is part of the guest's address space until
`unmap` or the end of the call. After `unmap` that address range holds private zeros until another
window takes it. So an array that is used after `unmap` reads and writes bytes of this call alone or
of another window of the same user's, never anything outside the sandbox; what it shows is
undefined.
"""

import math

from mobula import _host, _state
from mobula._errors import Error

#: Windows that this call has opened, by the address of their first byte.
_opened = {}


class _Opened:
    """One window: the value's key and length, the window's place in it; and numpy's description."""

    __slots__ = ("key", "total", "offset", "nbytes", "address", "__array_interface__")


def window(key, shape, dtype, offset=0, total=None):
    """A numpy array on the shared bytes of a value: readable, writable, not copied.

    key      of the value; where nobody wrote it is zeros
    shape    an int or a tuple; one dimension may be -1: as many as the value has from offset on
    dtype    anything that numpy takes as one, without Python objects
    offset   of the first element, in bytes; need not be aligned
    total    length of the whole value in bytes; may be left out when the value is there, or when
             the window reaches its end

    The same range gives the same memory. Stores are seen by calls on this host at once, and by
    others after `push(array)`. Raises `Error` when the window does not lie within the value, and
    `ImportError` where there is no numpy.
    """
    import numpy

    dtype = numpy.dtype(dtype)
    if dtype.hasobject:
        raise Error(f"window {key!r}: {dtype} holds Python objects, which cannot be shared")
    if total is None:
        total = _state.state_size(key)
    shape = _whole_shape(key, shape, dtype.itemsize, total - offset)
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes == 0:
        return numpy.empty(shape, dtype)
    total = total or offset + nbytes
    opened = _Opened()
    opened.key, opened.total, opened.offset, opened.nbytes = key, total, offset, nbytes
    opened.__array_interface__ = {
        "version": 3,
        "shape": (nbytes,),
        "typestr": "|u1",
        "data": _map(_host.key_bytes(key), total, offset, nbytes),
    }
    array = numpy.asarray(opened)
    # From here on only the array keeps a buffer of this process alive; addresses need no keeping.
    del opened.__array_interface__
    opened.address = array.__array_interface__["data"][0]
    known = _opened.get(opened.address)
    if known is None or known.key != key or known.nbytes < nbytes:
        _opened[opened.address] = opened
    return array.view(dtype).reshape(shape)


def _whole_shape(key, shape, itemsize, available):
    """The shape as a tuple of known lengths."""
    try:
        shape = [int(shape)]
    except TypeError:
        shape = [int(length) for length in shape]
    if shape.count(-1) > 1 or min(shape, default=0) < -1:
        raise Error(f"window {key!r}: {tuple(shape)} is no shape")
    if -1 in shape:
        others = itemsize * math.prod(length for length in shape if length != -1)
        if others == 0 or available < 0 or available % others:
            raise Error(
                f"window {key!r}: {max(available, 0)} bytes are no whole number of {others}"
            )
        shape[shape.index(-1)] = available // others
    return tuple(shape)


def _map(name, total, offset, nbytes):
    """What numpy's interface takes as data: in the sandbox an address, else the value's buffer."""
    if not _host.in_sandbox():
        from mobula import _local

        return _local.host().map(name, total, offset, nbytes)
    address = _host.request("__faasm_read_state_offset_ptr", name, total, offset, nbytes)[0]
    return (address & 0xFFFFFFFF if address < 0 else address, False)


def opened(array):
    """The window that an array is, or is a part of. Raises `Error` when there is none."""
    root = array
    while isinstance(getattr(root, "base", None), type(root)):
        root = root.base
    interface = getattr(root, "__array_interface__", None)
    found = _opened.get(interface["data"][0]) if interface is not None else None
    if found is None:
        raise Error(f"this {type(array).__name__} is no window: a copy, or unmapped")
    return found


def flag(array):
    """Declares that the bytes of an array changed, so that pushes of its value send them.

    array    made by `window`, or a part of one (a slice; rows or columns of a matrix)

    Returns the key of the value. Raises `Error` when it is no window.
    """
    found = opened(array)
    name, begin = _host.key_bytes(found.key), found.offset - found.address
    for address, nbytes in _runs(array):
        _host.request("__faasm_flag_state_offset_dirty", name, found.total, begin + address, nbytes)
    return found.key


def _runs(array):
    """Address and length of the contiguous pieces that an array consists of."""
    if array.size == 0:
        return
    address = array.__array_interface__["data"][0]
    # Longest strides first: then the last dimensions are the contiguous ones.
    dimensions = sorted(
        ((abs(s), n, s) for s, n in zip(array.strides, array.shape) if n > 1), reverse=True
    )
    nbytes = array.itemsize
    address += sum(stride * (n - 1) for _, n, stride in dimensions if stride < 0)
    while dimensions and dimensions[-1][0] <= nbytes:
        step, n, _ = dimensions.pop()
        nbytes = step * (n - 1) + nbytes
    starts = [address]
    for step, n, _ in dimensions:
        starts = [start + step * i for start in starts for i in range(n)]
    for start in starts:
        yield start, nbytes


def unmap(array):
    """Gives the address space of a window back. The array, every part of it and every window of the
    same range are void from here on; see the head of this module for what they show.

    Raises `Error` when it is no window, or the proto-function opened it.
    """
    found = opened(array)
    if _host.in_sandbox():
        _host.request("__mobula_unmap", found.address)
    del _opened[found.address]
