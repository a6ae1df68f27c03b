"""numpy's files in the sandbox, where descriptors cannot be duplicated and files cannot be mapped.

    np.fromfile, array.tofile     through the file object or the path, instead of its C stream
    np.memmap("r"), ("c")         the bytes are read in at once: a private copy
    np.memmap("r+"), ("w+")       refused: stores would have to reach the file

numpy calls these functions in C, or through `mmap`. Both are replaced as soon as numpy has been loaded,
by whomever. Nothing of this happens under an ordinary Python.
"""

import os
import sys

_REMEDY = (
    "files cannot be mapped for writing in the sandbox: np.memmap with mode 'r' or 'c' reads them in,"
    " array.tofile and np.save write them, and mobula.window is memory that calls share"
)

#: Bytes that are read at once, and are there twice.
_PIECE = 1 << 20


def prepare():
    """Makes numpy load with files that work."""
    sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds numpy as always, once, and has it changed when it is loaded."""

    def find_spec(self, name, path=None, target=None):
        if name != "numpy":
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader:
    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        install(module)


def install(numpy):
    """Replaces what numpy has. Where it is built in another way than known here, it stays as it is."""
    import gc
    import mmap

    mmap.mmap = ReadIn
    numpy.fromfile = fromfile
    # A built-in type takes no attributes; its dictionary does.
    for names in gc.get_referents(numpy.ndarray.__dict__):
        if type(names) is dict and "tofile" in names:
            names["tofile"] = tofile
    sys._clear_internal_caches()


class ReadIn:
    """Stands for `mmap.mmap`: part of a file, as it was when this was made."""

    def __init__(self, fileno, length, access=None, offset=0, **_flags):
        import mmap

        if access not in (mmap.ACCESS_READ, mmap.ACCESS_COPY):
            raise OSError(_REMEDY)
        length = length or os.fstat(fileno).st_size - offset
        data, filled = bytearray(length), 0
        while filled < length:
            piece = os.pread(fileno, min(length - filled, _PIECE), offset + filled)
            if not piece:
                raise ValueError("mmap length is greater than file size")
            data[filled : filled + len(piece)] = piece
            filled += len(piece)
        view = memoryview(data)
        self._view = view.toreadonly() if access == mmap.ACCESS_READ else view

    def __buffer__(self, _flags):
        return self._view

    def __len__(self):
        return len(self._view)

    def __getitem__(self, at):
        found = self._view[at]
        return bytes(found) if isinstance(at, slice) else found

    def flush(self, *_range):
        """Nothing: a copy has no file to go to."""

    def close(self):
        """Nothing: the memory is given back with the last array on it."""


def fromfile(file, dtype=float, count=-1, sep="", offset=0, *, like=None):
    """`numpy.fromfile`: an array of what a file has from its position on."""
    import numpy

    dtype = numpy.dtype(dtype)
    if dtype.hasobject:
        raise ValueError("Cannot create an object array from a file")
    if sep and offset:
        raise TypeError("'offset' argument only permitted for binary files")
    with _opened(file, "rb") as file:
        if sep:
            return numpy.fromstring(file.read().decode(), dtype, count, sep=sep)
        if offset:
            file.seek(offset, os.SEEK_CUR)
        left = max(os.fstat(file.fileno()).st_size - file.tell(), 0)
        whole = left // max(dtype.itemsize, 1)
        array = numpy.empty(whole if count < 0 else min(count, whole), dtype)
        bytes_of, filled = _bytes(array), 0
        while filled < array.nbytes:
            read = file.readinto(bytes_of[filled:])
            if not read:
                raise OSError(f"the file ended {array.nbytes - filled} bytes too early")
            filled += read
        return array


def tofile(array, fid, sep="", format="%s"):
    """`numpy.ndarray.tofile`: the elements, row after row, as bytes or with `sep` as text."""
    import numpy

    if array.dtype.hasobject and not sep:
        raise OSError("cannot write object arrays to a file in binary mode")
    with _opened(fid, "wb") as file:
        if sep:
            items = array.ravel().tolist()
            text = sep.join(format % (item,) if format else str(item) for item in items)
            file.write(text.encode())
        else:
            file.write(_bytes(numpy.ascontiguousarray(array)))


def _opened(file, mode):
    """A file object as it is, a path opened and closed again."""
    import contextlib

    return contextlib.nullcontext(file) if hasattr(file, "fileno") else open(file, mode)


def _bytes(array):
    """The bytes of an array that lies in one piece."""
    import numpy

    return memoryview(array.reshape(-1).view(numpy.uint8)) if array.nbytes else memoryview(b"")
