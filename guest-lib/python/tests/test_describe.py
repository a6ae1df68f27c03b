"""What `mobula info` says of a file."""

import unittest

from mobula import _describe


def describe(source):
    return _describe.describe("app.py", source)


class Describe(unittest.TestCase):
    def test_entries_with_index_and_name_and_proto_functions(self):
        found = describe(
            "import mobula\n"
            "@mobula.func(index=7)\ndef seven(): pass\n"
            "@mobula.main\ndef start(): pass\n"
            "@mobula.proto\ndef prepare(): 1 / 0\n"
        )
        self.assertEqual(found["entries"], [(0, "start"), (7, "seven")])
        self.assertEqual(found["proto_functions"], ["prepare"])
        self.assertEqual((found["missing"], found["failure"]), ([], None))

    def test_main_by_its_name_and_scripts(self):
        self.assertEqual(describe("def main_func(): pass\n")["entries"], [(0, "main_func")])
        found = describe("raise SystemExit('not run')\n")
        self.assertEqual(found["entries"], [(0, "the whole file")])
        self.assertIsNone(found["failure"])

    def test_a_text_that_is_no_python(self):
        self.assertIsNone(_describe.syntax("app.py", "import no_such_module\n1 / 0\n"))
        self.assertEqual(
            _describe.syntax("app.py", "x = 1\nint y;\n"), "line 2: SyntaxError: invalid syntax"
        )

    def test_modules_that_are_missing_wherever_they_are_imported(self):
        found = describe(
            "import os.path, json\n"
            "def main_func():\n    import no_such_a\n    from no_such_b.c import d\n"
        )
        self.assertEqual(found["missing"], ["no_such_a", "no_such_b.c"])
        self.assertIsNone(found["failure"])

    def test_why_a_file_cannot_be_loaded(self):
        found = describe("x = 1\ndef main_func(:\n")
        self.assertRegex(found["failure"], "^line 2: SyntaxError: ")
        found = describe("def main_func():\n    pass\nimport no_such_a\n")
        self.assertRegex(found["failure"], "^line 3: ModuleNotFoundError: .*no_such_a")
        self.assertEqual(found["missing"], ["no_such_a"])
        self.assertEqual(describe("def main_func(): pass\nexit(3)\n")["failure"][-13:], "SystemExit: 3")

    def test_what_it_registers_does_not_stay(self):
        first = describe("import mobula\n@mobula.main\ndef a(): pass\n")
        second = describe("import mobula\n@mobula.main\ndef b(): pass\n")
        self.assertEqual((first["entries"], second["entries"]), ([(0, "a")], [(0, "b")]))


if __name__ == "__main__":
    unittest.main()
