"""python-kmeans' peer: Ray, with the points in its object store."""

import sys
import time

import clusters
import ray
from clusters import PARTS, STEPS


@ray.remote
def sums_of(points, centres, index):
    lo, hi = clusters.part(len(points), index)
    return clusters.sums_of(points[lo:hi], centres)


ray.init(
    num_cpus=int(sys.argv[3]),
    logging_level="error",
    include_dashboard=False,
    runtime_env={"env_vars": {"PYTHONPATH": sys.path[0]}},
)
points = clusters.read(sys.argv[1], int(sys.argv[2]))
centres, seconds = clusters.first_centres(points), []
shared = ray.put(points)
ray.get([sums_of.remote(shared, centres, i) for i in range(PARTS)])
for _ in range(STEPS):
    start = time.perf_counter()
    parts = ray.get([sums_of.remote(shared, centres, i) for i in range(PARTS)])
    centres = clusters.moved(centres, sum(parts))
    seconds.append(time.perf_counter() - start)
clusters.report(seconds, centres)
