"""State of the local host: values in process memory and their locks. See `_local`.

A window is a view of a value's buffer, which a bytearray refuses to resize while there is one.
"""

import struct
import threading

from mobula._errors import Error
from mobula._host import Out

#: Letters of `struct` for the element types of merges, and where those of integers wrap.
_NUMBERS = ("i", "q", "f", "d")
_WRAP = {"i": 1 << 32, "q": 1 << 64}


class Value:
    """One value of state, its appended records and its locks."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.records = []
        self.readers = []
        self.writer = None
        self.global_holder = None


class LocalState:
    """The part of the local host that answers requests about state.

    Whoever has calls gives the current one by `_task()`.
    """

    #: Threads that run calls; with one, a call that waits for a lock waits for ever.
    _threads = 1

    def __init__(self):
        self._changed = threading.Condition()
        self._merging = threading.Lock()
        self._values = {}

    def map(self, key, total, offset, length):
        """The buffer of a part of a value, for a window."""
        value = self._part("window", key, total, offset, length)
        return memoryview(value.data)[offset : offset + length]

    # ------------------------------------------------------------ state

    def faasm_read_state(self, out, key, target, length):
        value = self._values.get(argument_key(key))
        if value is None:
            return 0
        return fill(out, target, value.data, length) if length else len(value.data)

    def faasm_write_state(self, _out, key, data, length):
        data, name = argument_data(data, length), argument_key(key)
        value = self._values.setdefault(name, Value(b""))
        if len(value.data) == length:
            value.data[:] = data
            return
        try:
            value.data[:] = data
        except BufferError:
            raise Error(
                f"write_state {name!r}: has {len(value.data)} bytes and a window, not {length}"
            ) from None

    def faasm_read_state_offset(self, out, key, total, offset, target, length):
        value = self._part("read_state_offset", key, total, offset, length)
        fill(out, target, memoryview(value.data)[offset:], length)

    def faasm_write_state_offset(self, _out, key, total, offset, data, length):
        value = self._part("write_state_offset", key, total, offset, length)
        value.data[offset : offset + length] = argument_data(data, length)

    def faasm_flag_state_dirty(self, _out, key, total):
        self._part("flag_state_dirty", key, total, 0, total)

    def faasm_flag_state_offset_dirty(self, _out, key, total, offset, length):
        self._part("flag_state_offset_dirty", key, total, offset, length)

    def faasm_push_state(self, _out, key):
        argument_key(key)

    faasm_push_state_partial = faasm_push_state

    def faasm_push_state_partial_mask(self, _out, key, mask):
        value, mask_value = (self._values.get(argument_key(k)) for k in (key, mask))
        sizes = [len(v.data) if v else 0 for v in (value, mask_value)]
        if sizes[0] != sizes[1]:
            raise Error(
                f"push_state_partial_mask {argument_key(key)!r}: {sizes[0]} bytes,"
                f" the mask {argument_key(mask)!r} has {sizes[1]}"
            )
        if mask_value:
            mask_value.data[:] = bytes(sizes[1])

    def mobula_push_merge(self, _out, key, type, operation):
        argument_key(key)
        _check_merge("push_merge", type, operation)

    def mobula_merge_state(self, _out, key, total, offset, data, length, type, operation):
        _check_merge("merge_state", type, operation)
        letter = _NUMBERS[type]
        size = struct.calcsize(f"={letter}")
        if length % size or offset % size:
            raise Error(
                f"merge_state {argument_key(key)!r}: {length} bytes at {offset}, elements of {size}"
            )
        value = self._part("merge_state", key, total, offset, length)
        count = length // size
        with self._merging:
            new = struct.unpack(f"<{count}{letter}", argument_data(data, length))
            old = struct.unpack_from(f"<{count}{letter}", value.data, offset)
            merged = [_merge(a, b, letter, operation) for a, b in zip(old, new)]
            struct.pack_into(f"<{count}{letter}", value.data, offset, *merged)

    def mobula_state_create(self, _out, key, length):
        self._part("state_create", key, length, 0, length)

    def mobula_state_delete(self, _out, key):
        value = self._values.get(argument_key(key))
        if value is None:
            return
        try:
            value.data.clear()
        except BufferError:
            raise Error(f"state_delete {argument_key(key)!r}: a window is open on it") from None
        del self._values[argument_key(key)]

    def faasm_pull_state(self, _out, key, length):
        self._part("pull_state", key, length, 0, length)

    def faasm_append_state(self, _out, key, data, length):
        with self._changed:
            self._values.setdefault(argument_key(key), Value(b"")).records.append(
                argument_data(data, length)
            )

    def faasm_read_appended_state(self, out, key, target, length, count):
        value = self._values.get(argument_key(key))
        records = value.records if value else []
        if count > len(records):
            raise Error(
                f"read_appended_state {argument_key(key)!r}: {count} of {len(records)} records"
            )
        fill(out, target, b"".join(records[:count]), length)

    def faasm_clear_appended_state(self, _out, key):
        value = self._values.get(argument_key(key))
        if value:
            value.records.clear()

    def _part(self, what, key, total, offset, length):
        """The value, made if it is not there, whose bytes offset..offset + length are asked for."""
        name = argument_key(key)
        if total < 0 or offset < 0 or length < 0 or offset + length > total:
            raise Error(f"{what} {name!r}: {length} bytes at {offset} of {total}")
        with self._changed:
            value = self._values.get(name)
            if value is None:
                value = self._values[name] = Value(bytes(total))
            if not value.data and not value.records:
                value.data.extend(bytes(total))
        if len(value.data) != total:
            raise Error(f"{what} {name!r}: has {len(value.data)} bytes, not {total}")
        return value

    # ------------------------------------------------------------ locks

    def faasm_lock_state_read(self, _out, key):
        self._lock("read", key, lambda v: v.writer, lambda v, task: v.readers.append(task))

    def faasm_lock_state_write(self, _out, key):
        def take(value, task):
            value.writer = task

        self._lock("write", key, lambda v: v.writer or next(iter(v.readers), None), take)

    def faasm_lock_state_global(self, _out, key):
        def take(value, task):
            value.global_holder = task

        self._lock("global", key, lambda v: v.global_holder, take)

    def faasm_unlock_state_read(self, _out, key):
        self._unlock("read", key)

    def faasm_unlock_state_write(self, _out, key):
        self._unlock("write", key)

    def faasm_unlock_state_global(self, _out, key):
        self._unlock("global", key)

    def _lock(self, kind, key, holder, take):
        task, name = self._task(), argument_key(key)
        if task.is_proto:
            raise Error(f"lock_state_{kind} {name!r}: a proto-function cannot lock")
        with self._changed:
            value = self._values.setdefault(name, Value(b""))
            while holder(value) is not None:
                self._refuse_endless_wait(kind, name, task, holder(value))
                self._changed.wait()
            take(value, task)
            task.locks.append((kind, value))

    def _refuse_endless_wait(self, kind, name, task, holder):
        """Raises when the holder waits for this call, or this thread is the only one."""
        if holder is task:
            raise Error(f"lock_state_{kind} {name!r}: this call holds it")
        if holder in task.ancestors() and (holder.awaits is not None or self._threads == 1):
            raise Error(f"lock_state_{kind} {name!r}: held by a call that waits for this one")

    def _unlock(self, kind, key):
        task, value = self._task(), self._values.get(argument_key(key))
        with self._changed:
            if (kind, value) not in task.locks:
                raise Error(
                    f"unlock_state_{kind} {argument_key(key)!r}: this call does not hold it"
                )
            task.locks.remove((kind, value))
            _free(kind, value, task)
            self._changed.notify_all()

    def _release_locks(self, task):
        with self._changed:
            for kind, value in task.locks:
                _free(kind, value, task)
            task.locks.clear()
            self._changed.notify_all()


def _free(kind, value, task):
    if kind == "read":
        value.readers.remove(task)
    elif kind == "write":
        value.writer = None
    else:
        value.global_holder = None


def argument_key(pointer):
    return bytes(pointer[:256]).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def argument_data(pointer, length):
    return bytes(pointer[:length]) if length else b""


def fill(out, target, data, length):
    """Copies at most `length` bytes to an output pointer; how many."""
    count = min(len(data), length)
    if count <= 0:
        return 0
    if not isinstance(target, Out):
        raise Error(f"a null pointer for {count} bytes of output")
    if target.offset + count > len(out):
        raise Error(f"output of {len(out)} bytes: {count} at {target.offset} do not fit")
    out[target.offset : target.offset + count] = data[:count]
    return count


def _check_merge(what, type, operation):
    if not 0 <= type < len(_NUMBERS) or not 0 <= operation <= 2:
        raise Error(f"{what}: type {type}, operation {operation}")


def _merge(old, new, letter, operation):
    if operation == 1:
        return min(old, new)
    if operation == 2:
        return max(old, new)
    modulus = _WRAP.get(letter)
    if modulus is None:
        return old + new
    return (old + new + modulus // 2) % modulus - modulus // 2
