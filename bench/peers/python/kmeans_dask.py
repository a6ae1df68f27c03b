"""kmeans-python's peer: kmeans_dask.py N REPETITIONS WORKERS. Dask, a process with one thread for each
worker, the parts of the points scattered to them once."""

import logging
import sys

import clusters
import dask
from distributed import Client, LocalCluster

if __name__ == "__main__":
    n, repetitions, workers = clusters.arguments()
    rows = clusters.rows()
    n = n or len(rows)
    dask.config.set({"distributed.worker.profile.enabled": False})
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(sys.path.insert, 0, sys.path[0])
        homes = list(client.scheduler_info()["workers"])
        parts = []
        for i in range(workers):
            points = clusters.points_of(rows, *clusters.part(n, i, workers))
            parts.append(client.scatter(points, workers=[homes[i]], direct=True))

        def step(centres):
            # Each task runs where its part is.
            tasks = [
                client.submit(clusters.sums_of, part, centres, workers=[home], pure=False)
                for part, home in zip(parts, homes)
            ]
            return sum(client.gather(tasks, direct=False))

        clusters.run(step, clusters.first_centres(rows, n), n, repetitions)
