# A file that is no Python: the run cannot be prepared.
#
# run: mobula run syntax_error.py
# stderr: File "syntax_error.py", line 11
# stderr: SyntaxError
# exit: 101
import mobula

@mobula.main
def main():
    print("never printed"
