"""python-kmeans' peer: joblib with its own processes, which map the points."""

import os
import sys
import tempfile
import time

import clusters
import numpy as np
from clusters import PARTS, STEPS
from joblib import Parallel, delayed


def sums_of(points, centres, index):
    lo, hi = clusters.part(len(points), index)
    return clusters.sums_of(points[lo:hi], centres)


with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as shared:
    np.save(f"{shared}/points.npy", clusters.read(sys.argv[1], int(sys.argv[2])))
    points = np.load(f"{shared}/points.npy", mmap_mode="r")
    centres, seconds = clusters.first_centres(points), []
    with Parallel(n_jobs=int(sys.argv[3])) as run:
        run(delayed(sums_of)(points, centres, i) for i in range(PARTS))
        for _ in range(STEPS):
            start = time.perf_counter()
            parts = run(delayed(sums_of)(points, centres, i) for i in range(PARTS))
            centres = clusters.moved(centres, sum(parts))
            seconds.append(time.perf_counter() - start)
    clusters.report(seconds, centres)
