"""kmeans-python's peer: kmeans_numpy.py N REPETITIONS WORKERS. numpy alone, in one process."""

import clusters

n, repetitions, _ = clusters.arguments()
rows = clusters.rows()
n = n or len(rows)
points = clusters.points_of(rows, n, *clusters.part(n, 0, 1))
clusters.run(
    lambda table: clusters.sums_of(points, table), clusters.first_centres(rows, n), n, repetitions
)
