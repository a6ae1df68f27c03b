"""kmeans-python: kmeans.py N REPETITIONS WORKERS. k-means on N points of the flights (0: one for
each row); an iteration is one step.

train    state that is given: the rows
points   n x 15, float32; every part is made and read on the host where it is at home

A call gets the centres as arguments and gives sums: on several hosts nothing else travels. What it computes
is bench/peers/python/clusters.py's, as with the peers (--py-path).
"""

import clusters
import mobula
import numpy as np
from clusters import CLUSTERS, COLUMNS, HEADER, ROW

# One line for another product of matrices than numpy's own, which is OpenBLAS compiled to WebAssembly.
clusters.matmul = getattr(getattr(mobula, "blas", None), "matmul", np.matmul)


def flights(lo, hi, total):
    return mobula.window("train", hi - lo, ROW, HEADER + lo * ROW.itemsize, total)


def points_of(n, lo, hi):
    bytes_of_point = 4 * COLUMNS
    return mobula.window("points", (hi - lo, COLUMNS), np.float32, lo * bytes_of_point, n * bytes_of_point)


@mobula.func
def fill(n, lo, hi, total):
    points, rows = points_of(n, lo, hi), (total - HEADER) // ROW.itemsize
    at = lo
    while at < hi:
        row = at % rows
        some = min(hi - at, rows - row)
        points[at - lo : at - lo + some] = flights(row, row + some, total)["numbers"][:, 1:]
        at += some
    mobula.push(points)


@mobula.func
def assign(n, lo, hi, centres):
    return clusters.sums_of(points_of(n, lo, hi), centres)


@mobula.main
def main():
    n, repetitions, workers = clusters.arguments()
    total = mobula.state_size("train")
    rows = (total - HEADER) // ROW.itemsize
    n = n or rows
    mobula.create_state("points", 4 * COLUMNS * n)
    parts = [clusters.part(n, i, workers) for i in range(workers)]
    parts = [(lo, hi) for lo, hi in parts if lo < hi]

    def chain_all(function, argument):
        # Where the middle is at home: parts and homes differ at their ends.
        homes = [4 * COLUMNS * ((lo + hi) // 2) for lo, hi in parts]
        return [
            function.chain_at("points", home, n, lo, hi, argument)
            for home, (lo, hi) in zip(homes, parts)
        ]

    def step(centres):
        return sum(call.wait() for call in chain_all(assign, centres))

    for call in chain_all(fill, total):
        call.wait()
    first = np.empty((CLUSTERS, COLUMNS))
    for k in range(CLUSTERS):
        row = min(n, rows) // CLUSTERS * k
        first[k] = flights(row, row + 1, total)["numbers"][0, 1:]
    clusters.run(step, first, n, repetitions)
