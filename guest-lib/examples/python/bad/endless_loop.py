# A call that never ends: with --timeout it is ended, and says so.
#
# run: mobula run endless_loop.py --timeout 1
# expect: looping
# stderr: timed out
# exit: 102
import mobula


@mobula.main
def main():
    print("looping", flush=True)
    while True:
        pass
