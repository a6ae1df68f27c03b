"""The first code in a Python guest: what the runtime calls, once at creation and then in each call.

    creation   _mobula_boot_prepare(sources, name, source, paths)     then the memory is snapshotted
    call       _mobula_boot_call(index)                               each from a fresh copy of it

The runtime runs this text as it is, in the interpreter's main namespace; it needs nothing but the
standard library and the builtin module `_host`. It is no part of the package that pip installs.
"""

import builtins
import gc
import importlib
import linecache
import os
import sys
from importlib.machinery import ModuleSpec

#: Containers that a call makes before garbage is looked for. Looking writes to memory that has to
#: be put back after the call: short calls should end before it, a long one must not run full.
_MOBULA_GARBAGE = 50_000


class _MobulaSources:
    """Finds and loads modules given as texts; a name with others below it is a package."""

    def __init__(self, sources):
        self._sources = sources

    def find_spec(self, name, path=None, target=None):
        if name not in self._sources:
            return None
        is_package = any(other.startswith(name + ".") for other in self._sources)
        return ModuleSpec(name, self, origin=self._file(name), is_package=is_package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        _mobula_boot_remember(self._file(name), self._sources[name])
        exec(compile(self._sources[name], self._file(name), "exec"), module.__dict__)

    def get_source(self, name):
        return self._sources[name]

    @staticmethod
    def _file(name):
        return name.replace(".", "/") + ".py"


def _mobula_boot_remember(file, text):
    """Makes tracebacks show the lines of a file that is not there."""
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)


def _mobula_boot_prepare(sources, name, source, paths, argv=()):
    """Loads the library and the user's file, and runs its proto-functions.

    sources  dict of module name and text: the library
    name     the user's file as tracebacks show it; `source` is its text
    paths    directories of further modules, searched first
    argv     arguments of the run, for sys.argv

    When the file cannot be loaded, prints the traceback and raises SystemExit(1).
    """
    sys.meta_path.insert(0, _MobulaSources(sources))
    sys.path[:0] = paths
    sys.argv[:] = [name, *argv]
    # Those of the interpreter also close stdin, which the next call still has.
    builtins.exit = builtins.quit = sys.exit
    _mobula_boot_remember(name, source)
    # Loaded now, also where the file imports them only in a function: a call would load them again.
    for module in ("mobula", "pyfaasm.core", "pyfaasm.code", "pyfaasm.state"):
        if module in sources:
            importlib.import_module(module)
    importlib.import_module("mobula._files").prepare()
    entries = importlib.import_module("mobula._entries")
    program = entries.start_program(name)
    try:
        program.load(source)
        program.run_protos()
    except SystemExit as exit:
        if exit.code in (None, 0):
            print(f"{name}: exits while it is loaded; do that in main", file=sys.stderr)
        elif not isinstance(exit.code, int):
            print(exit.code, file=sys.stderr)
        _mobula_boot_flush()
        raise SystemExit(1) from None
    except BaseException as failure:
        entries.print_failure(failure)
        _mobula_boot_flush()
        raise SystemExit(1) from None
    _mobula_boot_flush()
    _mobula_boot_shorten()
    _mobula_boot_multiply()
    gc.collect()
    gc.freeze()
    gc.disable()
    gc.set_threshold(_MOBULA_GARBAGE)


def _mobula_boot_multiply():
    """Multiplies two matrices, where the file has loaded numpy: at its first product numpy's BLAS gets
    16 MiB and fills them with zeros, which takes longer than a short call and is undone after it."""
    numpy = sys.modules.get("numpy")
    try:
        numpy.matmul(numpy.ones((2, 2)), numpy.ones((2, 2)))
    except Exception:
        # No numpy, or another one: then there is nothing to prepare.
        pass


def _mobula_boot_shorten():
    """Makes the interpreter run calls without parsing and compiling the text that asks for them.

    That text is all that a turn runs from here on, and parsing it took longer than a short call. Where
    the interpreter is put together in another way than the one known here, nothing is changed.
    """
    frame = sys._getframe()
    while frame is not None and "_run_turn" not in frame.f_globals:
        frame = frame.f_back
    if frame is None:
        return
    whole, head = frame.f_globals["_run_turn"], "_mobula_boot_call("

    def run_turn(text, name):
        if text.startswith(head):
            _mobula_boot_call(int(text[len(head) : -1]))
        else:
            whole(text, name)

    frame.f_globals["_run_turn"] = run_turn


def _mobula_boot_call(index):
    """Runs an entry as this call, and tells the host its return code. Returns None: the interpreter
    prints anything else."""
    gc.enable()
    _mobula_boot_seed()
    code = sys.modules["mobula._entries"].current().run(index)
    if index == 0:
        _mobula_boot_exit_handlers()
    _mobula_boot_flush()
    sys.modules["mobula._host"].tell_exit(code)


def _mobula_boot_seed():
    """Seeds this call's global random numbers; with the snapshot's seed all calls had the same."""
    if "random" in sys.modules:
        sys.modules["random"].seed(int.from_bytes(os.urandom(16), "little"))
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed(int.from_bytes(os.urandom(4), "little"))


def _mobula_boot_exit_handlers():
    """What `atexit` has: at the end of main, as of any program; other entries have none."""
    atexit = sys.modules.get("atexit")
    if atexit is not None:
        atexit._run_exitfuncs()


def _mobula_boot_flush():
    """Writes out what was printed. A closed or broken stream is no failure of the call."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue
