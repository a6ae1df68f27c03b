/* startup: the time at which the first instruction of main runs, ns since 1970. */
#include <faasm/faasm.h>

#include "samples.h"

FAASM_MAIN_FUNC()
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    printf("started %lld%09ld\n", (long long)t.tv_sec, t.tv_nsec);
    return 0;
}
