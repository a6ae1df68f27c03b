"""Locks of values, as context managers."""

from mobula import _host


class lock:
    """The lock of a value, held in a `with` block.

        with mobula.lock("total"):                  # writers exclude all others
        with mobula.lock("total", write=False):     # readers share
        with mobula.lock("total", global_=True):    # one holder in the whole job

    Without `global_` it is the lock of this host's copy. Locks order calls, they do not move data:
    between hosts, pull after locking and push before the block ends. A call that ends, however it
    ends, gives its locks back. Do not await in the block a call that needs the lock: it fails.

    Raises `Error` in a proto-function, and where waiting could never end.
    """

    def __init__(self, key, write=True, global_=False):
        self._key = _host.key_bytes(key)
        self._kind = "global" if global_ else "write" if write else "read"

    def __enter__(self):
        _host.request(f"__faasm_lock_state_{self._kind}", self._key)
        return self

    def __exit__(self, *_failure):
        _host.request(f"__faasm_unlock_state_{self._kind}", self._key)
