# A function's entry in Python; what it returns is the exit code, None is 0.
#
# run: mobula run hello.py
# expect: hello, world
# exit: 0
import mobula


@mobula.main
def main():
    print("hello, world")


if __name__ == "__main__":
    mobula.run()
