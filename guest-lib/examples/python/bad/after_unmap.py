# An array that is used after its window was given back: it never shows or changes the value again,
# and nothing outside this call is harmed. (Under an ordinary Python the array keeps its memory.)
#
# run: mobula run after_unmap.py
# expect: before: 1.0
# expect: unmapped twice: Error
# expect: a copy: Error
# expect: after, in the value: 1.0
# exit: 0
import numpy as np

import mobula


@mobula.func
def use_after_unmap():
    numbers = mobula.window("numbers", 100_000, np.float64)
    print("before:", float(numbers[0]))
    mobula.unmap(numbers)
    for name, array in [("unmapped twice", numbers), ("a copy", numbers * 2)]:
        try:
            mobula.unmap(array)
        except mobula.Error:
            print(f"{name}: Error")
    numbers[:] = numbers.sum() + 7


@mobula.main
def main():
    mobula.create_state("numbers", 800_000)
    mobula.set_state("numbers", np.ones(100_000))
    call = use_after_unmap.chain()
    # Trapping would be as good as storing into memory of its own.
    call.code
    print("after, in the value:", float(mobula.window("numbers", 100_000, np.float64)[0]))


if __name__ == "__main__":
    mobula.run()
