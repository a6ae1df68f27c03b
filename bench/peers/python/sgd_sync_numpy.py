"""sgd-sync's reference: sgd_sync_numpy.py N REPETITIONS WORKERS. The same steps in float64, by numpy alone.

Nothing of it is shared with the others (bench/guests/sgd_sync.h): it says what their check has to be.
"""

import os
import sys
import time

import numpy as np

ROW = np.dtype([("numbers", "<f4", 16), ("slots", "<u2", 31), ("late", "<u2")])
HEADER, CHUNK, STEPS, RATE, RIDGE = 64 * 1024, 512, 8, 0.1, 1e-5

n, repetitions = int(sys.argv[1]), int(sys.argv[2])
with open(os.path.join(os.environ["BENCH_DATA"], "train.bin"), "rb") as file:
    data = file.read()
features = int.from_bytes(data[12:16], "little")
rows = np.frombuffer(data, ROW, offset=HEADER)
in_file = len(rows) // CHUNK
chunks = max(STEPS, n // CHUNK if n else in_file)
numbers = rows["numbers"].astype(np.float64)
slots, late = (rows["slots"] // 4).astype(np.int64), rows["late"].astype(np.float64)


def batch(step, by=STEPS):
    """The rows of every `by`-th chunk: numbers, slots, late."""
    first = np.arange(step, chunks, by) % in_file * CHUNK
    some = (first[:, None] + np.arange(CHUNK)).ravel()
    return numbers[some], slots[some], late[some]


def margins(numbers, slots, weights):
    return numbers @ weights[:16] + weights.take(slots).sum(axis=1)


def epoch(weights, batches):
    for numbers, slots, late in batches:
        error = 1 / (1 + np.exp(-margins(numbers, slots, weights))) - late
        gradient = np.bincount(slots.ravel(), np.repeat(error, slots.shape[1]), features)
        gradient[:16] += error @ numbers
        weights = weights - RATE * (gradient / len(late) + RIDGE * weights)
    return weights


batches = [batch(step) for step in range(STEPS)]
epoch(np.zeros(features), batches)
weights = np.zeros(features)
for _ in range(repetitions):
    start = time.perf_counter()
    weights = epoch(weights, batches)
    print(f"sample iteration ms {1e3 * (time.perf_counter() - start):.6g}")
numbers, slots, late = batch(0, 1)
signed = np.where(late > 0, 1, -1) * margins(numbers, slots, weights)
print(f"check {np.logaddexp(0, -signed).mean() + RIDGE / 2 * weights @ weights:.17g}")
