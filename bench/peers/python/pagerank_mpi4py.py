"""pagerank-python's peer: pagerank_mpi4py.py N REPETITIONS WORKERS. A rank for each worker, started by
mpirun; Allgatherv makes the vector whole after a step, without pickling."""

import links
import numpy as np
from mpi4py import MPI

world = MPI.COMM_WORLD
n, repetitions, _ = links.arguments()
graph = links.read(n)
parts = [graph.part(i, world.size) for i in range(world.size)]
(lo, hi), counts = parts[world.rank], [hi - lo for lo, hi in parts]
rows = links.Rows.of(graph, lo, hi)
gives, mine = np.empty(graph.all), rows.first(graph, lo, hi)


def exchange():
    world.Allgatherv(mine, (gives, counts))


def step(_, base):
    lost = rows.advance(gives, base, mine)
    exchange()
    return world.allreduce(lost)


def total(_):
    return world.allreduce(rows.sums(mine, lo))


exchange()
links.run(step, total, world.allreduce(rows.lost(mine)), graph.all, repetitions, world.rank == 0)
