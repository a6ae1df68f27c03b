"""kmeans-python: kmeans.py N REPETITIONS WORKERS. k-means on N points of the flights (0: one for
each row); an iteration is one step.

train    state that is given: the rows
points   blocks of points, float32; every part is made and read on the host where it is at home

A call gets the centres as arguments and gives sums: on several hosts nothing else travels. What it computes
is bench/peers/python/clusters.py's, as with the peers (--py-path).
"""

import clusters
import mobula
import numpy as np
from clusters import CLUSTERS, COLUMNS, HEADER, ROW, ROWS

# Another product of matrices than numpy's own, which is OpenBLAS compiled to WebAssembly; and larger blocks,
# because asking for one takes longer. Rows of 48 KiB would all lie in the same sets of a cache.
clusters.matmul = mobula.blas.matmul
clusters.BLOCK = 12304
BYTES = 4 * ROWS * clusters.BLOCK


def flights(lo, hi, total):
    return mobula.window("train", hi - lo, ROW, HEADER + lo * ROW.itemsize, total)["numbers"]


def blocks_of(n, lo, hi):
    shape = hi - lo, ROWS, clusters.BLOCK
    return mobula.window("points", shape, np.float32, lo * BYTES, clusters.blocks_of(n) * BYTES)


@mobula.func
def fill(n, lo, hi, total):
    blocks, rows = blocks_of(n, lo, hi), (total - HEADER) // ROW.itemsize
    clusters.fill(blocks, n, lo, rows, lambda first, last: flights(first, last, total))
    mobula.push(blocks)


@mobula.func
def assign(n, lo, hi, table):
    # Bytes are pickled as they are; pickling arrays costs more than their few numbers do.
    table = np.frombuffer(table).reshape(CLUSTERS, ROWS)
    return clusters.sums_of(blocks_of(n, lo, hi), table).tobytes()


@mobula.proto
def warm_up():
    """A step without points: what Python and numpy remember from it is there in every call."""
    table = clusters.table_of(np.zeros((CLUSTERS, COLUMNS)))
    clusters.sums_of(np.zeros((1, ROWS, clusters.BLOCK), np.float32), table)


@mobula.main
def main():
    n, repetitions, workers = clusters.arguments()
    total = mobula.state_size("train")
    rows = (total - HEADER) // ROW.itemsize
    n = n or rows
    mobula.create_state("points", clusters.blocks_of(n) * BYTES)
    parts = [clusters.part(n, i, workers) for i in range(workers)]
    parts = [(lo, hi) for lo, hi in parts if lo < hi]

    def chain_all(function, argument):
        # Where the middle is at home: parts and homes differ at their ends.
        homes = [BYTES * (lo + hi) // 2 for lo, hi in parts]
        return [
            function.chain_at("points", home, n, lo, hi, argument)
            for home, (lo, hi) in zip(homes, parts)
        ]

    def step(table):
        sums = [np.frombuffer(call.wait()) for call in chain_all(assign, table.tobytes())]
        return sum(sums).reshape(CLUSTERS, -1)

    for call in chain_all(fill, total):
        call.wait()
    first = np.empty((CLUSTERS, COLUMNS))
    for k in range(CLUSTERS):
        row = min(n, rows) // CLUSTERS * k
        first[k] = flights(row, row + 1, total)[0, 1:]
    clusters.run(step, first, n, repetitions)
