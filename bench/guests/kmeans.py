"""python-kmeans: kmeans.py FILE POINTS. k-means on flights, four chained calls a step; ms a step."""

import sys
import time

import clusters
import mobula
import numpy as np
from clusters import CLUSTERS, PARTS, STEPS


@mobula.func(index=1)
def assign():
    index = int.from_bytes(mobula.input(), "little")
    points = mobula.window("points", (-1, 15), np.float32)
    centres = mobula.window("centres", (CLUSTERS, 15), np.float64)
    lo, hi = clusters.part(len(points), index)
    mobula.output(clusters.sums_of(points[lo:hi], centres).tobytes())


@mobula.main
def main():
    given = clusters.read(sys.argv[1], int(sys.argv[2]))
    mobula.create_state("points", given.nbytes)
    mobula.window("points", (-1, 15), np.float32)[:] = given
    centres = mobula.window("centres", (CLUSTERS, 15), np.float64)
    centres[:] = clusters.first_centres(given)
    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        calls = [mobula.chain_this(1, i.to_bytes(4, "little")) for i in range(PARTS)]
        parts = [np.frombuffer(call.wait()).reshape(CLUSTERS, 16) for call in calls]
        centres[:] = clusters.moved(centres, sum(parts))
        seconds.append(time.perf_counter() - start)
    clusters.report(seconds, centres)
