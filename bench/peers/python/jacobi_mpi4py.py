"""jacobi-python's peer: jacobi_mpi4py.py N REPETITIONS WORKERS. A rank for each worker, started by mpirun;
edges are sent as they lie in memory."""

import plate
from mpi4py import MPI

world = MPI.COMM_WORLD
n, repetitions, _ = plate.arguments()
block = plate.Block(n, world.rank, world.size)
above = world.rank - 1 if world.rank > 0 else MPI.PROC_NULL
below = world.rank + 1 if world.rank + 1 < world.size else MPI.PROC_NULL


def step(_):
    rows = block.now
    world.Sendrecv(rows[1], above, recvbuf=rows[-1], source=below)
    world.Sendrecv(rows[-2], below, recvbuf=rows[0], source=above)
    block.step(None, None)
    # A step has ended when it has for all, as with the others.
    world.Barrier()


def total(steps):
    return world.allreduce(block.sum_of(steps))


world.Barrier()
plate.run(step, total, repetitions, world.rank == 0)
