# An exception in a chained call: its traceback is printed, the parent gets it as a CallError and
# goes on with the other call's result. An exception that main does not catch is exit code 1.
#
# run: mobula run exception.py
# expect: good: 2.5
# expect: bad: divide: ZeroDivisionError: division by zero
# expect: code: 1
# stderr: File "exception.py", line 17, in divide
# stderr: File "exception.py", line 29, in main
# stderr: KeyError: 'not caught'
# exit: 1
import mobula


@mobula.func
def divide(a, b):
    return a / b


@mobula.main
def main():
    good, bad = divide.chain(5, 2), divide.chain(1, 0)
    print("good:", good.wait())
    try:
        bad.wait()
    except mobula.CallError as error:
        print("bad:", error)
        print("code:", error.code)
    raise KeyError("not caught")


if __name__ == "__main__":
    mobula.run()
