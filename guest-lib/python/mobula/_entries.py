"""Entries: which functions of a file can be called, and what a call of one does.

the file as it is loaded                        an entry
@mobula.main, @faasm_main, def main_func        0
@mobula.func, @faasm_func(i), registerFunction  i, or the next free number from 1 on
any other function, chained by itself           by its name (see `_calls`)
nothing of this                                 a script: the whole file is entry 0
"""

import importlib
import operator
import sys
import threading
import traceback
import types

from mobula import _calls, _host, _identity
from mobula._errors import Error

#: `__name__` of a file that the runtime loads; `"__main__"` is only that of scripts.
GUEST_MODULE = "mobula_guest"
#: Functions that are main by their name, in this order.
_MAIN_NAMES = ("main_func", "faasm_main")
#: Whoever uses one of these tells entries apart in main, as Faasm's programs of 2019 do.
_DISPATCHES = {"getFunctionIdx", "get_function_idx"}
_DECORATORS = {"main", "func", "proto", "faasm_main", "faasm_func"}
#: What Python adds when a module is missing, in a place that has no site-packages on purpose.
_HINT_FOR_SITES = (
    ". Site initialization is disabled, did you forget to add the site-packages directory to"
    " sys.path or to enable your virtual environment?"
)
#: Parts of numpy that it loads at their first use; better before the snapshot than in every call.
_LATE_PARTS = ("random", "linalg", "fft", "polynomial", "ma", "testing", "strings", "char", "rec")


class Program:
    """One file's entries. `name` is what tracebacks call the file."""

    def __init__(self, name):
        self.name = name
        self.module = None
        self._entries = {}
        self._protos = []
        self._next = 1
        self._code = None
        self._is_script = False
        self._names = frozenset()

    # ------------------------------------------------------------ making entries

    def register(self, index, function, replace=False):
        """Makes a function the entry `index`. Raises `Error` when it is taken or too
        large."""
        if not 0 <= index < _calls.OBJECTS:
            raise Error(
                f"entry {index} of {function.__name__}: 0 to {_calls.OBJECTS - 1} are allowed"
            )
        taken = self._entries.get(index)
        if taken is not None and not replace:
            raise Error(
                f"entry {index} is both {_plain(taken).__name__} and {_plain(function).__name__}"
            )
        self._entries[index] = function

    def next_index(self):
        """The lowest number from 1 on that no entry has."""
        while self._next in self._entries:
            self._next += 1
        return self._next

    def clear(self):
        """Forgets all entries but main."""
        self._entries = {i: f for i, f in self._entries.items() if i == 0}
        self._next = 1

    def add_proto(self, function):
        """Adds a function that runs once, before the snapshot."""
        self._protos.append(function)

    def index_of(self, function):
        """The number of a function's entry; None when it is none."""
        if isinstance(function, _calls.Function):
            return function.index
        return next((i for i, f in self._entries.items() if i and _plain(f) is function), None)

    def listing(self):
        """Pairs of index and name of the entries, in order."""
        found = {index: _plain(function).__name__ for index, function in self._entries.items()}
        main = self._main_by_name()
        if self._is_script:
            found.setdefault(0, "the whole file")
        elif main is not None:
            found.setdefault(0, main.__name__)
        return sorted(found.items())

    def proto_names(self):
        """The names of the proto-functions, in the order of the file."""
        return [function.__name__ for function in self._protos]

    # ------------------------------------------------------------ loading

    def load(self, source, module=GUEST_MODULE):
        """Loads the file as a module of that name, unless it is a script, and its part of numpy.

        Raises what the file raises, `SyntaxError` included.
        """
        import ast

        tree = compile(source, self.name, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        self._code = compile(tree, self.name, "exec", dont_inherit=True)
        self._names = frozenset(_names(self._code))
        self._is_script = not any(map(_makes_entry, tree.body))
        if self._is_script:
            self._import_for_script(tree)
        else:
            self._execute(module)
        if "window" in self._names:
            # Where there is no numpy, window says so when it is called.
            _try_import("numpy")
        numpy = sys.modules.get("numpy")
        for part in _LATE_PARTS:
            if numpy is not None and part in self._names:
                getattr(numpy, part, None)

    def run_protos(self):
        """Runs the proto-functions, in the order of the file."""
        for function in self._protos:
            function()

    def _execute(self, name):
        self.module = types.ModuleType(name)
        self.module.__file__ = self.name
        sys.modules[name] = self.module
        exec(self._code, self.module.__dict__)

    def _import_for_script(self, tree):
        for statement in tree.body:
            for name in _imported(statement):
                _try_import(name)

    # ------------------------------------------------------------ calls

    def run(self, index):
        """Runs an entry as the call of this thread and returns its return code.

        None is 0, an int itself, `SystemExit` its code; any other exception is printed with its
        traceback and is 1.
        """
        running = _identity.running
        before = running.index, running.input, running.returns_object
        running.index = index
        running.input, running.returns_object = None, False
        try:
            return _code(self._call(index))
        except SystemExit as exit:
            if running.returns_object and exit.code not in (None, 0):
                _identity.raw_output(f"exit code {exit.code}".encode())
            return _exit_code(exit.code)
        except Exception as failure:
            print_failure(failure)
            if running.returns_object:
                _say_failure(failure)
            return 1
        finally:
            running.index, running.input, running.returns_object = before

    def call_here(self, entry, input):
        """Calls an entry, given by number or function, as a plain function; what it raises, too."""
        function = self._entry(entry) if isinstance(entry, int) else entry
        return function(input) if _takes_argument(function) else function()

    def _call(self, index):
        if index == _calls.NAMED:
            return self._call_named()
        if index >= _calls.OBJECTS:
            _identity.running.index = index = index - _calls.OBJECTS
            return _call_objects(self._entry(index), _identity.raw_input())
        return _call_bytes(self._entry(index))

    def _call_named(self):
        form, module, name, rest = _calls.split_named(_identity.raw_input())
        if module in (GUEST_MODULE, "__main__"):
            if self.module is None:
                # A function of a script: without the script's `if __name__ ...` part.
                self._execute(GUEST_MODULE)
                sys.modules["__main__"] = self.module
            found = self.module
        else:
            found = importlib.import_module(module)
        function = _plain(operator.attrgetter(name)(found))
        if form == _calls.FORM_OBJECTS:
            return _call_objects(function, rest)
        _identity.running.input = rest
        return _call_bytes(function)

    def _entry(self, index):
        """The function of an entry. Raises `Error` when there is none."""
        found = self._entries.get(index)
        if found is not None:
            return _plain(found)
        if self.module is None and self is _main_program and not _host.in_sandbox():
            self.adopt_main_module()
        main = self._main_by_name()
        if main is not None and (index == 0 or self._names & _DISPATCHES):
            return main
        if self._is_script and (index == 0 or self._names & _DISPATCHES):
            return self._run_script
        if index == 0:
            raise Error(f"{self.name} has no main: use @mobula.main, or def main_func()")
        raise Error(f"{self.name} has no entry {index}")

    def _main_by_name(self):
        found = vars(self.module) if self.module is not None else {}
        for name in _MAIN_NAMES:
            function = found.get(name)
            if callable(function) and getattr(function, "__module__", None) != "pyfaasm.code":
                return function
        return None

    def _run_script(self):
        self._execute("__main__")

    def adopt_main_module(self):
        """Takes `__main__` as the file, as it is under an ordinary Python."""
        self.module = sys.modules["__main__"]
        self.name = getattr(self.module, "__file__", None) or self.name
        code = (f.__code__ for f in vars(self.module).values() if isinstance(f, types.FunctionType))
        self._names = frozenset(name for c in code for name in _names(c))


class _Current(threading.local):
    program = None


_current = _Current()
_main_program = Program("<main>")


def current():
    """The program that the code of this thread belongs to."""
    return _current.program or _main_program


def start_program(name):
    """Makes a new program the one that all threads without another belong to."""
    global _main_program
    _main_program = Program(name)
    return _main_program


class belongs_to:
    """Within the block, code of this thread belongs to that program."""

    def __init__(self, program):
        self._program = program

    def __enter__(self):
        self._before, _current.program = _current.program, self._program

    def __exit__(self, *_failure):
        _current.program = self._before


# ---------------------------------------------------------------- decorators


def main(function):
    """Marks the entry of the file: `mobula run app.py` calls it, without arguments.

    It returns None or 0 for success, or an int. A main that takes an argument gets the input.
    """
    current().register(0, function)
    return function


def func(function=None, *, index=None):
    """Makes a function of the file chainable: `@mobula.func`, or `@mobula.func(index=3)`.

    Without an index it gets the next free one from 1 on, in the order of the file. The result is a
    `Function`: calling it runs it here, `.chain(...)` starts it in a memory of its own.
    """
    if function is None:
        return lambda function: func(function, index=index)
    program = current()
    made = _calls.Function(function, program.next_index() if index is None else index)
    program.register(made.index, made)
    return made


def proto(function):
    """Marks a function that runs once, when the file has been loaded; every call of every entry
    starts from what it left. It may run more than once (on each host), and can neither chain nor
    lock.
    """
    current().add_proto(function)
    return function


def run():
    """Under an ordinary Python: runs the proto-functions and main of the file, then exits with
    main's code. Belongs below everything else, under `if __name__ == "__main__":`, which the
    sandbox skips.
    """
    if _host.in_sandbox():
        raise Error("run: for an ordinary Python; here the runtime calls main")
    from mobula import _local

    program = current()
    program.adopt_main_module()
    sys.exit(_local.host().run_main(program))


# ---------------------------------------------------------------- parts of a call


def _plain(function):
    return function.__wrapped__ if isinstance(function, _calls.Function) else function


def _call_bytes(function):
    """Calls an entry, with the input if it takes an argument."""
    return function(_identity.input()) if _takes_argument(function) else function()


def _call_objects(function, data):
    """Calls a function with pickled arguments and makes its result the output; 0."""
    import pickle

    running = _identity.running
    running.input, running.returns_object = b"", True
    args, kwargs = pickle.loads(data)
    if kwargs is None:
        function(*_calls.get_range(), *args)
        return 0
    result = function(*args, **kwargs)
    # No output stands for None.
    if result is not None:
        _identity.raw_output(_calls.pickled(result))
    return 0


def _takes_argument(function):
    """Whether a function has a positional parameter without a default."""
    function = _plain(function)
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    bound = 1 if isinstance(function, types.MethodType) else 0
    return code.co_argcount - bound > len(getattr(function, "__defaults__", None) or ())


def _code(result):
    """A function's result as a return code. Raises `TypeError` for what is none."""
    if result is None:
        return 0
    try:
        code = operator.index(result)
    except TypeError:
        raise TypeError(
            f"an entry returns None or an int, not {type(result).__name__}; for bytes use output()"
        ) from None
    if not -(1 << 31) <= code < 1 << 31:
        raise TypeError(f"an entry returned {code}, which has more than 32 bits")
    return code


def _exit_code(code):
    try:
        return _code(code)
    except TypeError:
        print(code, file=sys.stderr)
        return 1


def print_failure(failure):
    """Prints an exception on stderr: its traceback from the first frame that is the user's on."""
    trace = failure.__traceback__
    while trace is not None and _is_of_library(trace.tb_frame):
        trace = trace.tb_next
    try:
        lines = traceback.format_exception(type(failure), failure, trace)
        sys.stderr.write(without_hint("".join(lines)))
    except MemoryError:
        sys.stderr.write("MemoryError\n")


def without_hint(text):
    """The text of a failure without advice that helps nobody here."""
    return text.replace(_HINT_FOR_SITES, "")


def _is_of_library(frame):
    names = frame.f_globals
    if names.get("__name__") == "__main__":
        return names.get("__package__") == "mobula" or "_mobula_boot_call" in names
    return names.get("__name__", "").startswith("mobula.")


def _say_failure(failure):
    """Makes an exception's summary the output, for `Call.wait`."""
    try:
        kind, text = type(failure).__name__, str(failure)
        _identity.raw_output(f"{kind}: {text}".encode() if text else kind.encode())
    except Exception as second:
        sys.stderr.write(f"the caller is not told why: {second}\n")


# ---------------------------------------------------------------- looking at a file


def _names(code):
    """All names that a piece of code uses, with the functions in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def imports(source):
    """The modules that a file imports anywhere. Raises `SyntaxError`."""
    import ast

    for node in ast.walk(ast.parse(source)):
        yield from _imported(node)


def _imported(node):
    """The modules that a statement imports."""
    import ast

    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def _makes_entry(statement):
    """Whether a statement of a file, at its top, makes an entry."""
    import ast

    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return statement.name in _MAIN_NAMES or any(map(_is_decorator, statement.decorator_list))
    if isinstance(statement, ast.Assign):
        targets = [t.id for t in statement.targets if isinstance(t, ast.Name)]
        return any(name in _MAIN_NAMES for name in targets)
    if isinstance(statement, ast.ImportFrom) and statement.module != "pyfaasm.code":
        if (statement.module or "").split(".")[0] in ("mobula", "pyfaasm"):
            return False
        return any((a.asname or a.name) in _MAIN_NAMES for a in statement.names)
    if isinstance(statement, (ast.If, ast.Try)):
        return any(map(_makes_entry, statement.body))
    return False


def _is_decorator(node):
    import ast

    if isinstance(node, ast.Call):
        node = node.func
    name = getattr(node, "attr", None) or getattr(node, "id", None)
    return name in _DECORATORS


def _try_import(name):
    """Imports a module ahead of its use; what is wrong with it shows where it is used."""
    try:
        importlib.import_module(name)
    except Exception:
        sys.modules.pop(name, None)
