# An import of what is not there: the run cannot be prepared.
#
# run: mobula run missing_import.py
# stderr: File "missing_import.py", line 7, in <module>
# stderr: ModuleNotFoundError: No module named 'no_such_module'
# exit: 101
import no_such_module

import mobula


@mobula.main
def main():
    print("never printed", no_such_module)
