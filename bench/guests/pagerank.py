"""pagerank-python: pagerank.py N REPETITIONS WORKERS. PageRank of N copies of the graph in the state value
`graph`, in numpy on windows; an iteration is a step. What it computes is bench/peers/python/links.py's, as
with the peers (--py-path).

even, odd       n float64: what vertices give after even and odd numbers of steps
sources-0, …    the rows of part 0, one value for each of its arrays

A call writes its part on the host where it is at home. Of the calls of one host the first fetches what other
hosts have computed, all of it once a step, as Allgatherv does.
"""

import links
import mobula
import numpy as np

# In WebAssembly this is the faster of the two by a third.
links.gather = lambda values, indices: values[indices]


def key_of(step):
    return "odd" if step % 2 else "even"


def graph_of(n):
    return links.Graph(mobula.window("graph", -1, np.uint32), n)


def gives_of(step, everything, lo, hi):
    return mobula.window(key_of(step), hi - lo, np.float64, 8 * lo, 8 * everything)


def rows_of(index):
    arrays = links.Rows.ARRAYS.items()
    return links.Rows(**{name: mobula.window(f"{name}-{index}", -1, dtype) for name, dtype in arrays})


@mobula.func
def build(n, index, lo, hi):
    graph = graph_of(n)
    rows = links.Rows.of(graph, lo, hi)
    for name in links.Rows.ARRAYS:
        array = getattr(rows, name)
        mobula.set_state(f"{name}-{index}", array.tobytes())
        mobula.push(f"{name}-{index}")
    gives = gives_of(0, graph.all, lo, hi)
    gives[:] = rows.first(graph, lo, hi)
    mobula.push(gives)
    return rows.lost(gives)


@mobula.func
def meet():
    """Once on each host that steps will run on: `fetched`, which is never pushed or pulled afterwards, gets a
    copy of the host's own."""
    assert mobula.window("fetched", 1, np.int32)[0] == 0
    return 0


def whole(step, everything):
    """The vector before a step, with what other hosts pushed. The first call of a host to come here fetches
    it, and the others wait for it; nobody else has opened it by then."""
    with mobula.lock("fetched", write=True):
        fetched = mobula.window("fetched", 1, np.int32)
        before = gives_of(step, everything, 0, everything)
        if fetched[0] <= step:
            mobula.pull(key_of(step), 8 * everything)
            fetched[0] = step + 1
    return before


@mobula.func
def advance(everything, index, lo, hi, step, base):
    before, after = whole(step, everything), gives_of(step + 1, everything, lo, hi)
    lost = rows_of(index).advance(before, base, after)
    mobula.push(after)
    return lost


@mobula.func
def sums(everything, index, lo, hi, step):
    mobula.pull(key_of(step), 8 * everything)
    return rows_of(index).sums(gives_of(step, everything, lo, hi), lo)


@mobula.main
def main():
    n, repetitions, workers = links.arguments()
    graph = graph_of(n)
    everything = graph.all
    for key in ("even", "odd"):
        mobula.create_state(key, 8 * everything)
    parts = [(i, *graph.part(i, workers)) for i in range(workers)]
    parts = [(i, lo, hi) for i, lo, hi in parts if lo < hi]

    def on_all(function, step, given):
        """A call for each part, where its part of that step's vector is at home."""
        calls = [function.chain_at(key_of(step), 8 * part[1], *given(part)) for part in parts]
        return sum(call.wait() for call in calls)

    lost = on_all(build, 0, lambda part: (n, *part))
    for step in (0, 1):
        on_all(meet, step, lambda part: ())
    links.run(
        lambda step, base: on_all(advance, step + 1, lambda part: (everything, *part, step, base)),
        lambda steps: on_all(sums, steps, lambda part: (everything, *part, steps)),
        lost,
        everything,
        repetitions,
    )
