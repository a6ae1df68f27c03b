"""kmeans-python's peer: kmeans_joblib.py N REPETITIONS WORKERS. joblib with its own processes, which stay
and map the points."""

import os
import tempfile

import clusters
import numpy as np
from joblib import Parallel, delayed


def sums_of(points, table, n, index, parts):
    lo, hi = clusters.part(n, index, parts)
    return clusters.sums_of(points[lo:hi], table)


n, repetitions, workers = clusters.arguments()
rows = clusters.rows()
n = n or len(rows)
with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as shared:
    np.save(f"{shared}/points.npy", clusters.points_of(rows, n, *clusters.part(n, 0, 1)))
    # A mapped array is handed to the processes by its name.
    points = np.load(f"{shared}/points.npy", mmap_mode="r")
    with Parallel(n_jobs=workers) as run:

        def step(table):
            return sum(run(delayed(sums_of)(points, table, n, i, workers) for i in range(workers)))

        clusters.run(step, clusters.first_centres(rows, n), n, repetitions)
