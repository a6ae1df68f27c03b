// How a program ends, as its argument says.
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void at_exit(void)
{
    puts("at exit");
}

static int deep(volatile char* above, int depth)
{
    volatile char frame[1024];
    frame[0] = above[0];
    return depth == 0 ? frame[0] : deep(frame, depth - 1) + frame[0];
}

int main(int argc, char** argv)
{
    const char* how = argc > 1 ? argv[1] : "";
    char none = 0;
    atexit(at_exit);
    puts("begin");
    fflush(stdout);
    if (strcmp(how, "exit") == 0) {
        exit(7);
    } else if (strcmp(how, "_exit") == 0) {
        _exit(8);
    } else if (strcmp(how, "abort") == 0) {
        abort();
    } else if (strcmp(how, "assert") == 0) {
        assert(argc == 0);
    } else if (strcmp(how, "raise") == 0) {
        raise(SIGTERM);
    } else if (strcmp(how, "stack") == 0) {
        return deep(&none, 2000); // 2 MiB
    }
    return 3;
}
