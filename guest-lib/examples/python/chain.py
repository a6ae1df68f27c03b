# Chained functions: each call runs in a memory of its own, with arguments copied in and the result
# copied out. What a call raises is printed with its traceback, and raised where it is awaited.
#
# run: mobula run chain.py
# expect: squares 0 1 4 9 16 25 36 49 64 81
# expect: nested 3 -> 81
# expect: refused: ValueError: no root of -1
# exit: 0
import math

import mobula


@mobula.func
def square(x):
    return x * x


@mobula.func
def fourth_power(x):
    return square.chain(square.chain(x).wait()).wait()


@mobula.func
def root(x):
    if x < 0:
        raise ValueError(f"no root of {x}")
    return math.sqrt(x)


@mobula.main
def main():
    calls = [square.chain(x) for x in range(10)]
    print("squares", *(call.wait() for call in calls))
    print("nested 3 ->", fourth_power.chain(3).wait())
    try:
        root.chain(-1).wait()
    except mobula.CallError as error:
        print("refused:", str(error).partition(": ")[2])


if __name__ == "__main__":
    mobula.run()
