"""python-noop: live.py COUNT. So many calls, each with numpy, wait for a lock; main says when they do."""

import sys
import time

import mobula
import numpy as np


def waiting():
    return mobula.window("waiting", 1, np.int32)


@mobula.func(index=1)
def wait_for_lock():
    mobula.merge_state("waiting", np.ones(1, np.int32), "sum")
    with mobula.lock("gate", write=False):
        pass


@mobula.main
def main():
    count = int(sys.argv[1])
    suspended = waiting()
    with mobula.lock("gate"):
        print("before", flush=True)
        time.sleep(0.3)
        calls = [mobula.chain_this(1) for _ in range(count)]
        while suspended[0] < count:
            time.sleep(0.01)
        time.sleep(0.1)
        print("suspended", count, flush=True)
        time.sleep(0.5)
    for call in calls:
        call.wait()
