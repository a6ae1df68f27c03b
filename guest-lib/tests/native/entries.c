// No main at all: MOBULA_FUNC names the entry to run.
#include <faasm/faasm.h>

#include <stdio.h>

FAASM_FUNC(five, 5)
{
    printf("entry %d\n", faasmGetCurrentIdx());
    return 300;
}
