"""Faasm's names: all there, in every generation, and programs of each run."""

import unittest

from mobula import _entries
from pyfaasm import code, core, state
from tests.test_calls import host

NAMES_OF_2019 = """
    getInput setOutput getOutput setInput getFunctionIdx setFunctionIdx registerFunction
    clearRegisteredFunctions chainThisWithInput awaitCall getCallStatus getState getStateOffset
    setState setStateOffset pushState pushStatePartial pullState setLocalChaining
    setLocalInputOutput checkPythonBindings PYTHON_LOCAL_CHAINING PYTHON_LOCAL_OUTPUT
    PYTHON_LOCAL_INPUT_OUTPUT IS_NATIVE_PYTHON
"""
NAMES_OF_2020 = """
    get_input set_output get_output get_function_idx register_function clear_registered_functions
    chain_this_with_input await_call get_state get_state_size get_state_offset set_state
    set_state_offset push_state push_state_partial pull_state set_local_chaining
    set_local_input_output check_python_bindings faasm_func faasm_main
"""
NAMES_OF_2021 = """
    get_input_len read_input write_output read_state read_state_size read_state_offset write_state
    write_state_offset push_state push_state_partial pull_state chain await_call
"""


class Names(unittest.TestCase):
    def test_all_are_there(self):
        for name in (NAMES_OF_2019 + NAMES_OF_2020 + NAMES_OF_2021).split():
            self.assertTrue(hasattr(core, name), name)
        for name in "await_call chain_this faasm_func faasm_main".split():
            self.assertTrue(callable(getattr(code, name)), name)
        for name in state.__all__:
            self.assertIs(getattr(state, name), getattr(core, name))


class State(unittest.TestCase):
    def test_whole_and_part(self):
        for get, get_part, set, set_part, size in [
            (core.getState, core.getStateOffset, core.setState, core.setStateOffset,
            core.getStateSize), (core.get_state, core.get_state_offset, core.set_state,
            core.set_state_offset,
             core.get_state_size),
            (core.read_state, core.read_state_offset, core.write_state, core.write_state_offset,
             core.read_state_size),
        ]:  # fmt: skip
            with host():
                set("k", b"0123456789")
                core.push_state("k")
                core.pull_state("k", 10)
                set_part("k", 10, 2, b"999")
                core.push_state_partial("k")
                self.assertEqual(get("k", 10), b"0199956789")
                self.assertEqual(get_part("k", 10, 2, 3), b"999")
                self.assertEqual((size("k"), size("nothing")), (10, 0))
                self.assertIs(type(get("k", 10)), bytes)

    def test_locks_and_records(self):
        with host():
            core.lock_state_write("k")
            core.unlock_state_write("k")
            core.lock_state_global("k")
            core.unlock_state_global("k")
            core.append_state("log", b"ab")
            self.assertEqual(core.read_appended_state("log", 2, 1), b"ab")


class Chaining(unittest.TestCase):
    def test_decorators(self):
        with host():
            seen = []

            @code.faasm_func(1)
            def one():
                seen.append((core.get_function_idx(), core.get_input()))

            @code.faasm_func(2)
            def two():
                return 7

            @code.faasm_main
            def main():
                return code.await_call(code.chain_this(1, b"in")) + code.await_call(
                    code.chain_this(2)
                )

            self.assertEqual(main(), 7)
            self.assertEqual(seen, [(1, b"in")])
            self.assertIsNone(one())

    def test_main_with_parentheses(self):
        with host() as here:
            code.faasm_main()(lambda: 3)
            self.assertEqual(here.run_main(_entries.current()), 3)

    def test_registered_functions(self):
        with host():
            seen = []
            core.registerFunction(1, seen.append)
            core.registerFunction(1, lambda data: seen.append(data))
            call = core.chainThisWithInput(1, b"1234")
            self.assertEqual((core.awaitCall(call), seen), (0, [b"1234"]))
            core.clearRegisteredFunctions()
            self.assertEqual(core.getCallStatus(core.chainThisWithInput(1, b"")), "FAILED")

    def test_functions(self):
        with host():
            call = core.chain_this_with_input(_reverse, b"abc")
            self.assertEqual(core.await_call_output(call), (0, b"cba"))
            self.assertEqual(core.await_call(core.chain(_exits, b"")), 1)


class Local(unittest.TestCase):
    def tearDown(self):
        core.set_local_input_output(False)

    def test_input_and_output(self):
        with host(MOBULA_INPUT="of main") as here:
            self.assertEqual((core.get_input(), core.get_input_len()), (b"of main", 7))
            self.assertEqual(core.read_input(2), b"of")
            core.write_output("text")
            self.assertEqual(here._root.output, b"text")
            for refused in (
                core.get_output,
                lambda: core.set_input(b""),
                lambda: core.setFunctionIdx(1),
            ):
                with self.assertRaises(RuntimeError):
                    refused()
            core.setLocalInputOutput(True)
            core.setInput(b"local")
            core.setOutput(b"kept")
            self.assertEqual((core.getInput(), core.getOutput()), (b"local", b"kept"))

    def test_chaining_is_local_under_an_ordinary_python(self):
        self.assertTrue(core.PYTHON_LOCAL_CHAINING)


def _reverse(data):
    core.write_output(data[::-1])


def _exits(_data):
    raise SystemExit(1)


if __name__ == "__main__":
    unittest.main()
