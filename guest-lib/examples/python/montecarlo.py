# Pi by counting random points inside a quarter of a circle. A parallel loop over blocks of points;
# each block has random numbers of its own, so that the result does not depend on how the loop is
# divided. The counts meet in one value by merging, without a lock.
#
# run: mobula run montecarlo.py
# expect: 6400000 points, pi is about 3.1422
# exit: 0
import numpy as np

import mobula

BLOCKS, POINTS = 64, 100_000


@mobula.func
def count(lo, hi):
    inside = np.zeros(1, np.int64)
    for block in range(lo, hi):
        x, y = np.random.default_rng([2026, block]).random((2, POINTS))
        inside += np.count_nonzero(x * x + y * y < 1)
    mobula.merge_state("inside", inside, "sum")


@mobula.main
def main():
    mobula.create_state("inside", 8)
    mobula.parallel_for(count, BLOCKS)
    mobula.pull("inside")
    inside = int.from_bytes(mobula.get_state("inside"), "little")
    print(f"{BLOCKS * POINTS} points, pi is about {4 * inside / (BLOCKS * POINTS):.4f}")


if __name__ == "__main__":
    mobula.run()
