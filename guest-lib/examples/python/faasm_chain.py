# Faasm's decorators, as its README has them: entries are numbers, inputs and outputs are bytes.
#
# run: mobula run faasm_chain.py
# expect: one got b'1234'
# expect: returned 0 and 7
# exit: 0
from pyfaasm.code import await_call, chain_this, faasm_func, faasm_main
from pyfaasm.core import get_input


@faasm_func(1)
def func_one():
    print("one got", get_input())


@faasm_func(2)
def func_two():
    return 7


@faasm_main
def main_func():
    call_one = chain_this(1, b"1234")
    call_two = chain_this(2)
    print("returned", await_call(call_one), "and", await_call(call_two))


if __name__ == "__main__":
    main_func()
