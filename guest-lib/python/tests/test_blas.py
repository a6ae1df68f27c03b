"""Products of matrices: what is passed to the host, and what does not fit. Needs numpy."""

import unittest
from unittest import mock

import mobula
from mobula import _host
from tests.fake_host import Door
from tests.test_calls import host

try:
    import numpy as np
except ImportError:
    np = None


class _Sandbox:
    """The host's kernels by the door, as in the sandbox."""

    def __enter__(self):
        door = Door(None)
        self.asked = door.asked

        self.patches = [
            mock.patch.object(_host, "_door", door),
            mock.patch.object(_host, "in_sandbox", lambda: True),
        ]
        for patch in self.patches:
            patch.start()
        return self

    def __exit__(self, *_):
        for patch in self.patches:
            patch.stop()


@unittest.skipUnless(np, "needs numpy")
class Products(unittest.TestCase):
    def operands(self, dtype):
        numbers = np.random.default_rng(1)
        big = numbers.integers(-4, 5, (12, 14)).astype(dtype)
        yield big[:5, :7], big[:7, :6].copy()
        yield big[:7, :5].T, big[2:9, 3:10]
        yield big[0:5, 0:7], big[:4, :7].T
        yield big[::2, :3], big[:3, ::2]
        yield big[:1, :4], big[:4, :1]
        yield big[:5, :7], big[0, :7]
        yield big[:5, :7], big[:7, 3]
        yield big[:5, :0], big[:0, :3]

    def check(self):
        for dtype in ("f8", "f4"):
            for a, b in self.operands(dtype):
                self.assertTrue((mobula.blas.matmul(a, b) == a @ b).all(), (a.shape, b.shape))
                room = np.ones((9, *(n + 3 for n in b.shape[1:])), dtype)
                out = room[2 : 2 + a.shape[0]]
                out = out[:, : b.shape[1]] if b.ndim == 2 else out
                self.assertIs(mobula.blas.matmul(a, b, out=out, accumulate=True), out)
                self.assertTrue((out == a @ b + 1).all())
                self.assertEqual(room.sum() - out.sum(), room.size - out.size)

    def test_natively(self):
        self.check()

    def test_by_the_host(self):
        with _Sandbox() as sandbox:
            self.check()
        self.assertEqual(set(sandbox.asked), {"__mobula_blas_dgemm", "__mobula_blas_sgemm"})

    def test_windows(self):
        with host():
            a, b, c = (mobula.window(key, (8, 8), "f8") for key in "abc")
            a[:], b[:] = np.arange(64).reshape(8, 8), np.eye(8) * 2
            mobula.blas.matmul(a[2:5], b, out=c[2:5])
            self.assertTrue((c[2:5] == 2 * a[2:5]).all() and c[5:].sum() == 0)

    def test_what_does_not_fit(self):
        a, b = np.ones((3, 4)), np.ones((4, 2))
        for wrong in (
            lambda: mobula.blas.matmul(a, a),
            lambda: mobula.blas.matmul(a, b.astype("f4")),
            lambda: mobula.blas.matmul(a.astype("i4"), b.astype("i4")),
            lambda: mobula.blas.matmul(a, b, accumulate=True),
            lambda: mobula.blas.matmul(a, b, out=np.ones((3, 3))),
            lambda: mobula.blas.matmul(a, b, out=np.ones((3, 2), "f4")),
            lambda: mobula.blas.matmul(a, b, out=np.ones((2, 3)).T),
            lambda: mobula.blas.matmul(np.ones(4), b),
        ):
            self.assertRaises(mobula.Error, wrong)


if __name__ == "__main__":
    unittest.main()
