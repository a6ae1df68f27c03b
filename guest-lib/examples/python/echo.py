# Input and output are bytes. An entry that takes an argument gets the input by it.
#
# run: mobula run echo.py --input 'one two' --output -
# expect: 7 bytes
# expect: one two
# exit: 0
import mobula


@mobula.main
def main(data):
    print(len(data), "bytes")
    mobula.output(data)


if __name__ == "__main__":
    mobula.run()
