# Files outside the directories that the run was given are not there; what Python brings along
# cannot be written.
#
# run: mobula run outside_file.py
# expect: /etc/passwd: refused
# expect: /proc/self/environ: refused
# expect: ../../etc/passwd: refused
# expect: /tmp/../etc/passwd: refused
# expect: /usr/local/lib/python315.zip for writing: refused
# expect: a file in /tmp: there
# exit: 0
import mobula

LIBRARY = "/usr/local/lib/python315.zip"
OUTSIDE = ["/etc/passwd", "/proc/self/environ", "../../etc/passwd", "/tmp/../etc/passwd"]


def attempt(path, mode="r"):
    try:
        with open(path, mode):
            return "there"
    except OSError:
        return "refused"


@mobula.main
def main():
    for path in OUTSIDE:
        print(f"{path}: {attempt(path)}")
    print(f"{LIBRARY} for writing: {attempt(LIBRARY, 'r+b')}")
    print("a file in /tmp:", attempt("/tmp/of-this-call", "w"))
