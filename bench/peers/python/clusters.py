"""k-means as all engines of kmeans-python run it: the same lines of numpy on the same flights.

points   n x 15, float32: the numbers of the flights that are no constants
centres  k x 15, float64

Distances are computed in float32, sums in float64: with those of a native BLAS in float32 the centres differ
in the fifth digit after 20 steps.

A step takes the points in parts, a part in blocks that fit into a cache.
"""

import os
import sys
import time

import numpy as np

ROW = np.dtype([("numbers", "<f4", 16), ("slots", "<u2", 31), ("late", "<u2")])
HEADER, CLUSTERS, COLUMNS, BLOCK = 64 * 1024, 8, 15, 8192
_KS = np.arange(CLUSTERS, dtype=np.uint8)[:, None]
#: The product of two matrices; whoever has a faster one than numpy's puts it here.
matmul = np.matmul


def arguments():
    """N (0: all that the file has), REPETITIONS, WORKERS."""
    return tuple(int(given) for given in sys.argv[1:4])


def rows():
    """The flights, as rows of the file in BENCH_DATA."""
    path = os.path.join(os.environ["BENCH_DATA"], "train.bin")
    return np.memmap(path, ROW, "r", offset=HEADER)


def points_of(rows, lo, hi):
    """The points from `lo` to below `hi`; behind the last row the first one comes again."""
    where = np.arange(lo, hi) % len(rows)
    return np.ascontiguousarray(rows["numbers"][where, 1:])


def first_centres(rows, n):
    """Points that are equally far from each other in the file."""
    step = min(n, len(rows)) // CLUSTERS
    return rows["numbers"][: step * CLUSTERS : step, 1:].astype(np.float64)


def part(n, index, parts):
    """First and last index, less one, of a part: whole blocks, so that sums do not depend on the parts."""
    blocks = -(-n // BLOCK)
    return min(n, blocks * index // parts * BLOCK), min(n, blocks * (index + 1) // parts * BLOCK)


def sums_of(points, centres):
    """k x 16: of each cluster the sum of its points and, in the last column, their number."""
    found = np.zeros((CLUSTERS, COLUMNS + 1))
    half = (0.5 * (centres * centres).sum(axis=1)).astype(np.float32)[:, None]
    centres = centres.astype(np.float32)
    for at in range(0, len(points), BLOCK):
        some = points[at : at + BLOCK]
        members = (_nearest(half - matmul(centres, some.T)) == _KS).astype(np.float64)
        found[:, :-1] += matmul(members, some.astype(np.float64))
        found[:, -1] += members.sum(axis=1)
    return found


def _nearest(scores):
    """The row with the least number, for each column. numpy's argmin takes a column at a time."""
    least, nearest = scores[0].copy(), np.zeros(scores.shape[1], np.uint8)
    for k in range(1, CLUSTERS):
        closer = scores[k] < least
        np.minimum(least, scores[k], out=least)
        np.maximum(nearest, closer.view(np.uint8) * np.uint8(k), out=nearest)
    return nearest


def moved(centres, sums):
    """The means; a cluster without points keeps its centre."""
    counts = sums[:, -1:]
    return np.where(counts > 0, sums[:, :-1] / np.maximum(counts, 1), centres)


def run(step, first, n, repetitions, says=True):
    """One step to warm up, then all from the first centres again. `step` gives the sums of all points."""
    step(first)
    centres = first
    for _ in range(repetitions):
        start = time.perf_counter()
        sums = step(centres)
        centres = moved(centres, sums)
        took = time.perf_counter() - start
        if says:
            print(f"sample iteration ms {1e3 * took:.6g}")
        if sums[:, -1].sum() != n:
            sys.exit("a step has lost points")
    if says:
        print(f"check {np.abs(centres).sum():.17g}")
