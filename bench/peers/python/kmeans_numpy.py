"""kmeans-python's peer: kmeans_numpy.py N REPETITIONS WORKERS. numpy alone, in one process."""

import clusters

n, repetitions, _ = clusters.arguments()
rows = clusters.rows()
n = n or len(rows)
points = clusters.points_of(rows, 0, n)
clusters.run(
    lambda centres: clusters.sums_of(points, centres), clusters.first_centres(rows, n), n, repetitions
)
