/* matmul_blas N REPETITIONS WORKERS: C = A B by divide and conquer; parts are multiplied by the host's BLAS,
 * where they lie, on windows. A BLAS likes large parts, which it packs itself. */
#include <faasm/blas.h>

#include "matmul_calls.h"

static void multiply(long n, const double* a, const double* b, double* c, long rows, long columns)
{
    mobulaBlasDgemm(0, 0, rows, columns, n, 1, a, n, b, n, 0, c, n);
}

static long widest(void)
{
    return 2048;
}
