"""kmeans-python's peer: kmeans_mpi4py.py N REPETITIONS WORKERS. A rank for each worker, started by mpirun;
sums are added up in place, without pickling."""

import clusters
from mpi4py import MPI

world = MPI.COMM_WORLD
n, repetitions, _ = clusters.arguments()
rows = clusters.rows()
n = n or len(rows)
points = clusters.points_of(rows, n, *clusters.part(n, world.rank, world.size))


def step(table):
    sums = clusters.sums_of(points, table)
    world.Allreduce(MPI.IN_PLACE, sums, op=MPI.SUM)
    return sums


world.Barrier()
clusters.run(step, clusters.first_centres(rows, n), n, repetitions, world.rank == 0)
