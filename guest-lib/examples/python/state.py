# State: whole values, parts, appended records, merges, locks; another call sees what
# main wrote.
#
# run: mobula run state.py
# expect: whole: 8 bytes, b'one two '
# expect: part: b'two'
# expect: unwritten bytes: b'\x00\x00'
# expect: child wrote b'ONE two '
# expect: masked: mask is b'\x00\x00\x00\x00\x00\x00\x00\x00' again
# expect: merged: 4 calls, largest 3
# expect: counted: 40
# expect: appended: [0, 1, 2, 3]
# expect: removed: 0 bytes
# exit: 0
import struct

import mobula

CALLS, EACH = 4, 10


@mobula.func
def shout():
    mobula.set_state("words", mobula.get_state("words", length=3, offset=0).upper(), offset=0)
    mobula.push("words")


@mobula.func
def report(number):
    mobula.append_state("log", struct.pack("<q", number))
    mobula.merge_state("calls", struct.pack("<q", 1), "sum", type="int64")
    mobula.merge_state("largest", struct.pack("<q", number), "max", type="int64")
    for _ in range(EACH):
        # Read, add, write: only a lock makes that one step.
        with mobula.lock("count", global_=True):
            mobula.pull("count", 8)
            (count,) = struct.unpack("<q", mobula.get_state("count"))
            mobula.set_state("count", struct.pack("<q", count + 1))
            mobula.push("count")


def number(key):
    mobula.pull(key, 8)
    return struct.unpack("<q", mobula.get_state(key))[0]


@mobula.main
def main():
    mobula.set_state("words", b"one two ")
    print(f"whole: {mobula.state_size('words')} bytes, {mobula.get_state('words')}")
    print("part:", mobula.get_state("words", length=3, offset=4))
    print("unwritten bytes:", mobula.get_state("nothing", length=2, offset=0))

    mobula.push("words")
    shout.chain().wait()
    mobula.pull("words")
    print("child wrote", mobula.get_state("words"))

    mobula.set_state("mask", b"\xff" * 4 + bytes(4))
    mobula.push("words", mask="mask")
    print(f"masked: mask is {mobula.get_state('mask')} again")

    mobula.create_state("calls", 8)
    mobula.create_state("largest", 8)
    mobula.create_state("count", 8)
    for call in [report.chain(i) for i in range(CALLS)]:
        call.wait()
    print(f"merged: {number('calls')} calls, largest {number('largest')}")
    print("counted:", number("count"))
    records = mobula.read_appended_state("log", count=CALLS, size=8 * CALLS)
    print("appended:", sorted(struct.unpack(f"<{CALLS}q", records)))

    mobula.delete_state("words")
    print("removed:", mobula.state_size("words"), "bytes")


if __name__ == "__main__":
    mobula.run()
