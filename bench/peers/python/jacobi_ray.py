"""jacobi-python's peer: jacobi_ray.py N REPETITIONS WORKERS. Ray, an actor for each worker that keeps its
rows; edges go from actor to actor as objects, the driver only names them."""

import sys

import plate
import ray

n, repetitions, workers = plate.arguments()
ray.init(
    num_cpus=workers,
    logging_level="error",
    include_dashboard=False,
    runtime_env={"env_vars": {"PYTHONPATH": sys.path[0]}},
)
Block = ray.remote(plate.Block)
blocks = [Block.remote(n, i, workers) for i in range(workers)]
edges = [(None, None)] * workers


def step(_):
    global edges
    last = [None] + [below for _, below in edges[:-1]]
    first = [above for above, _ in edges[1:]] + [None]
    edges = [
        block.step.options(num_returns=2).remote(above, below)
        for block, above, below in zip(blocks, last, first)
    ]
    everything = [edge for pair in edges for edge in pair]
    ray.wait(everything, num_returns=len(everything), fetch_local=False)


def total(steps):
    return sum(ray.get([block.sum_of.remote(steps) for block in blocks]))


plate.run(step, total, repetitions)
