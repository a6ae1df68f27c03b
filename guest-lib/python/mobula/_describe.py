"""What a file has, for `mobula info`: found by loading it, without calling anything of it. And whether it
is Python at all, for `mobula upload`.
"""

import contextlib
import importlib.util
import json
import sys
import traceback

from mobula import _entries, _identity


def main_of(look, name, source):
    """A main whose output is what `look` finds, in JSON: that of the program that asks."""

    def main():
        _identity.raw_output(json.dumps(look(name, source)).encode())

    return main


def describe(name, source):
    """A dict of

    entries          pairs of index and name, in order
    proto_functions  their names
    missing          modules that it imports somewhere and that are not there
    failure          why it cannot be loaded, or None
    """
    program = _entries.Program(name)
    failure = None
    # What the file prints is not what was asked for.
    with contextlib.redirect_stdout(sys.stderr), _entries.belongs_to(program):
        try:
            program.load(source)
        except (Exception, SystemExit) as why:
            failure = _summary(why, name)
    return {
        "entries": program.listing(),
        "proto_functions": program.proto_names(),
        "missing": _missing(source),
        "failure": failure,
    }


def syntax(name, source):
    """Why a text is no Python, or None."""
    try:
        compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as why:
        return _summary(why, name)
    return None


def _summary(failure, name):
    """An exception in one line, with the line of the file where it came from."""
    text = _entries.without_hint("".join(traceback.format_exception_only(failure)[-1:]).strip())
    lines = [at.lineno for at in traceback.extract_tb(failure.__traceback__) if at.filename == name]
    if isinstance(failure, SyntaxError):
        lines = [failure.lineno]
    return f"line {lines[-1]}: {text}" if lines else text


def _missing(source):
    try:
        names = sorted(set(_entries.imports(source)))
    except SyntaxError:
        return []
    return [name for name in names if not _is_there(name)]


def _is_there(name):
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
