"""python-window: window.py MIB REPETITIONS. The sum of a window of doubles by numpy; GB/s."""

import sys
import time

import mobula
import numpy as np


@mobula.main
def main():
    count, repetitions = int(sys.argv[1]) << 17, int(sys.argv[2])
    array = mobula.window("numbers", count, np.float64)
    array[:] = 1
    for r in range(-2, repetitions):
        start = time.perf_counter()
        total = array.sum()
        took = time.perf_counter() - start
        assert total == count
        if r >= 0:
            print(f"sample sum GB/s {array.nbytes / took / 1e9:.6g}")
