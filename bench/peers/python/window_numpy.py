"""python-window's peer: the sum of an array by numpy; GB/s."""

import sys
import time

import numpy as np

count, repetitions = int(sys.argv[1]) << 17, int(sys.argv[2])
array = np.ones(count)
for r in range(-2, repetitions):
    start = time.perf_counter()
    total = array.sum()
    took = time.perf_counter() - start
    assert total == count
    if r >= 0:
        print(f"sample sum GB/s {array.nbytes / took / 1e9:.6g}")
