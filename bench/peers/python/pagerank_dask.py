"""pagerank-python's peer: pagerank_dask.py N REPETITIONS WORKERS. Dask, a process with one thread for each
worker that keeps its rows; parts of the vector go from worker to worker, the client only names them."""

import links
import local_dask
import numpy as np


def make(n, index, parts):
    graph = links.read(n)
    lo, hi = graph.part(index, parts)
    return links.Rows.of(graph, lo, hi), graph, lo, hi


def first(made):
    rows, *where = made
    gives = rows.first(*where)
    return gives, rows.lost(gives)


def advance(made, base, *parts):
    rows, _, lo, hi = made
    after = np.empty(hi - lo)
    return after, rows.advance(np.concatenate([gives for gives, _ in parts]), base, after)


def lost_of(part):
    return part[1]


def sums(made, part):
    return made[0].sums(part[0], made[2])


if __name__ == "__main__":
    n, repetitions, workers = links.arguments()
    with local_dask.cluster(workers) as (client, homes):

        def on_all(function, *lists):
            """A task for each worker, with an element of each list; where its rows are."""
            return [
                client.submit(function, *given, workers=[home], pure=False)
                for home, *given in zip(homes, *lists)
            ]

        made = on_all(make, [n] * workers, range(workers), [workers] * workers)
        parts = on_all(first, made)

        def lost():
            return sum(client.gather(on_all(lost_of, parts)))

        def step(_, base):
            global parts
            parts = [
                client.submit(advance, rows, base, *parts, workers=[home], pure=False)
                for home, rows in zip(homes, made)
            ]
            return lost()

        def total(_):
            return sum(client.gather(on_all(sums, made, parts)))

        links.run(step, total, lost(), links.read(n).all, repetitions)
