"""The host's part under an ordinary Python: calls are threads, state is process memory.

For debugging, and for what needs no sandbox. The answers are the sandbox's, errors included, with
these differences: calls share globals; there is one host, so that push and pull only check their
arguments; a name that is chained is a Python file beside the main one.

    MOBULA_THREADS   threads that run calls; 1 runs each call at once where it is chained, so that
                     the order is always the same. Default: the CPUs, at least 2, at most 16
    MOBULA_INPUT, MOBULA_INPUT_FILE     input of main: a text, a file
    MOBULA_OUTPUT                       file for main's output; `-`: standard output
    MOBULA_STATE, MOBULA_SAVE_STATE     values from and to files: `demo/a=a.bin,demo/b=b.bin`
    MOBULA_CONF                         flags: `A=1,B=0`
    MOBULA_NATIVE_PATH                  directories of chained files, separated by `os.pathsep`

Who holds what: `_changed` is the one lock for the queue of calls, their ends and the locks of
values; `_merging` makes merges atomic. User code never runs under either.
"""

import atexit
import collections
import os
import struct
import sys
import threading

from mobula import _entries
from mobula._errors import TRAPPED, Error
from mobula._local_state import LocalState, Value, argument_data, argument_key, fill

_MAX_THREADS = 16
_ID = struct.Struct("<I")
_RANGE = struct.Struct("<qq")


class _Task:
    """One call: what it was given, what came of it."""

    def __init__(self, id, parent, program, index, input=b"", part=None):
        self.id = id
        self.parent = parent
        self.program = program
        self.index = index
        self.input = input
        self.part = part
        self.output = b""
        self.code = None
        self.started = False
        self.is_proto = False
        self.awaits = None
        self.children = {}
        self.kept = {}
        self.locks = []
        #: The parts of a parallel loop; None: this is no loop.
        self.subtasks = None

    def ancestors(self):
        task = self.parent
        while task is not None:
            yield task
            task = task.parent


class _Running(threading.local):
    task = None


class LocalHost(LocalState):
    """Answers requests as the runtime does; one for the process."""

    def __init__(self, environment=None):
        env = os.environ if environment is None else environment
        super().__init__()
        self._env = env
        cpus = os.cpu_count() or 1
        self._threads = int(env.get("MOBULA_THREADS") or min(max(cpus, 2), _MAX_THREADS))
        self._queue = collections.deque()
        self._workers = 0
        self._unfinished = 0
        self._next_id = 1
        self._running = _Running()
        self._programs = {}
        self._flags = dict(_pairs(env.get("MOBULA_CONF", "")))
        self._root = _Task(0, None, None, 0, _first_input(env))
        self._root.started = True
        for key, path in _state_files(env.get("MOBULA_STATE", "")):
            with open(path, "rb") as file:
                self._values[key] = Value(file.read())

    # ------------------------------------------------------------ the program

    def run_main(self, program):
        """Runs the proto-functions and main, waits for all calls, and returns main's code."""
        self._root.program = program
        self._root.is_proto = True
        try:
            program.run_protos()
        finally:
            self._root.is_proto = False
        return program.run(0)

    def finish(self):
        """Runs what was chained and not awaited; writes output and state to their files."""
        self._release_locks(self._root)
        while self._unfinished:
            task = self._take()
            if task is not None:
                self._run(task)
                continue
            with self._changed:
                if self._unfinished and not self._queue:
                    self._changed.wait()
        target = self._env.get("MOBULA_OUTPUT")
        if target == "-":
            sys.stdout.flush()
            sys.stdout.buffer.write(self._root.output)
            sys.stdout.flush()
        elif target:
            with open(target, "wb") as file:
                file.write(self._root.output)
        for key, path in _state_files(self._env.get("MOBULA_SAVE_STATE", "")):
            value = self._values.get(key)
            with open(path, "wb") as file:
                file.write(value.data if value else b"")

    # ------------------------------------------------------------ requests

    def request(self, name, arguments, out_len):
        """Answers a request as `mobula._host` describes them: `(result, output)`.

        Arguments are int, bytes from the pointer on, or `Out`. Raises `Error`.
        """
        handler = getattr(self, name.lstrip("_"), None)
        if handler is None or not name.startswith("__"):
            raise Error(f"{name}: no such function of the host")
        out = bytearray(out_len)
        return handler(out, *arguments) or 0, bytes(out)

    def faasm_read_input(self, out, target, length):
        task = self._task()
        return fill(out, target, task.input, length) if length else len(task.input)

    def faasm_write_output(self, _out, data, length):
        self._task().output = argument_data(data, length)

    def faasm_get_idx(self, _out):
        return self._task().index

    def faasm_get_conf_flag(self, _out, key):
        fixed = {"ALWAYS_ON": "1", "ALWAYS_OFF": "0"}
        return int({**self._flags, **fixed}.get(argument_key(key)) == "1")

    # ------------------------------------------------------------ chaining

    def faasm_chain_this(self, _out, index, data, length):
        return self._chain(self._program(), index, argument_data(data, length))

    def mobula_chain_at(self, _out, key, offset, index, data, length):
        argument_key(key)
        if offset < 0:
            raise Error(f"chain_at {argument_key(key)!r}: offset {offset}")
        return self._chain(self._program(), index, argument_data(data, length))

    def faasm_chain_function(self, _out, name, data, length):
        program = self._load(argument_key(name))
        return self._chain(program, 0, argument_data(data, length))

    def mobula_chain_range(self, _out, index, lo, hi, grain, data, length):
        if hi < lo or grain < 1:
            raise Error(f"chain_range: {lo}..{hi} with grain {grain}")
        calls = min((hi - lo) // grain, 4 * self._threads) or int(hi > lo)
        # The first parts are longer by one where it does not come out even.
        each, longer = divmod(hi - lo, calls or 1)
        parts, at = [], lo
        for i in range(calls):
            end = at + each + (i < longer)
            parts.append((at, end))
            at = end
        return self._chain(self._program(), index, argument_data(data, length), parts)

    def mobula_get_range(self, out, lo, hi):
        part = self._task().part
        for target, end in zip((lo, hi), part or (0, 0)):
            fill(out, target, end.to_bytes(8, "little", signed=True), 8)
        return int(part is not None)

    def faasm_await_call(self, _out, id):
        return self._await(id).code

    def faasm_await_call_output(self, out, id, target, length):
        self._refuse_loop(id)
        task = self._await(id)
        fill(out, target, task.output, length)
        return task.code

    def mobula_await_output_size(self, out, id, size):
        self._refuse_loop(id)
        task = self._await(id)
        self._task().kept[id] = task.output
        fill(out, size, _ID.pack(len(task.output)), _ID.size)
        return task.code

    def mobula_take_output(self, out, id, target, length):
        output = self._task().kept.pop(id, None)
        if output is None:
            raise Error(f"take_output: no output of call {id} is kept")
        return fill(out, target, output, length) if length else 0

    def mobula_await_any(self, _out, ids, count):
        mine = self._task().children
        tasks = [self._child(mine, i) for (i,) in _ID.iter_unpack(ids[: 4 * count]) if i]
        if not tasks:
            raise Error("await_any: no calls")
        while True:
            with self._changed:
                done = next((t for t in tasks if t.code is not None), None)
                if done is not None:
                    return done.id
                todo = next((s for t in tasks for s in t.subtasks or (t,) if not s.started), None)
                if todo is None:
                    self._changed.wait()
                    continue
                todo.started = True
            self._run(todo)

    def _task(self):
        return self._running.task or self._root

    def _program(self):
        return self._task().program or _entries.current()

    def _chain(self, program, index, data, parts=None):
        caller = self._task()
        if caller.is_proto:
            raise Error("chain: a proto-function cannot chain")
        with self._changed:
            task = _Task(self._next_id, caller, program, index, data)
            self._next_id += 1
            caller.children[task.id] = task
            if parts is not None:
                task.started = True
                task.subtasks = [_Task(task.id, task, program, index, data, p) for p in parts]
                if not parts:
                    task.code = 0
            new = list(task.subtasks) if parts is not None else [task]
            self._unfinished += len(new)
            if self._threads > 1:
                self._queue.extend(new)
                self._add_workers()
                self._changed.notify_all()
            else:
                for one in new:
                    one.started = True
        if self._threads == 1:
            for one in new:
                self._run(one)
        return task.id

    def _add_workers(self):
        while self._workers < min(self._threads, self._unfinished):
            self._workers += 1
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
            task = self._take()
            if task is not None:
                self._run(task)

    def _take(self):
        """The first call in the queue that nobody has started."""
        with self._changed:
            while self._queue:
                task = self._queue.popleft()
                if not task.started:
                    task.started = True
                    return task
        return None

    def _run(self, task):
        before, self._running.task = self._running.task, task
        try:
            with _entries.belongs_to(task.program):
                code = task.program.run(task.index)
        except BaseException as failure:
            # The program handles what a call raises; this is a KeyboardInterrupt.
            code = TRAPPED
            if threading.current_thread() is threading.main_thread():
                raise
            _interrupt(failure)
        finally:
            self._running.task = before
            self._release_locks(task)
            with self._changed:
                task.code = code if task.code is None else task.code
                self._unfinished -= 1
                loop = task.parent if task.part is not None else None
                if loop is not None and all(s.code is not None for s in loop.subtasks):
                    loop.code = next((s.code for s in loop.subtasks if s.code), 0)
                self._changed.notify_all()

    def _child(self, mine, id):
        task = mine.get(id)
        if task is None:
            raise Error(f"await: call {id} was not chained by this call, or is awaited already")
        return task

    def _await(self, id):
        caller = self._task()
        task = self._child(caller.children, id)
        caller.awaits = task
        try:
            for todo in task.subtasks or (task,):
                with self._changed:
                    mine = not todo.started
                    todo.started = True
                if mine:
                    self._run(todo)
            with self._changed:
                self._changed.wait_for(lambda: task.code is not None)
        finally:
            caller.awaits = None
        del caller.children[id]
        return task

    def _refuse_loop(self, id):
        task = self._task().children.get(id)
        if task is not None and task.subtasks is not None:
            raise Error(f"await: call {id} is a parallel loop, which has no output")

    def _load(self, name):
        """The program of a chained name. Raises `Error` when there is none."""
        with self._changed:
            if name in self._programs:
                return self._programs[name]
        places = [os.path.dirname(os.path.abspath(sys.argv[0] or "."))]
        places += filter(None, self._env.get("MOBULA_NATIVE_PATH", "").split(os.pathsep))
        for place in places:
            path = os.path.join(place, f"{name}.py")
            if os.path.isfile(path):
                program = _entries.Program(path)
                with open(path, encoding="utf-8") as file, _entries.belongs_to(program):
                    program.load(file.read(), f"mobula_guest_{name}")
                    program.run_protos()
                break
        else:
            raise Error(f"chain_function: no {name}.py in {os.pathsep.join(places)}")
        with self._changed:
            return self._programs.setdefault(name, program)


def _interrupt(failure):
    """Ends the program as the failure of its main thread would."""
    import _thread

    sys.stderr.write(f"{type(failure).__name__} in a call\n")
    _thread.interrupt_main()


# ---------------------------------------------------------------- settings


def _pairs(text):
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            raise Error(f"{part!r} in the environment is no NAME=VALUE")
        yield name, value


def _state_files(text):
    """Key and file of each part of a list `user/key=file`; there is one user here."""
    for name, path in _pairs(text):
        yield name.partition("/")[2] or name, path


def _first_input(env):
    if env.get("MOBULA_INPUT_FILE"):
        with open(env["MOBULA_INPUT_FILE"], "rb") as file:
            return file.read()
    return env.get("MOBULA_INPUT", "").encode()


_host = None
_making = threading.Lock()


def host():
    """The host of this process, made at its first use; it finishes when the program ends."""
    global _host
    with _making:
        if _host is None:
            _host = LocalHost()
            atexit.register(_host.finish)
        return _host


def replace_host(new):
    """Makes another one the host of this process and returns it; for tests."""
    global _host
    _host = new
    return new
