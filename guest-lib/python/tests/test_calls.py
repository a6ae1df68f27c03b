"""Entries, chained calls, their results and failures, on threads and one after the other."""

import contextlib
import io
import sys
import threading
import unittest

import mobula
from mobula import _calls, _entries, _local


@contextlib.contextmanager
def host(threads=3, **settings):
    """A host of this test alone, and a program without entries."""
    before = _local._host
    new = _local.LocalHost({"MOBULA_THREADS": str(threads), **settings})
    _local.replace_host(new)
    try:
        with _entries.belongs_to(_entries.Program("test")) as _, silent():
            yield new
            new.finish()
    finally:
        _local.replace_host(before)


@contextlib.contextmanager
def silent():
    """Standard error into `said`, which is cleared first."""
    global said
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        yield said


said = io.StringIO()


def plain(data):
    mobula.output(data[::-1])
    return len(data)


def add(a, b=1):
    return a + b


class Entries(unittest.TestCase):
    def test_indices_by_order_or_given(self):
        with host():
            first = mobula.func(lambda: None)
            third = mobula.func(index=3)(lambda: None)
            others = [mobula.func(lambda: None).index for _ in range(3)]
            self.assertEqual((first.index, third.index, others), (1, 3, [2, 4, 5]))

    def test_an_index_belongs_to_one(self):
        with host():
            mobula.func(index=3)(add)
            with self.assertRaisesRegex(mobula.Error, "entry 3 is both add and plain"):
                mobula.func(index=3)(plain)
            with self.assertRaises(mobula.Error):
                mobula.func(index=_calls.OBJECTS)(plain)

    def test_what_main_returns_is_the_exit_code(self):
        def quits(code):
            def quit():
                sys.exit(code)

            return quit

        def fails():
            raise ValueError("no")

        returns = {0: None, 1: True, 7: 7, -3: -3}
        cases = [(lambda result=result: result, code) for code, result in returns.items()]
        cases += [(quits(None), 0), (quits(5), 5), (quits("why"), 1), (fails, 1), (lambda: "x", 1)]
        for main, code in cases:
            with self.subTest(code=code), host() as here:
                mobula.main(main)
                self.assertEqual(here.run_main(_entries.current()), code)

    def test_main_may_take_the_input(self):
        with host(MOBULA_INPUT="some text") as here:
            mobula.main(lambda data: len(data) + 10 * (data == mobula.input()))
            self.assertEqual(here.run_main(_entries.current()), 19)

    def test_no_main(self):
        with host() as here:
            self.assertEqual(here.run_main(_entries.Program("x.py")), 1)
            self.assertIn("x.py has no main", said.getvalue())

    def test_protos_run_first_and_neither_chain_nor_lock(self):
        with host() as here:
            seen = []

            @mobula.proto
            def prepare():
                for refused in (lambda: mobula.chain_this(1), mobula.lock("k").__enter__):
                    with self.assertRaisesRegex(mobula.Error, "proto-function cannot"):
                        refused()
                seen.append("proto")

            mobula.main(lambda: seen.append("main"))
            self.assertEqual(here.run_main(_entries.current()), 0)
            self.assertEqual(seen, ["proto", "main"])


class Chaining(unittest.TestCase):
    def test_results_come_back(self):
        for threads in (1, 2, 8):
            with self.subTest(threads=threads), host(threads):
                function = mobula.func(add)
                calls = [function.chain(i, b=2) for i in range(50)]
                self.assertEqual([c.wait() for c in calls], [i + 2 for i in range(50)])
                self.assertEqual(calls[0].wait(), 2)
                self.assertEqual(function(1), 2)

    def test_bytes_in_and_out(self):
        with host():
            mobula.func(index=4)(plain)
            call = mobula.chain_this(4, b"abc")
            self.assertEqual((call.code, call.output), (3, b"cba"))
            with self.assertRaises(mobula.CallError) as caught:
                call.wait()
            self.assertEqual(caught.exception.code, 3)
            self.assertEqual(mobula.chain_this(4).wait(), b"")

    def test_functions_that_are_no_entries(self):
        with host():
            self.assertEqual(mobula.chain_this(plain, b"abc").output, b"cba")
            mobula.parallel_for(_count, (10, 30), 5, "n")
            self.assertEqual(_counted, set(range(10, 30)))
            with self.assertRaisesRegex(mobula.Error, "by name"):
                mobula.chain_this(lambda: None)

    def test_failures(self):
        with host():

            @mobula.func
            def fails(how):
                raise how

            cases = {
                ValueError("bad"): "fails: ValueError: bad",
                SystemExit(4): "fails: exit code 4",
                MemoryError(): "fails: MemoryError",
            }
            for how, message in cases.items():
                with self.assertRaises(mobula.CallError) as caught:
                    fails.chain(how).wait()
                self.assertEqual(str(caught.exception), message)
            self.assertIn("raise how", said.getvalue())
            self.assertNotIn("_entries.py", said.getvalue())

    def test_a_missing_entry(self):
        with host():
            self.assertEqual(mobula.chain_this(9).code, 1)
            self.assertIn("test has no entry 9", said.getvalue())

    def test_what_looks_like_pickle_is_bytes(self):
        with host():
            seen = []
            mobula.func(index=1)(lambda data: seen.append(data))
            packed = _calls.pickled(((print, "unpickled"), {}))
            self.assertEqual(mobula.chain_this(1, packed).code, 0)
            self.assertEqual(seen, [packed])

    def test_a_result_leaves_no_room_for_an_output(self):
        with host():
            with self.assertRaisesRegex(mobula.CallError, "returns its result"):
                mobula.func(lambda: mobula.output(b"x")).chain().wait()

    def test_calls_not_awaited_run_to_the_end(self):
        with host() as here:
            done = []
            function = mobula.func(lambda i: done.append(i))
            for i in range(20):
                function.chain(i)
            here.finish()
            self.assertEqual(sorted(done), list(range(20)))

    def test_nested(self):
        for threads in (1, 2, 5):
            with self.subTest(threads=threads), host(threads):

                @mobula.func
                def fib(n):
                    if n < 2:
                        return n
                    one, two = fib.chain(n - 1), fib.chain(n - 2)
                    return one.wait() + two.wait()

                self.assertEqual(fib.chain(9).wait(), 34)

    def test_ids_are_awaited_once_by_who_chained(self):
        with host():
            function = mobula.func(lambda: None)
            call = function.chain()
            call.wait()
            with self.assertRaisesRegex(mobula.Error, "awaited already"):
                mobula.Call(call.id, "again").wait()
            other = function.chain()

            @mobula.func
            def thief(id):
                return mobula.Call(id, "not mine").code

            with self.assertRaisesRegex(mobula.CallError, "not chained by this call"):
                thief.chain(other.id).wait()

    def test_await_any(self):
        for threads in (1, 4):
            with self.subTest(threads=threads), host(threads):
                function = mobula.func(add)
                calls = [function.chain(i) for i in range(5)]
                results = set()
                while calls:
                    call = mobula.await_any(calls)
                    results.add(call.wait())
                    calls.remove(call)
                self.assertEqual(results, {1, 2, 3, 4, 5})
                with self.assertRaises(mobula.Error):
                    mobula.await_any([])

    def test_loops_cover_their_range_once(self):
        for threads in (1, 3):
            for n, grain in [(0, 1), (1, 1), (7, 100), (100, 7), (1000, 1)]:
                with self.subTest(threads=threads, n=n, grain=grain), host(threads):
                    parts, mutex = [], threading.Lock()

                    @mobula.func
                    def body(lo, hi, extra):
                        with mutex:
                            parts.append((lo, hi, extra))

                    mobula.parallel_for(body, n, grain, "x")
                    parts.sort()
                    covered = [i for lo, hi, _ in parts for i in range(lo, hi)]
                    self.assertEqual(covered, list(range(n)))
                    self.assertTrue(all(hi - lo >= grain for lo, hi, _ in parts[:-1]))

    def test_a_loop_fails_if_a_part_does(self):
        with host():

            @mobula.func
            def body(lo, hi):
                if lo <= 50 < hi:
                    raise ValueError("50")

            with self.assertRaises(mobula.CallError):
                mobula.parallel_for(body, 100, 10)

    def test_ranges_by_number(self):
        with host():
            mobula.func(index=2)(_count_range)
            self.assertIsNone(mobula.get_range())
            _counted.clear()
            self.assertEqual(mobula.chain_range(2, 5, 25, 4, b"in").code, 0)
            self.assertEqual(_counted, set(range(5, 25)))
            call = mobula.chain_range(2, 0, 3)
            self.assertEqual((call.wait(), call.output), (b"", b""))
            with self.assertRaisesRegex(mobula.Error, "parallel loop, which has no output"):
                mobula.Call(mobula.chain_range(2, 0, 3).id, "loop").wait()

    def test_placed(self):
        with host():
            function = mobula.func(add)
            self.assertEqual(function.chain_at("k", 0, 1).wait(), 2)
            self.assertEqual(mobula.chain_at("k", 100, plain, b"ab").output, b"ba")

    def test_a_name_that_is_not_there(self):
        with host():
            with self.assertRaisesRegex(mobula.Error, "no no_such_function.py in"):
                mobula.chain("no_such_function")


class Locks(unittest.TestCase):
    def test_writers_exclude_each_other(self):
        for settings in ({}, {"global_": True}):
            with self.subTest(**settings), host(4):
                mobula.create_state("n", 8)

                @mobula.func
                def many():
                    for _ in range(50):
                        with mobula.lock("n", **settings):
                            n = int.from_bytes(mobula.get_state("n"), "little")
                            mobula.set_state("n", (n + 1).to_bytes(8, "little"))

                for call in [many.chain() for _ in range(4)]:
                    call.wait()
                self.assertEqual(int.from_bytes(mobula.get_state("n"), "little"), 200)

    def test_readers_share(self):
        with host(4):
            both = threading.Barrier(2, timeout=20)

            @mobula.func
            def reader():
                with mobula.lock("k", write=False):
                    both.wait()

            for call in [reader.chain(), reader.chain()]:
                call.wait()

    def test_a_call_that_ends_unlocks(self):
        with host(2):

            @mobula.func
            def keeps():
                mobula.lock("k").__enter__()
                raise ValueError

            call = keeps.chain()
            self.assertEqual(call.code, 1)
            with mobula.lock("k"):
                pass

    def test_waiting_for_who_waits_for_me_fails(self):
        for threads in (1, 3):
            with self.subTest(threads=threads), host(threads):

                @mobula.func
                def child():
                    with mobula.lock("k"):
                        pass

                @mobula.func
                def parent():
                    with mobula.lock("k"):
                        child.chain().wait()

                with self.assertRaisesRegex(mobula.CallError, "waits for this one"):
                    parent.chain().wait()

    def test_misuse(self):
        with host():
            with self.assertRaisesRegex(mobula.Error, "does not hold"):
                mobula.lock("k").__exit__()
            with mobula.lock("k"):
                with self.assertRaisesRegex(mobula.Error, "this call holds it"):
                    mobula.lock("k").__enter__()


_counted = set()


def _count(lo, hi, _name):
    _counted.update(range(lo, hi))


def _count_range():
    _counted.update(range(*mobula.get_range()))


if __name__ == "__main__":
    unittest.main()
