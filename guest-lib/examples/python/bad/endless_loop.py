# A chained call that never ends: with --timeout it fails, and its parent goes on.
#
# run: mobula run endless_loop.py --timeout 1
# expect: the loop ran out of time, code -102
# exit: 0
import mobula


@mobula.func
def loop():
    while True:
        pass


@mobula.main
def main():
    try:
        loop.chain().wait()
    except mobula.CallError as error:
        print(f"the {error}, code {error.code}".replace(":", ""))


if __name__ == "__main__":
    mobula.run()
