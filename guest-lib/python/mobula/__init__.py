"""Functions for Mobula in Python: entries, chained calls, state shared without copying.

    import mobula

    @mobula.func
    def square(x):
        return x * x

    @mobula.main
    def main():
        calls = [square.chain(n) for n in range(4)]
        print([call.wait() for call in calls])

    if __name__ == "__main__":      # under an ordinary Python only
        mobula.run()

`mobula run app.py` runs the file in the sandbox: it is loaded once, and every call starts from the
memory that loading (and `@mobula.proto`) left. `python3 app.py` runs the same file natively: calls
are threads, state is process memory, nothing is isolated.

All sizes and offsets are bytes; values, inputs and outputs are bytes. What the host refuses is
raised as `Error`; a chained call that failed is raised by `Call.wait` as `CallError`.
"""

from mobula import blas
from mobula._calls import (
    Call,
    Function,
    await_any,
    chain,
    chain_at,
    chain_range,
    chain_this,
    get_range,
    parallel_for,
)
from mobula._entries import func, main, proto, run
from mobula._errors import CallError, Error
from mobula._identity import conf, index, input, output
from mobula._locks import lock
from mobula._state import (
    append_state,
    clear_appended_state,
    create_state,
    delete_state,
    get_state,
    merge_state,
    pull,
    push,
    read_appended_state,
    set_state,
    state_size,
)
from mobula._windows import flag, unmap, window

__all__ = [
    "Call",
    "CallError",
    "Error",
    "Function",
    "append_state",
    "await_any",
    "blas",
    "chain",
    "chain_at",
    "chain_range",
    "chain_this",
    "clear_appended_state",
    "conf",
    "create_state",
    "delete_state",
    "flag",
    "func",
    "get_range",
    "get_state",
    "index",
    "input",
    "lock",
    "main",
    "merge_state",
    "output",
    "parallel_for",
    "proto",
    "pull",
    "push",
    "read_appended_state",
    "run",
    "set_state",
    "state_size",
    "unmap",
    "window",
]
