"""jacobi-python's peer: jacobi_dask.py N REPETITIONS WORKERS. Dask, a process with one thread for each
worker and an actor in each that keeps its rows."""

import logging
import sys

import dask
import plate
from distributed import Client, LocalCluster

if __name__ == "__main__":
    n, repetitions, workers = plate.arguments()
    dask.config.set({"distributed.worker.profile.enabled": False})
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(sys.path.insert, 0, sys.path[0])
        homes = list(client.scheduler_info()["workers"])
        made = [
            client.submit(plate.Block, n, i, workers, actor=True, workers=[home])
            for i, home in enumerate(homes)
        ]
        blocks = [future.result() for future in made]
        edges = [(None, None)] * workers

        def step(_):
            global edges
            last = [None] + [below for _, below in edges[:-1]]
            first = [above for above, _ in edges[1:]] + [None]
            running = [b.step(above, below) for b, above, below in zip(blocks, last, first)]
            edges = [future.result() for future in running]

        def total(steps):
            return sum(future.result() for future in [block.sum_of(steps) for block in blocks])

        plate.run(step, total, repetitions)
