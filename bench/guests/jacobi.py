"""jacobi-python: jacobi.py N REPETITIONS WORKERS. Heat on an n x n plate in numpy, on windows; an
iteration is a step. What it computes is bench/peers/python/plate.py's, as with the peers (--py-path).

even, odd   n x n, float64: the plate after even and odd numbers of steps

A call reads its rows and one of each neighbour's, and writes its rows, on the host where they are at home:
on several hosts the pull brings the chunks with the neighbours' edges, and nothing else travels.
"""

import mobula
import numpy as np
import plate


def key_of(step):
    return "odd" if step % 2 else "even"


def rows_of(step, n, lo, hi):
    """Rows of the plate, in a window."""
    return mobula.window(key_of(step), (hi - lo, n), np.float64, 8 * n * lo, 8 * n * n)


@mobula.func
def fill(n, lo, hi, _):
    rows = rows_of(0, n, lo, hi)
    rows[:] = plate.start(n, lo, hi)
    mobula.push(rows)


@mobula.func
def relax(n, lo, hi, step):
    mobula.pull(key_of(step), 8 * n * n)
    before, after = rows_of(step, n, lo - 1, hi + 1), rows_of(step + 1, n, lo, hi)
    plate.relax(before, after)
    mobula.push(after)


@mobula.func
def sum_of(n, lo, hi, steps):
    mobula.pull(key_of(steps), 8 * n * n)
    return plate.sum_of(rows_of(steps, n, lo, hi), n, lo, steps)


@mobula.main
def main():
    n, repetitions, workers = plate.arguments()
    for key in ("even", "odd"):
        mobula.create_state(key, 8 * n * n)
    parts = [plate.part(n, i, workers) for i in range(workers)]

    def all_parts(function, step):
        # Where the middle is at home: parts and homes differ at their ends.
        homes = [8 * n * ((lo + hi) // 2) for lo, hi in parts]
        calls = [
            function.chain_at("even", home, n, lo, hi, step) for home, (lo, hi) in zip(homes, parts)
        ]
        return [call.wait() for call in calls]

    all_parts(fill, 0)
    plate.run(
        lambda step: all_parts(relax, step), lambda steps: sum(all_parts(sum_of, steps)), repetitions
    )
