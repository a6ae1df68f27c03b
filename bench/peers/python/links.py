"""PageRank as all engines of pagerank-python run it: the same lines of numpy on the same graph.

The graph is graph.bin, n times: the rule is in bench/peers/graph.h, the layout in bench/data/README.md.
What a vertex gives to each vertex that it leads to is what is stored: rank * share, where share is 1 / edges
out, or 1 where no edge leads out. Rows are taken in blocks, so that what is between two lines of numpy is in a cache.
"""

import os
import sys
import time

import numpy as np

DAMPING, WARM_UP, BLOCK = 0.85, 2, 8192
# Of a block: its rows, and its edges, each from .. to below.
TABLE = 4


def arguments():
    """N, REPETITIONS, WORKERS."""
    return tuple(int(given) for given in sys.argv[1:4])


class Graph:
    """The real graph, from its file's 32-bit numbers, as n copies."""

    def __init__(self, numbers, n):
        if numbers[:2].tobytes() != b"MOBGRAPH" or len(numbers) != 5 + 2 * int(numbers[2]) + int(numbers[3]):
            sys.exit("not a graph as mobula-graph writes it")
        self.n, self.vertices, edges = n, int(numbers[2]), int(numbers[3])
        self.all = self.vertices * n
        self.starts, self.sources, self.out = np.split(numbers[4:], np.cumsum([self.vertices + 1, edges]))

    def part(self, index, parts):
        """First and last vertex, less one: whole blocks, which are chunks of state."""
        blocks = -(-self.all // BLOCK)
        each = -(-blocks // parts) * BLOCK
        return min(self.all, each * index), min(self.all, each * (index + 1))

    def edges(self, lo, hi):
        """How many edges lead into each of these vertices, and where they come from, one after the other."""
        at = np.arange(lo, hi, dtype=np.intp)
        first, last = self.starts[at % self.vertices], self.starts[at % self.vertices + 1]
        lengths, first = (last - first).astype(np.intp), first.astype(np.intp)
        before = np.cumsum(lengths) - lengths
        edge = np.repeat(first - before, lengths) + np.arange(lengths.sum(), dtype=np.intp)
        copy = np.repeat(at // self.vertices, lengths) + shift(edge, self.n)
        return lengths, copy % self.n * self.vertices + self.sources[edge].astype(np.intp)


def read(n):
    return Graph(np.fromfile(os.path.join(os.environ["BENCH_DATA"], "graph.bin"), np.uint32), n)


def shift(edge, n):
    """How many copies on an edge leads."""
    bits = edge.astype(np.uint32) * np.uint32(2654435761)
    bits = (bits ^ bits >> np.uint32(16)) * np.uint32(2246822507)
    bits ^= bits >> np.uint32(13)
    far = (bits >> np.uint32(1)).astype(np.uint64) * np.uint64(n) >> np.uint64(31)
    return np.where(bits & np.uint32(1), far, np.uint64(0)).astype(np.intp)


def gather(values, indices):
    """Indices are right: clipping is how to say that numpy need not look."""
    return values.take(indices, mode="clip")


class Rows:
    """The rows of vertices lo to below hi as arrays: what a step needs and does not change."""

    ARRAYS = {
        "sources": np.intp,  # where each edge comes from; numpy wants indices of this type
        "rows": np.intp,  # where it leads to, counted from the block's first row
        "shares": np.float64,
        "dangling": np.intp,  # rows from which no edge leads
        "table": np.int64,
    }

    def __init__(self, **arrays):
        self.__dict__.update(arrays)

    @classmethod
    def of(cls, graph, lo, hi):
        table, edges, pieces = [], 0, {"sources": [], "rows": []}
        for at in range(lo, hi, BLOCK):
            till = min(at + BLOCK, hi)
            lengths, sources = graph.edges(at, till)
            table.append((at - lo, till - lo, edges, edges + len(sources)))
            edges += len(sources)
            pieces["sources"].append(sources)
            pieces["rows"].append(np.repeat(np.arange(till - at, dtype=np.intp), lengths))
        out = graph.out[np.arange(lo, hi) % graph.vertices]
        arrays = {name: np.concatenate(piece).astype(np.intp) for name, piece in pieces.items()}
        return cls(
            shares=1 / np.maximum(out, 1).astype(np.float64),
            dangling=np.flatnonzero(out == 0),
            table=np.array(table, np.int64).ravel(),
            **arrays,
        )

    def first(self, graph, lo, hi):
        """What the vertices give to begin with: ranks are a slope that adds up to 1."""
        slope = np.arange(lo + 1, hi + 1, dtype=np.float64) * 2 / (float(graph.all) * (graph.all + 1))
        return slope * self.shares

    def advance(self, before, base, after):
        """One step, which fills `after`; gives the ranks of vertices that lead nowhere."""
        for row, row_end, edge, edge_end in self.table.reshape(-1, TABLE).tolist():
            given = gather(before, self.sources[edge:edge_end])
            sums = np.bincount(self.rows[edge:edge_end], given, row_end - row)
            sums *= DAMPING
            sums += base
            np.multiply(sums, self.shares[row:row_end], out=after[row:row_end])
        return self.lost(after)

    def lost(self, gives):
        return float(gives[self.dangling].sum())

    def sums(self, gives, lo):
        """The sum of the ranks, and of each times a weight of its own."""
        ranks = gives / self.shares
        weights = 1 + np.arange(lo, lo + len(ranks)) % 1021 / 1021
        return np.array([ranks.sum(), (ranks * weights).sum()])


def base_of(lost, everything):
    """What each vertex gets whatever leads to it."""
    return (1 - DAMPING + DAMPING * lost) / everything


def run(step, total, lost, everything, repetitions, says=True):
    """All steps: `step` gets the number and the base and gives what is lost; `total` gives both sums."""
    for r in range(repetitions + WARM_UP):
        began = time.perf_counter()
        lost = step(r, base_of(lost, everything))
        took = time.perf_counter() - began
        if says and r >= WARM_UP:
            print(f"sample iteration ms {1e3 * took:.6g}")
    ranks, check = total(repetitions + WARM_UP)
    if says:
        print(f"check {check:.17g}")
    if abs(ranks - 1) > 1e-9:
        sys.exit(f"ranks add up to {ranks}")
