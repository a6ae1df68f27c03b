"""Values of state: sizes, parts, what is refused."""

import struct
import unittest

import mobula
from tests.test_calls import host


class Whole(unittest.TestCase):
    def test_first_use_fixes_the_length_until_it_is_written_whole(self):
        with host():
            self.assertEqual((mobula.state_size("k"), mobula.get_state("k")), (0, b""))
            mobula.set_state("k", b"abcd")
            self.assertEqual((mobula.state_size("k"), mobula.get_state("k")), (4, b"abcd"))
            mobula.set_state("k", bytearray(b"longer"))
            self.assertEqual(mobula.get_state("k"), b"longer")
            with self.assertRaisesRegex(mobula.Error, "state_create 'k': has 6 bytes, not 7"):
                mobula.create_state("k", 7)

    def test_short_and_long_reads(self):
        with host():
            mobula.set_state("k", b"abcd")
            self.assertEqual(mobula.get_state("k", 2), b"ab")
            self.assertEqual(mobula.get_state("k", 6), b"abcd\0\0")
            self.assertEqual(mobula.get_state("nothing", 2), b"\0\0")

    def test_deleting(self):
        with host():
            mobula.set_state("k", b"abcd")
            mobula.delete_state("k")
            mobula.delete_state("k")
            self.assertEqual(mobula.state_size("k"), 0)
            mobula.create_state("k", 9)
            self.assertEqual(mobula.get_state("k"), bytes(9))

    def test_only_bytes(self):
        with host():
            with self.assertRaisesRegex(TypeError, "bytes-like, not str"):
                mobula.set_state("k", "text")
            with self.assertRaisesRegex(TypeError, "bytes-like, not str"):
                mobula.output("text")


class Parts(unittest.TestCase):
    def test_reading_and_writing(self):
        with host():
            mobula.set_state("k", b"..", offset=3, total=6)
            self.assertEqual(mobula.get_state("k"), b"\0\0\0..\0")
            mobula.set_state("k", b"ab", offset=0)
            self.assertEqual(mobula.get_state("k", offset=1), b"b\0..\0")
            self.assertEqual(mobula.get_state("k", 2, 3), b"..")
            self.assertEqual(mobula.get_state("k", 0, 6), b"")

    def test_what_lies_outside_is_refused(self):
        with host():
            mobula.create_state("k", 6)
            for length, offset in [(3, 4), (1, -1), (7, 0)]:
                with self.assertRaisesRegex(mobula.Error, f"{length} bytes at {offset} of 6"):
                    mobula.get_state("k", length, offset)
                with self.assertRaises(mobula.Error):
                    mobula.set_state("k", bytes(length), offset)
            with self.assertRaisesRegex(mobula.Error, "has 6 bytes, not 8"):
                mobula.get_state("k", 1, 0, total=8)


class Appended(unittest.TestCase):
    def test_in_order(self):
        with host():
            for record in (b"one", b"three", b"two"):
                mobula.append_state("log", record)
            self.assertEqual(mobula.read_appended_state("log", 2, 8), b"onethree")
            self.assertEqual(mobula.read_appended_state("log", 2, 5), b"oneth")
            with self.assertRaisesRegex(mobula.Error, "4 of 3"):
                mobula.read_appended_state("log", 4, 100)
            mobula.clear_appended_state("log")
            mobula.append_state("log", b"x")
            self.assertEqual(mobula.read_appended_state("log", 1, 1), b"x")


class Merging(unittest.TestCase):
    def test_every_type_and_operation(self):
        cases = [
            ("int32", "i", "sum", [1, 2], [3, -5], [4, -3]),
            ("int32", "i", "sum", [2**31 - 1, -(2**31)], [1, -1], [-(2**31), 2**31 - 1]),
            ("int64", "q", "sum", [2**63 - 1, 0], [1, 0], [-(2**63), 0]),
            ("float32", "f", "min", [1.5, 2.5], [2.0, 2.0], [1.5, 2.0]),
            ("float64", "d", "max", [1.5, 2.5], [2.0, 2.0], [2.0, 2.5]),
        ]
        for name, letter, operation, old, new, expected in cases:
            with self.subTest(name=name, operation=operation), host():
                mobula.set_state("k", struct.pack(f"<2{letter}", *old))
                mobula.merge_state("k", struct.pack(f"<2{letter}", *new), operation, type=name)
                merged = struct.unpack(f"<2{letter}", mobula.get_state("k"))
                self.assertEqual(list(merged), expected)

    def test_part_of_a_new_value(self):
        with host():
            mobula.merge_state("k", struct.pack("<q", 5), offset=8, total=24, type="int64")
            self.assertEqual(mobula.get_state("k"), struct.pack("<3q", 0, 5, 0))

    def test_from_many_calls(self):
        with host(4):

            @mobula.func
            def body(lo, hi):
                for _ in range(lo, hi):
                    mobula.merge_state("n", struct.pack("<q", 1), type="int64")

            mobula.create_state("n", 8)
            mobula.parallel_for(body, 500)
            self.assertEqual(mobula.get_state("n"), struct.pack("<q", 500))

    def test_refused(self):
        with host():
            mobula.create_state("k", 8)
            for arguments in [{"type": "int8"}, {"type": "int64", "operation": "xor"}, {}]:
                with self.assertRaises(mobula.Error):
                    mobula.merge_state("k", bytes(8), **arguments)
            with self.assertRaisesRegex(mobula.Error, "no whole number"):
                mobula.merge_state("k", bytes(7), type="int64")


class Moving(unittest.TestCase):
    def test_masks(self):
        with host():
            mobula.set_state("k", b"abcd")
            mobula.set_state("mask", b"\xff\0\xff\0")
            mobula.push("k", mask="mask")
            self.assertEqual(mobula.get_state("mask"), bytes(4))
            mobula.create_state("short", 3)
            with self.assertRaisesRegex(mobula.Error, "4 bytes, the mask 'short' has 3"):
                mobula.push("k", mask="short")

    def test_push_and_pull(self):
        with host():
            mobula.set_state("k", b"abcd")
            mobula.push("k")
            mobula.push("k", partial=True)
            mobula.push("k", merge=("int32", "sum"))
            mobula.pull("k")
            mobula.pull("k", 4)
            self.assertEqual(mobula.get_state("k"), b"abcd")
            with self.assertRaises(mobula.Error):
                mobula.pull("k", 5)


class Settings(unittest.TestCase):
    def test_flags(self):
        with host(MOBULA_CONF="A=1,B=0"):
            keys = ("A", "B", "C", "ALWAYS_ON", "ALWAYS_OFF")
            self.assertEqual([mobula.conf(k) for k in keys], [True, False, False, True, False])


if __name__ == "__main__":
    unittest.main()
