"""The runtime's side of the door, over `mobula._local`: decodes requests, keeps no memory apart.

As a program it runs a function's file as the runtime does, in this Python:

    python3 tests/fake_host.py app.py

The library finds a module `_host` and takes itself to be in the sandbox; the runtime's first code
(`_mobula_boot.py`) loads the file and runs its calls. Calls run where they are chained, in one
memory.
"""

import ctypes
import os
import pathlib
import struct
import sys
import types

PYTHON = pathlib.Path(__file__).resolve().parent.parent


class Door:
    """Answers packed requests from a `LocalHost`, as `_host.call` does."""

    def __init__(self, host):
        self.host = host
        #: Return code of the call that ended last.
        self.code = None
        #: Names of the requests so far.
        self.asked = []

    def call(self, request):
        name, arguments, out = decode(request)
        self.asked.append(name)
        try:
            result, output = self.answer(name, arguments, out)
        except Exception as failure:
            return b"\1" + str(failure).encode()
        return struct.pack("<Bq", 0, result) + output

    def answer(self, name, arguments, out):
        if name == "exit":
            (self.code,) = arguments
            return 0, b""
        if name == "__faasm_read_state_offset_ptr":
            return self.address_of(*arguments), b""
        if name == "__mobula_unmap":
            return 0, b""
        if name in ("__mobula_blas_dgemm", "__mobula_blas_sgemm"):
            return self.gemm(ctypes.c_double if "dgemm" in name else ctypes.c_float, *arguments)
        return self.host.request(name, arguments, out)

    def gemm(self, real, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
        """As the host's, element by element, at addresses of this process."""

        def at(address, row, column, ld):
            return real.from_address(address + ctypes.sizeof(real) * (row * ld + column))

        for i in range(m):
            for j in range(n):
                total = 0.0
                for l in range(k):
                    left = at(a, l, i, lda) if ta else at(a, i, l, lda)
                    right = at(b, j, l, ldb) if tb else at(b, l, j, ldb)
                    total += left.value * right.value
                element = at(c, i, j, ldc)
                element.value = alpha * total + (beta * element.value if beta else 0.0)
        return 0, b""

    def address_of(self, key, total, offset, length):
        """Address of a window; the buffer must not be resized while it is used."""
        view = self.host.map(key, total, offset, length)
        return ctypes.addressof(ctypes.c_char.from_buffer(view))


def decode(request):
    """Name, arguments (int, float, bytes from a pointer on, `Out`) and size of output of a request."""
    from mobula._host import Out

    length = request[0]
    name, at = request[1 : 1 + length].decode("ascii"), 1 + length
    out, count = struct.unpack_from("<IB", request, at)
    at += 5
    blob = at + 9 * count
    arguments = []
    for i in range(count):
        kind, value = struct.unpack_from("<Bq", request, at + 9 * i)
        if kind == 1 and not 0 <= value < len(request) - blob or kind == 2 and not 0 <= value < out:
            raise AssertionError(f"{name}: argument {i} points outside")
        if kind == 3:
            arguments.append(struct.unpack_from("<Bd", request, at + 9 * i)[1])
            continue
        arguments.append({0: value, 1: request[blob + value :], 2: Out(value)}[kind])
    return name, arguments, out


def sources():
    """What the runtime hands to the boot code: module names and texts."""
    found = {}
    for package in ("mobula", "pyfaasm"):
        for path in (PYTHON / package).glob("*.py"):
            name = package if path.stem == "__init__" else f"{package}.{path.stem}"
            found[name] = path.read_text(encoding="utf-8")
    return found


class Guest:
    """One function in this interpreter. There can be one in a process."""

    def __init__(self, name, source, paths=(), argv=(), environment=None):
        fake = sys.modules["_host"] = types.ModuleType("_host")
        self.namespace = {"__name__": "__main__"}
        boot = PYTHON / "_mobula_boot.py"
        exec(compile(boot.read_text(encoding="utf-8"), "boot", "exec"), self.namespace)
        # Before there is a host: preparing asks for nothing unless a proto-function does.
        fake.call = lambda request: self.door.call(request)
        self.door = None
        self._arguments = (sources(), name, source, list(paths), list(argv))
        self._environment = {**(environment or {}), "MOBULA_THREADS": "1"}

    def prepare(self):
        """Loads the file. Raises SystemExit when it cannot be."""
        sys.path.insert(0, str(PYTHON))
        from mobula import _entries, _local

        del sys.path[0]
        self.door = Door(_local.replace_host(_local.LocalHost(self._environment)))
        self.door.host._root.is_proto = True
        self.namespace["_mobula_boot_prepare"](*self._arguments)
        self.door.host._root.is_proto = False
        program = _entries.current()
        self._in_program = lambda: _entries.belongs_to(program)

    def run(self, index):
        """A call, as the local host runs one: the entry's return code."""
        self.door.code = None
        with self._in_program():
            self.namespace["_mobula_boot_call"](index)
        return self.door.code


def main():
    path = pathlib.Path(sys.argv[1])
    source = path.read_text(encoding="utf-8")
    guest = Guest(path.name, source, [str(path.parent)], sys.argv[2:], os.environ)
    guest.prepare()
    guest.door.host._root.program = guest
    code = guest.run(0)
    guest.door.host.finish()
    sys.exit(code & 0xFF)


if __name__ == "__main__":
    main()
