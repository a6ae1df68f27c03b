"""Windows: numpy arrays on shared bytes. Needs numpy."""

import unittest

import mobula
from tests.test_calls import host

try:
    import numpy as np
except ImportError:
    np = None


class WithoutNumpy(unittest.TestCase):
    @unittest.skipIf(np, "numpy is there")
    def test_a_window_says_what_it_needs(self):
        with host(), self.assertRaises(ImportError):
            mobula.window("k", 4, "u1")


@unittest.skipUnless(np, "needs numpy")
class Windows(unittest.TestCase):
    def test_the_bytes_themselves(self):
        with host():
            window = mobula.window("k", (3, 4), np.float64)
            self.assertEqual(
                (window.shape, window.dtype, mobula.state_size("k")), ((3, 4), "f8", 96)
            )
            window[1, 2] = 2.5
            self.assertEqual(np.frombuffer(mobula.get_state("k"))[6], 2.5)
            mobula.set_state("k", np.full(12, 3.0))
            self.assertTrue((window == 3).all())
            self.assertTrue((mobula.window("k", 12, np.float64) == 3).all())

    def test_calls_share_them(self):
        with host():

            @mobula.func
            def fill(lo, hi):
                mobula.window("k", 100, np.int32)[lo:hi] = np.arange(lo, hi)

            window = mobula.window("k", 100, np.int32)
            mobula.parallel_for(fill, 100, 7)
            self.assertEqual(window.tolist(), list(range(100)))

    def test_parts_may_be_unaligned(self):
        with host():
            mobula.set_state("k", bytes(range(20)))
            window = mobula.window("k", 2, "<u4", offset=3)
            self.assertEqual(window.tolist(), [0x06050403, 0x0A090807])
            self.assertEqual(mobula.window("k", -1, np.uint8, offset=18).tolist(), [18, 19])

    def test_shapes(self):
        with host():
            mobula.create_state("k", 24)
            self.assertEqual(mobula.window("k", (-1, 3), np.int32).shape, (2, 3))
            self.assertEqual(mobula.window("k", (), np.int64).shape, ())
            self.assertEqual(mobula.window("k", (0, 5), np.int64).shape, (0, 5))
            record = np.dtype([("a", "<i4"), ("b", "<f4")])
            mobula.window("k", 3, record)["b"][1] = 1
            self.assertEqual(mobula.window("k", 6, np.float32)[3], 1)
            for shape, dtype in [((-1, 5), "i4"), ((-1, -1), "i4"), ((-2,), "i4"), ((7,), "i4")]:
                with self.subTest(shape=shape), self.assertRaises(mobula.Error):
                    mobula.window("k", shape, dtype)
            with self.assertRaisesRegex(mobula.Error, "Python objects"):
                mobula.window("k", 1, object)

    def test_total(self):
        with host():
            mobula.window("k", 2, np.int32, offset=8, total=32)[:] = 7
            self.assertEqual(mobula.state_size("k"), 32)
            with self.assertRaisesRegex(mobula.Error, "8 bytes at 28 of 32"):
                mobula.window("k", 2, np.int32, offset=28)

    def test_a_value_keeps_its_length_while_a_window_is_open(self):
        with host():
            window = mobula.window("k", 4, np.int32)
            with self.assertRaisesRegex(mobula.Error, "window"):
                mobula.set_state("k", bytes(20))
            with self.assertRaisesRegex(mobula.Error, "window"):
                mobula.delete_state("k")
            mobula.unmap(window)
            del window
            mobula.set_state("k", bytes(20))

    def test_unmap(self):
        with host():
            window = mobula.window("k", (4, 4), np.int32)
            with self.assertRaisesRegex(mobula.Error, "no window"):
                mobula.unmap(window + 1)
            mobula.unmap(window[1:])
            for gone in (mobula.unmap, mobula.flag, mobula.pull):
                with self.assertRaisesRegex(mobula.Error, "no window"):
                    gone(window)

    def test_merging_an_array(self):
        with host():
            mobula.merge_state("k", np.array([1.5, 2.5]), "sum")
            mobula.merge_state("k", np.array([1.0, 2.0]), "sum")
            self.assertEqual(mobula.window("k", 2, float).tolist(), [2.5, 4.5])
            with self.assertRaisesRegex(mobula.Error, "int16"):
                mobula.merge_state("k", np.zeros(4, np.int16))


@unittest.skipUnless(np, "needs numpy")
class Flags(unittest.TestCase):
    def flagged(self, here, array):
        """The ranges that flagging an array declares."""
        ranges = []
        here.faasm_flag_state_offset_dirty = lambda _out, _key, total, offset, length: (
            ranges.append((offset, length))
        )
        self.assertEqual(mobula.flag(array), "k")
        return ranges

    def test_what_an_array_covers(self):
        with host() as here:
            window = mobula.window("k", (4, 6), np.int32, offset=100, total=1000)
            cases = [
                (window, [(100, 96)]),
                (window[1], [(124, 24)]),
                (window[1:3], [(124, 48)]),
                (window[2, 3], None),
                (window[2:3, 3], [(160, 4)]),
                (window[:, 2:4], [(108 + 24 * row, 8) for row in range(4)]),
                (window[::2], [(100, 24), (148, 24)]),
                (window[::-1], [(100, 96)]),
                (window.T, [(100, 96)]),
                (window[1:1], []),
                (window[:, ::3], [(100 + 12 * i, 4) for i in range(8)]),
                (window.reshape(2, 2, 6)[:, 1], [(124, 24), (172, 24)]),
            ]
            for array, expected in cases:
                if expected is not None:
                    with self.subTest(shape=array.shape, strides=array.strides):
                        self.assertEqual(sorted(self.flagged(here, array)), expected)

    def test_pushing_an_array_flags_and_sends_part(self):
        with host() as here:
            asked = []
            request = here.request
            here.request = lambda name, *rest: (asked.append(name), request(name, *rest))[1]
            window = mobula.window("k", 8, np.int32)
            mobula.push(window[2:4])
            mobula.pull(window)
            self.assertEqual(
                asked[-3:],
                [
                    "__faasm_flag_state_offset_dirty",
                    "__faasm_push_state_partial",
                    "__faasm_pull_state",
                ],
            )


if __name__ == "__main__":
    unittest.main()
