/* matmul N REPETITIONS WORKERS: C = A B by divide and conquer, in plain guest code.
 *
 * WebAssembly has vectors of two doubles, and a fused multiply-add among its relaxed instructions: half of
 * what a processor with 256-bit vectors can do is the most there is. matmul_blas.c asks the host. */
#include "matmul_calls.h"

static struct packed room;

static void multiply(long n, const double* a, const double* b, double* c, long rows, long columns)
{
    multiply_block(n, a, b, c, rows, columns, &room);
}

static long widest(void)
{
    return BLOCK_COLUMNS;
}
