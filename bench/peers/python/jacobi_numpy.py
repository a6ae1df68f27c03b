"""jacobi-python's peer: jacobi_numpy.py N REPETITIONS WORKERS. numpy alone, in one process."""

import plate

n, repetitions, _ = plate.arguments()
block = plate.Block(n, 0, 1)
plate.run(lambda _: block.step(None, None), block.sum_of, repetitions)
