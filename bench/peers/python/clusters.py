"""k-means as all engines run it: the same lines of numpy on the same flights.

points   n x 15, float32: the numbers of the flights that are no constants
centres  k x 15, float64
A step takes the points in `PARTS` parts, whatever runs these.
"""

import numpy as np

ROW = np.dtype([("numbers", "<f4", 16), ("slots", "<u2", 31), ("late", "<u2")])
HEADER, CLUSTERS, STEPS, PARTS, BLOCK = 64 * 1024, 8, 30, 4, 8192


def read(path, count):
    """The first `count` points, or all for 0, in a file that `mobula-flights prepare` has made."""
    with open(path, "rb") as file:
        numbers = np.frombuffer(file.read(), ROW, offset=HEADER)["numbers"]
    return np.ascontiguousarray(numbers[: count or None, 1:])


def first_centres(points):
    return points[:: len(points) // CLUSTERS][:CLUSTERS].astype(np.float64)


def part(n, index):
    """First and last index, less one, of a part."""
    return n * index // PARTS, n * (index + 1) // PARTS


def sums_of(points, centres):
    """k x 16: of each cluster the sum of its points and, in the last column, their number."""
    found = np.zeros((CLUSTERS, points.shape[1] + 1))
    squares = (centres * centres).sum(axis=1)
    for at in range(0, len(points), BLOCK):
        some = points[at : at + BLOCK]
        nearest = np.argmin(squares - 2 * (some @ centres.T), axis=1)
        members = (nearest == np.arange(CLUSTERS)[:, None]).astype(np.float64)
        found += np.column_stack([members @ some, members.sum(axis=1)])
    return found


def moved(centres, sums):
    """The means; a cluster without points keeps its centre."""
    counts = sums[:, -1:]
    return np.where(counts > 0, sums[:, :-1] / np.maximum(counts, 1), centres)


def report(seconds, centres):
    """A sample for each step, and what all engines must agree on."""
    for step in seconds:
        print(f"sample step ms {1e3 * step:.6g}")
    print(f"check {np.abs(centres).sum():.6g}")
