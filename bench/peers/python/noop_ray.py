"""python-noop's peer: empty tasks of Ray, as many workers as CPUs; us a task."""

import sys
import time

import ray


@ray.remote
def nothing():
    import numpy  # noqa: F401 - every task has it


calls, repetitions = int(sys.argv[1]), int(sys.argv[2])
ray.init(num_cpus=int(sys.argv[3]), logging_level="error", include_dashboard=False)
for r in range(-1, repetitions):
    start = time.perf_counter()
    ray.get([nothing.remote() for _ in range(calls)])
    if r >= 0:
        print(f"sample call us {(time.perf_counter() - start) / calls * 1e6:.6g}")
