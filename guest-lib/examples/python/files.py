# Data files: numpy reads and writes those of the directories that the run was given.
#
# run: mobula run files.py --dir .:/data
# expect: fromfile: 45.0, then 5.0 and 6.0
# expect: as text: [1.0, 2.5]
# expect: mapped: 45.0 True
# expect: a copy: 100.0, the file: 0.0
# expect: for writing: refused
# expect: saved: 45.0
# exit: 0
import mobula
import numpy as np


@mobula.main
def main():
    numbers = np.arange(10.0)
    numbers.tofile("/data/numbers.bin")
    print(f"fromfile: {np.fromfile('/data/numbers.bin').sum()}", end="")
    with open("/data/numbers.bin", "rb") as file:
        five, six = np.fromfile(file, "f8", count=2, offset=40)
    print(f", then {five} and {six}")

    np.array([1, 2.5]).tofile("/data/numbers.txt", sep=" ")
    print("as text:", np.fromfile("/data/numbers.txt", sep=" ").tolist())

    # Where files cannot be mapped they are read in: what is stored does not reach the file.
    mapped = np.memmap("/data/numbers.bin", "f8", "r", offset=8)
    print("mapped:", mapped.sum(), not mapped.flags.writeable)
    copy = np.memmap("/data/numbers.bin", "f8", "c")
    copy[0] = 100
    print(f"a copy: {copy[0]}, the file: {np.fromfile('/data/numbers.bin', count=1)[0]}")
    try:
        np.memmap("/data/numbers.bin", "f8", "r+")
    except OSError as refused:
        print("for writing:", "refused" if "array.tofile" in str(refused) else refused)

    np.save("/data/numbers.npy", numbers)
    print("saved:", np.load("/data/numbers.npy", mmap_mode="r").sum())


if __name__ == "__main__":
    mobula.run()
