"""pagerank-python's peer: pagerank_ray.py N REPETITIONS WORKERS. Ray, an actor for each worker that keeps its
rows; parts of the vector are objects that all actors map, the driver only names them."""

import sys

import links
import numpy as np
import ray


@ray.remote
class Part:
    def __init__(self, n, index, parts):
        self.graph = links.read(n)
        self.lo, self.hi = self.graph.part(index, parts)
        self.rows = links.Rows.of(self.graph, self.lo, self.hi)

    def first(self):
        gives = self.rows.first(self.graph, self.lo, self.hi)
        return gives, self.rows.lost(gives)

    def step(self, base, *parts):
        after = np.empty(self.hi - self.lo)
        return after, self.rows.advance(np.concatenate(parts), base, after)

    def sums(self, gives):
        return self.rows.sums(gives, self.lo)


n, repetitions, workers = links.arguments()
ray.init(
    num_cpus=workers,
    logging_level="error",
    include_dashboard=False,
    runtime_env={"env_vars": {"PYTHONPATH": sys.path[0]}},
)
everything = links.read(n).all
actors = [Part.remote(n, i, workers) for i in range(workers)]


def taken(pairs):
    """Keeps the parts and adds up what is lost."""
    global parts
    parts = [gives for gives, _ in pairs]
    return sum(ray.get([lost for _, lost in pairs]))


def step(_, base):
    return taken([actor.step.options(num_returns=2).remote(base, *parts) for actor in actors])


def total(_):
    return sum(ray.get([actor.sums.remote(gives) for actor, gives in zip(actors, parts)]))


lost = taken([actor.first.options(num_returns=2).remote() for actor in actors])
links.run(step, total, lost, everything, repetitions)
