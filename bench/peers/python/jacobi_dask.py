"""jacobi-python's peer: jacobi_dask.py N REPETITIONS WORKERS. Dask, a process with one thread for each
worker and an actor in each that keeps its rows."""

import local_dask
import plate

if __name__ == "__main__":
    n, repetitions, workers = plate.arguments()
    with local_dask.cluster(workers) as (client, homes):
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
