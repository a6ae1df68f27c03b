"""python-noop: noop.py CALLS REPETITIONS. A fan-out of empty calls, numpy imported in each; us a call."""

import sys
import time

import mobula
import numpy  # noqa: F401 - every call has it


@mobula.func(index=1)
def nothing():
    pass


@mobula.main
def main():
    calls, repetitions = int(sys.argv[1]), int(sys.argv[2])
    for r in range(-1, repetitions):
        start = time.perf_counter()
        for call in [mobula.chain_this(1) for _ in range(calls)]:
            call.wait()
        if r >= 0:
            print(f"sample call us {(time.perf_counter() - start) / calls * 1e6:.6g}")
