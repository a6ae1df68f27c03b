"""Every example prints what its head says: as `python3 x.py`, by `python3 -m mobula`, and through
the door with the runtime's first code. Some are about the sandbox, and need the real one.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

try:
    import numpy
except ImportError:
    numpy = None

PYTHON = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = PYTHON.parent / "examples" / "python"
FAKE_HOST = str(PYTHON / "tests" / "fake_host.py")
SANDBOX_ONLY = {"endless_loop", "files", "memory", "outside_file", "after_unmap"}
SETTINGS = {"--input": "MOBULA_INPUT", "--output": "MOBULA_OUTPUT"}
UNPREPARED = 101


def lines(text, what):
    return re.findall(rf"^# {what}: (.*)$", text, re.MULTILINE)


class Examples(unittest.TestCase):
    def run_all(self, command, kinds=("", "bad")):
        tried = 0
        for kind in kinds:
            for path in sorted((EXAMPLES / kind).glob("*.py")):
                text = path.read_text(encoding="utf-8")
                if path.stem in SANDBOX_ONLY or not numpy and "import numpy" in text:
                    continue
                for run in lines(text, "run"):
                    with self.subTest(example=path.name):
                        self.run_one(path, text, run, command)
                        tried += 1
        self.assertGreaterEqual(tried, 6)

    def run_one(self, path, text, run, command):
        words = shlex.split(run)[3:]
        settings = {SETTINGS[option]: value for option, value in zip(words[::2], words[1::2])}
        done = subprocess.run(
            [sys.executable, *command, path.name],
            cwd=path.parent,
            env={
                **os.environ,
                **settings,
                "PYTHONPATH": str(PYTHON),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        expected = [re.escape(line).replace(r"\*", ".*") for line in lines(text, "expect")]
        self.assertRegex(done.stdout.rstrip("\n"), "^" + "\n".join(expected) + "$", done.stderr)
        # Traces of library code differ; what the head says of them is there.
        for part in lines(text, "stderr"):
            self.assertIn(part, done.stderr)
        (code,) = lines(text, "exit")
        code = int(code)
        self.assertEqual(done.returncode, 1 if code == UNPREPARED else code, done.stderr)

    def test_as_python_runs_them(self):
        self.run_all([], kinds=("",))

    def test_by_the_module(self):
        self.run_all(["-m", "mobula"])

    def test_through_the_door(self):
        self.run_all([FAKE_HOST])


class OneAfterTheOther(Examples):
    """The same without threads."""

    def setUp(self):
        os.environ["MOBULA_THREADS"] = "1"
        self.addCleanup(os.environ.pop, "MOBULA_THREADS")


if __name__ == "__main__":
    unittest.main()
