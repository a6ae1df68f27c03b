# A chained call that takes more memory than it may have: it gets a MemoryError, its parent goes on.
#
# run: mobula run memory.py --max-memory 256M
# expect: hoard: MemoryError
# expect: the next call has all of it again: 1000000
# stderr: MemoryError
# exit: 0
import mobula


@mobula.func
def hoard():
    held = []
    while True:
        held.append(bytearray(16 << 20))


@mobula.func
def modest():
    return len(bytearray(1_000_000))


@mobula.main
def main():
    try:
        hoard.chain().wait()
    except mobula.CallError as error:
        print(error)
    print("the next call has all of it again:", modest.chain().wait())


if __name__ == "__main__":
    mobula.run()
