"""The decorators of Faasm's README, and chaining by them.

@faasm_func(1)
def func_one(): ...

@faasm_main
def main_func():
    call = chain_this(1)
    await_call(call)
"""

import mobula
from mobula import _entries, _host

#: Id of calls that ran in this process; the host gives none the number 0.
_RAN_HERE = 0


def faasm_main(function=None):
    """Marks the entry of the file; `@faasm_main` or `@faasm_main()`."""
    return faasm_main if function is None else mobula.main(function)


def faasm_func(idx):
    """Makes a function the entry `idx`: `@faasm_func(1)`. It stays a plain function."""

    def mark(function):
        _entries.current().register(idx, function)
        return function

    return mark


def chain_this(function, input_data=b""):
    """Starts an entry of this file, given by number, or a function of any module; its call's id.

    With local chaining in the sandbox (`pyfaasm.core.set_local_chaining`) it runs at once, here.
    """
    from pyfaasm import core

    if core.PYTHON_LOCAL_CHAINING and _host.in_sandbox():
        _entries.current().call_here(function, input_data)
        return _RAN_HERE
    return mobula.chain_this(function, input_data).id


def await_call(call_id):
    """Waits for a call; what its entry returned, 0 for success."""
    if call_id == _RAN_HERE:
        return 0
    return _host.return_code(_host.request("__faasm_await_call", call_id)[0])
