# Matrix multiplication: every call multiplies some rows, on windows, without copying.
#
#              A [ lo : hi ]   x   B   =   C [ lo : hi ]
#
# run: mobula run matmul.py
# expect: 256 x 256 in 8 calls
# expect: the product is right
# exit: 0
import numpy as np

import mobula

N, ROWS = 256, 32


def matrix(key):
    return mobula.window(key, (N, N), np.float64)


@mobula.func
def multiply(lo, hi):
    a, b, c = matrix("A"), matrix("B"), matrix("C")
    np.matmul(a[lo:hi], b, out=c[lo:hi])
    mobula.push(c[lo:hi])


@mobula.main
def main():
    numbers = np.random.default_rng(1)
    a, b, c = matrix("A"), matrix("B"), matrix("C")
    a[:], b[:] = numbers.random((N, N)), numbers.random((N, N))
    mobula.push(a)
    mobula.push(b)

    calls = [multiply.chain(lo, lo + ROWS) for lo in range(0, N, ROWS)]
    for call in calls:
        call.wait()
    print(f"{N} x {N} in {len(calls)} calls")
    mobula.pull(c)
    print("the product is", "right" if np.allclose(c, a @ b) else "wrong")


if __name__ == "__main__":
    mobula.run()
