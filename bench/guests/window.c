/* window-read and window-triad: window [repetitions]. The value `bytes` is loaded by --state and read
 * through one window. One sample a repetition: GB/s. */
#include <faasm/faasm.h>

#include "stream.h"

FAASM_MAIN_FUNC()
{
    long size = faasmReadStateSize("bytes");
    measure((double*)faasmReadStatePtr("bytes", size), size, argument(argc, argv, 1, 10));
    return 0;
}
