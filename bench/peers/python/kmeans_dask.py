"""kmeans-python's peer: kmeans_dask.py N REPETITIONS WORKERS. Dask, a process with one thread for each
worker, the parts of the points scattered to them once."""

import clusters
import local_dask

if __name__ == "__main__":
    n, repetitions, workers = clusters.arguments()
    rows = clusters.rows()
    n = n or len(rows)
    with local_dask.cluster(workers) as (client, homes):
        parts = []
        for i in range(workers):
            points = clusters.points_of(rows, n, *clusters.part(n, i, workers))
            parts.append(client.scatter(points, workers=[homes[i]], direct=True))

        def step(table):
            # Each task runs where its part is.
            tasks = [
                client.submit(clusters.sums_of, part, table, workers=[home], pure=False)
                for part, home in zip(parts, homes)
            ]
            return sum(client.gather(tasks, direct=False))

        clusters.run(step, clusters.first_centres(rows, n), n, repetitions)
