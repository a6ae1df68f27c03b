// Part of main.c: gives the length of its input.
#include <faasm/faasm.h>

FAASM_MAIN_FUNC()
{
    const int n = (int)faasmGetInputSize();
    faasmSetOutput(&n, sizeof n);
    return 0;
}
