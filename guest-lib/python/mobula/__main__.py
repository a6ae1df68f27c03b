"""`python3 -m mobula app.py [arguments]`: runs a function's file natively, unchanged.

For files that have no `if __name__ == "__main__":` part of their own.
"""

import os
import sys

from mobula import _entries, _host, _local


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: python3 -m mobula FILE.py [ARGUMENT ...]")
    if _host.in_sandbox():
        sys.exit("mobula: for an ordinary Python; in the sandbox the runtime loads files")
    del sys.argv[0]
    path = sys.argv[0]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    try:
        with open(path, encoding="utf-8") as file:
            source = file.read()
    except (OSError, UnicodeDecodeError) as failure:
        sys.exit(f"mobula: {path}: {failure}")
    program = _entries.start_program(path)
    try:
        program.load(source)
    except Exception as failure:
        _entries.print_failure(failure)
        sys.exit(1)
    sys.exit(_local.host().run_main(program))


if __name__ == "__main__":
    main()
