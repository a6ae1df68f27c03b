"""k-means as all engines of kmeans-python run it: the same lines of numpy on the same flights.

points   in blocks, 17 x BLOCK of float32 each, a column for each point: 1, the numbers of the flight that
         are no constants, and half the sum of their squares; columns behind the last point are zeros
centres  k x 15, float64

A step takes the points in parts, a part in blocks that fit into a cache. In a block all that is arithmetic is
two products of matrices in float32: halves of squared distances |x|^2 / 2 - x.c + |c|^2 / 2, and sums of
members. Between them is a pass for the least distance of each point and two for its members. Sums of blocks
are added up in float64.
"""

import os
import sys
import time

import numpy as np

ROW = np.dtype([("numbers", "<f4", 16), ("slots", "<u2", 31), ("late", "<u2")])
HEADER, CLUSTERS, COLUMNS = 64 * 1024, 8, 15
ROWS = COLUMNS + 2
#: Points of a block, an even number. Natively both operands of the products are in the second cache then.
BLOCK = 4096
#: The product of two matrices; whoever has a faster one than numpy's puts it here.
matmul = np.matmul

# Floats that are not negative are ordered as their bits are. So below 2.0, whose bits are _TWO,
#     _TWO + (bits of the least distance) + _DOUBT - (bits of a distance)
# has the bit of _TWO for the least distance, and those that exceed it by no more than _DOUBT, and for no
# others; with all other bits taken away it is 2.0 or 0.0. None of this borrows from a neighbour, so that two
# points are done at once, as one number of 64 bits. The scale, a power of two, brings distances below 2.0.
_TWO, _DOUBT = 1 << 30, 16
_TWOS = np.int64(_TWO << 32 | _TWO)
_LIMITS = np.int64((_TWO + _DOUBT) << 32 | _TWO + _DOUBT)
_SCALE = 2.0**-40


def arguments():
    """N (0: all that the file has), REPETITIONS, WORKERS."""
    return tuple(int(given) for given in sys.argv[1:4])


def rows():
    """The flights, as rows of the file in BENCH_DATA."""
    path = os.path.join(os.environ["BENCH_DATA"], "train.bin")
    return np.memmap(path, ROW, "r", offset=HEADER)


def blocks_of(n):
    """How many blocks the points fill."""
    return -(-n // BLOCK)


def part(n, index, parts):
    """First and last block, less one, of a part."""
    blocks = blocks_of(n)
    return blocks * index // parts, blocks * (index + 1) // parts


def fill(blocks, n, lo, rows, numbers_of):
    """Makes points of the flights, in blocks from block `lo` on; behind the last row the first one comes
    again. `numbers_of` gives the numbers of the rows from one to below another."""
    for block, at in zip(blocks, range(lo * BLOCK, n, BLOCK)):
        block[:] = 0
        end = min(at + BLOCK, n)
        columns = block.T
        while at < end:
            row = at % rows
            # Some at a time, so that what is made on the way is small.
            some = min(end - at, rows - row, 1024)
            numbers = numbers_of(row, row + some)[:, 1:]
            columns[:some, 0] = 1
            columns[:some, 1:-1] = numbers
            columns[:some, -1] = 0.5 * (numbers * numbers).sum(axis=1)
            columns, at = columns[some:], at + some


def points_of(rows, n, lo, hi):
    """The blocks from `lo` to below `hi`."""
    blocks = np.empty((hi - lo, ROWS, BLOCK), np.float32)
    fill(blocks, n, lo, len(rows), lambda first, last: rows["numbers"][first:last])
    return blocks


def first_centres(rows, n):
    """Points that are equally far from each other in the file."""
    step = min(n, len(rows)) // CLUSTERS
    return rows["numbers"][: step * CLUSTERS : step, 1:].astype(np.float64)


def table_of(centres):
    """What a step needs of the centres: times a block it is half the squares of distances, scaled."""
    squares = 0.5 * (centres * centres).sum(axis=1, keepdims=True)
    return _SCALE * np.hstack([squares, -centres, np.ones_like(squares)])


def sums_of(blocks, table):
    """k x 16: of each cluster the number of its points and their sum."""
    distances = np.empty((CLUSTERS, BLOCK), np.float32)
    least = np.empty(BLOCK, np.int32)
    sums = np.empty((len(blocks), CLUSTERS, ROWS), np.float32)
    bits, pairs, limits = distances.view(np.int32), distances.view(np.int64), least.view(np.int64)
    single = table.astype(np.float32)
    for block, found in zip(blocks, sums):
        matmul(single, block, out=distances)
        np.minimum.reduce(bits, axis=0, out=least)
        np.add(limits, _LIMITS, out=limits)
        np.subtract(limits, pairs, out=pairs)
        np.bitwise_and(pairs, _TWOS, out=pairs)
        matmul(distances, block.T, out=found)
        # The first row of a block counts its points. One that is in two clusters is between them.
        members = found[:, 0].sum()
        if members != 2 * BLOCK and members != 2 * block[0].sum():
            _decide(distances, block, table)
            matmul(distances, block.T, out=found)
    return 0.5 * sums[:, :, :-1].sum(axis=0, dtype=np.float64)


def _decide(members, block, table):
    """Finds the cluster of points that float32 leaves in several; in float64."""
    doubtful = np.flatnonzero(members.sum(axis=0) != 2)
    distances = table @ block[:, doubtful].astype(np.float64)
    members[:, doubtful] = 0
    members[distances.argmin(axis=0), doubtful] = 2


def moved(centres, sums):
    """The means; a cluster without points keeps its centre."""
    counts = sums[:, :1]
    return np.where(counts > 0, sums[:, 1:] / np.maximum(counts, 1), centres)


def run(step, first, n, repetitions, says=True):
    """One step to warm up, then all from the first centres again. `step` gives the sums of all points
    for a table."""
    step(table_of(first))
    centres = first
    for _ in range(repetitions):
        start = time.perf_counter()
        sums = step(table_of(centres))
        centres = moved(centres, sums)
        took = time.perf_counter() - start
        if says:
            print(f"sample iteration ms {1e3 * took:.6g}")
        if sums[:, 0].sum() != n:
            sys.exit("a step has lost points")
    if says:
        print(f"check {np.abs(centres).sum():.17g}")
