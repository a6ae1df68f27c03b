"""Requests and replies as bytes: what the runtime reads and writes."""

import struct
import unittest

from mobula import Error, _host
from tests.fake_host import Door, decode


class Requests(unittest.TestCase):
    def test_a_request_byte_by_byte(self):
        packed = _host.pack("__faasm_write_state", (b"key\0", b"12345678", 8), 0)
        expected = (
            b"\x13__faasm_write_state"
            + struct.pack("<IB", 0, 3)
            + struct.pack("<Bq", 1, 0)
            + struct.pack("<Bq", 1, 8)
            + struct.pack("<Bq", 0, 8)
            + b"key\0\0\0\0\0"
            + b"12345678"
        )
        self.assertEqual(packed, expected)

    def test_output_pointers_and_null(self):
        packed = _host.pack("__mobula_get_range", (_host.Out(0), _host.Out(8), b"", -1), 16)
        name, arguments, out = decode(packed)
        self.assertEqual((name, out), ("__mobula_get_range", 16))
        self.assertEqual([a.offset for a in arguments[:2]], [0, 8])
        self.assertEqual(arguments[2:], [0, -1])

    def test_64_bit_numbers(self):
        packed = _host.pack("f", (1 << 40, -(1 << 40)), 0)
        self.assertEqual(decode(packed)[1], [1 << 40, -(1 << 40)])

    def test_floats(self):
        packed = _host.pack("f", (1, 0.5), 0)
        self.assertEqual(packed[-18:], struct.pack("<Bq", 0, 1) + struct.pack("<Bd", 3, 0.5))
        self.assertEqual(decode(packed)[1], [1, 0.5])

    def test_an_empty_buffer_is_a_null_pointer(self):
        self.assertEqual(_host.buffer(0), b"")
        self.assertEqual(_host.buffer(1).offset, 0)

    def test_pointers_start_at_multiples_of_8(self):
        packed = _host.pack("f", (b"1", b"2" * 9, b"3"), 0)
        offsets = [struct.unpack_from("<q", packed, 8 + 9 * i)[0] for i in range(3)]
        self.assertEqual(offsets, [0, 8, 24])


class Replies(unittest.TestCase):
    def test_result_and_output(self):
        self.assertEqual(_host.unpack(struct.pack("<Bq", 0, -5) + b"out"), (-5, b"out"))

    def test_refusals_are_errors(self):
        with self.assertRaisesRegex(Error, "^read_state 'k': 9 bytes$"):
            _host.unpack(b"\1read_state 'k': 9 bytes")
        with self.assertRaisesRegex(Error, "no answer"):
            _host.unpack(b"")

    def test_signs(self):
        for number in (-101, (1 << 32) - 101):
            self.assertEqual(_host.return_code(number), -101)
        self.assertEqual(_host.call_id(-1), 0xFFFFFFFF)


class Keys(unittest.TestCase):
    def test_what_a_key_may_be(self):
        self.assertEqual(_host.key_bytes("é"), b"\xc3\xa9\0")
        self.assertEqual(_host.key_bytes("k" * 255), b"k" * 255 + b"\0")
        for wrong in ("", "k" * 256, "a\0b"):
            with self.assertRaisesRegex(Error, "1 to 255 without NUL"):
                _host.key_bytes(wrong)
        with self.assertRaises(TypeError):
            _host.key_bytes(3)


class ThroughTheDoor(unittest.TestCase):
    def setUp(self):
        from mobula import _local

        self.door = Door(_local.LocalHost({"MOBULA_THREADS": "1", "MOBULA_INPUT": "in"}))

    def request(self, name, *arguments, out=0):
        return _host.unpack(self.door.call(_host.pack(name, arguments, out)))

    def test_state(self):
        self.request("__faasm_write_state", b"k\0", b"abcd", 4)
        self.assertEqual(self.request("__faasm_read_state", b"k\0", b"", 0), (4, b""))
        self.assertEqual(
            self.request("__faasm_read_state_offset", b"k\0", 4, 1, _host.Out(0), 2, out=2),
            (0, b"bc"),
        )

    def test_refusals_name_the_function_the_key_and_the_numbers(self):
        self.request("__faasm_write_state", b"k\0", b"abcd", 4)
        with self.assertRaisesRegex(Error, "write_state_offset 'k': 3 bytes at 2 of 4"):
            self.request("__faasm_write_state_offset", b"k\0", 4, 2, b"xyz", 3)
        with self.assertRaisesRegex(Error, "'k': has 4 bytes, not 5"):
            self.request("__faasm_write_state_offset", b"k\0", 5, 2, b"xyz", 3)
        with self.assertRaisesRegex(Error, "no such function"):
            self.request("__faasm_nonsense")

    def test_a_wrong_output_pointer(self):
        with self.assertRaises(Error):
            self.request("__faasm_read_input", _host.Out(1), 2, out=2)

    def test_exit(self):
        self.request("exit", 7)
        self.assertEqual(self.door.code, 7)


if __name__ == "__main__":
    unittest.main()
