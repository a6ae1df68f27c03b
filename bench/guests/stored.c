/* store: reads one byte of the value "data" of so many bytes through a window, if there is one. */
#include <faasm/faasm.h>

FAASM_MAIN_FUNC()
{
    long size = (long)faasmReadStateSize("data");
    return size > 0 ? faasmReadStatePtr("data", size)[size - 1] : 0;
}
