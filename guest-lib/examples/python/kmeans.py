# k-means clustering on shared windows. Every step is a parallel loop over the points: a call finds
# the nearest centre of each of its points, and merges sums and counts into one value.
#
#   points   n x d, float32     read only         centres   k x d, float64     written by main
#   nearest  n, int32           one part a call   sums      k x (d + 1)        merged by all calls
#
# Points are generated, or they are New York's flights of 2013 (see bench/data/README.md):
#   mobula run kmeans.py --dir target/data/flights:/data:ro
#
# run: mobula run kmeans.py
# expect: 100000 points of 4 numbers, 5 clusters
# expect: sizes: 10000 15000 20000 25000 30000
# expect: as numpy alone: yes
# exit: 0
import os
import sys

import numpy as np

import mobula

FLIGHTS = sys.argv[1] if len(sys.argv) > 1 else "/data/train.bin"
ROW = np.dtype([("numbers", "<f4", 16), ("slots", "<u2", 31), ("late", "<u2")])
HEADER = 64 * 1024
CLUSTERS, STEPS, GRAIN, BLOCK = 5, 50, 4096, 8192


def generated():
    """Points around five places, in mixed order."""
    numbers = np.random.default_rng(5)
    sizes = np.arange(2, 7) * 5000
    places = 10 * np.array([[0, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]])
    points = np.repeat(places, sizes, axis=0) + numbers.standard_normal((sizes.sum(), 4))
    return numbers.permutation(points).astype(np.float32)


def flights(path):
    """The 15 numbers of each flight; the first one of a row is the constant 1."""
    with open(path, "rb") as file:
        return np.frombuffer(file.read(), ROW, offset=HEADER)["numbers"][:, 1:]


def nearest_centres(points, centres):
    """Index of the nearest centre of each point: the one with the least |c|^2 - 2 p.c."""
    return np.argmin((centres * centres).sum(axis=1) - 2 * (points @ centres.T), axis=1)


def sums_and_counts(points, nearest):
    """Of each cluster the sum of its points and, in the last column, their number."""
    members = (nearest == np.arange(CLUSTERS)[:, None]).astype(np.float64)
    return np.column_stack([members @ points, members.sum(axis=1)])


def moved(centres, sums):
    """The means; a cluster without points keeps its centre."""
    counts = sums[:, -1:]
    return np.where(counts > 0, sums[:, :-1] / np.maximum(counts, 1), centres)


def first_centres(points):
    """Of some points, the one that is farthest from the centres so far, again and again."""
    some = points[:: max(1, len(points) // 1000)].astype(np.float64)
    centres = some[:1]
    while len(centres) < CLUSTERS:
        distances = ((some[:, None] - centres) ** 2).sum(axis=2).min(axis=1)
        centres = np.vstack([centres, some[distances.argmax()]])
    return centres


def windows(d):
    points = mobula.window("points", (-1, d), np.float32)
    return (
        points,
        mobula.window("nearest", len(points), np.int32),
        mobula.window("centres", (CLUSTERS, d), np.float64),
        mobula.window("sums", (CLUSTERS, d + 1), np.float64),
    )


@mobula.func
def assign(lo, hi, d):
    points, nearest, centres, _ = windows(d)
    mobula.pull(centres)
    found = np.zeros((CLUSTERS, d + 1))
    for at in range(lo, hi, BLOCK):
        block = slice(at, min(at + BLOCK, hi))
        nearest[block] = nearest_centres(points[block], centres)
        found += sums_and_counts(points[block], nearest[block])
    mobula.merge_state("sums", found, "sum")
    mobula.push(nearest[lo:hi])


def alone(points, centres, steps):
    """The same with numpy only."""
    for _ in range(steps):
        centres = moved(centres, sums_and_counts(points, nearest_centres(points, centres)))
    return centres


@mobula.main
def main():
    given = flights(FLIGHTS) if os.path.exists(FLIGHTS) else generated()
    n, d = given.shape
    print(f"{n} points of {d} numbers, {CLUSTERS} clusters")
    mobula.create_state("points", given.size * given.itemsize)
    points, nearest, centres, sums = windows(d)
    points[:] = given
    mobula.push(points)
    start = first_centres(given)
    centres[:] = start

    for step in range(1, STEPS + 1):
        before = centres.copy()
        mobula.push(centres)
        sums[:] = 0
        mobula.push(sums)
        mobula.parallel_for(assign, n, GRAIN, d)
        mobula.pull(sums)
        centres[:] = moved(before, sums)
        if np.abs(centres - before).max() < 1e-6:
            break
    mobula.pull(nearest)
    print("sizes:", *sorted(np.bincount(nearest, minlength=CLUSTERS)))
    same = np.allclose(centres, alone(given, start, step))
    print("as numpy alone:", "yes" if same else "no")


if __name__ == "__main__":
    mobula.run()
