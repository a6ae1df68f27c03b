"""pagerank-python's peer: pagerank_numpy.py N REPETITIONS. numpy alone, in one thread."""

import links
import numpy as np

n, repetitions, *_ = links.arguments()
graph = links.read(n)
rows = links.Rows.of(graph, 0, graph.all)
gives = [rows.first(graph, 0, graph.all), np.zeros(graph.all)]


def step(number, base):
    return rows.advance(gives[number % 2], base, gives[(number + 1) % 2])


def total(steps):
    return rows.sums(gives[steps % 2], 0)


links.run(step, total, rows.lost(gives[0]), graph.all, repetitions)
