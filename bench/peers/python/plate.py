"""Heat on a square plate as all engines of jacobi-python run it: the same lines of numpy.

n x n float64 with a border of zeros; a Jacobi step takes the mean of each point's four neighbours. It starts
from a mode of the plate, which every step makes smaller by the same factor:

    u[i, j] = sin(pi i h) sin(pi j h) cos(pi h)^steps       h = 1 / (n - 1)

so that every point's value is known at the end.
"""

import math
import sys
import time

import numpy as np


def arguments():
    """N, REPETITIONS, WORKERS."""
    return tuple(int(given) for given in sys.argv[1:4])


def part(n, index, parts):
    """First and last row, less one, of a part of the rows inside the border."""
    return 1 + (n - 2) * index // parts, 1 + (n - 2) * (index + 1) // parts


def start(n, lo, hi):
    """Rows from `lo` to below `hi` at the start."""
    wave = np.sin(np.pi * np.arange(n) / (n - 1))
    wave[[0, -1]] = 0
    return np.outer(wave[lo:hi], wave)


def relax(before, after):
    """One step: `after` gets the rows of `before` but its first and its last, some at a time, so that they
    are still in a cache when the next neighbour is added."""
    rows = max(1, 2**17 // before[0].nbytes)
    for lo in range(0, len(after), rows):
        hi = min(lo + rows, len(after))
        inside = after[lo:hi, 1:-1]
        np.add(before[lo:hi, 1:-1], before[lo + 2 : hi + 2, 1:-1], out=inside)
        inside += before[lo + 1 : hi + 1, :-2]
        inside += before[lo + 1 : hi + 1, 2:]
        inside *= 0.25


def sum_of(rows, n, lo, steps):
    """The sum of rows from `lo` on, after as many steps; ends the program when one is not as it has to be."""
    expected = start(n, lo, lo + len(rows)) * math.cos(math.pi / (n - 1)) ** steps
    if not np.allclose(rows, expected, rtol=0, atol=1e-12):
        sys.exit("the plate is not as it has to be")
    return float(rows.sum())


def run(step, total, repetitions, says=True):
    """One step to warm up, then the others; `total` gives the sum of the plate after so many steps."""
    step(0)
    for r in range(1, repetitions + 1):
        began = time.perf_counter()
        step(r)
        took = time.perf_counter() - began
        if says:
            print(f"sample iteration ms {1e3 * took:.6g}")
    check = total(repetitions + 1)
    if says:
        print(f"check {check:.17g}")


class Block:
    """The rows of one worker, twice, each with a row of the neighbours' or the border on both sides."""

    def __init__(self, n, index, parts):
        self.n = n
        self.lo, hi = part(n, index, parts)
        self.now = start(n, self.lo - 1, hi + 1)
        self.then = np.zeros_like(self.now)

    def step(self, above, below):
        """A step with the neighbours' rows (None: the border, or they are there already); gives its own
        first and last."""
        if above is not None:
            self.now[0] = above
        if below is not None:
            self.now[-1] = below
        relax(self.now, self.then[1:-1])
        self.now, self.then = self.then, self.now
        return self.now[1], self.now[-2]

    def sum_of(self, steps):
        return sum_of(self.now[1:-1], self.n, self.lo, steps)
