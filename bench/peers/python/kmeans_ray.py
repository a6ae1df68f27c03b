"""kmeans-python's peer: kmeans_ray.py N REPETITIONS WORKERS. Ray, an actor for each worker that keeps its
part: a view of the points in the object store."""

import sys

import clusters
import ray


@ray.remote
class Worker:
    def __init__(self, points, n, index, parts):
        lo, hi = clusters.part(n, index, parts)
        self.points = points[lo:hi]

    def sums_of(self, table):
        return clusters.sums_of(self.points, table)


n, repetitions, workers = clusters.arguments()
ray.init(
    num_cpus=workers,
    logging_level="error",
    include_dashboard=False,
    runtime_env={"env_vars": {"PYTHONPATH": sys.path[0]}},
)
rows = clusters.rows()
n = n or len(rows)
shared = ray.put(clusters.points_of(rows, n, *clusters.part(n, 0, 1)))
actors = [Worker.remote(shared, n, i, workers) for i in range(workers)]


def step(table):
    return sum(ray.get([actor.sums_of.remote(table) for actor in actors]))


clusters.run(step, clusters.first_centres(rows, n), n, repetitions)
