/* Peer of stencil in C with OpenMP: stencil_openmp N REPETITIONS WORKERS. Each thread sweeps a block of rows
 * that it touched first, and raises the rows at the block's ends when its neighbours have seen them. */
#define _GNU_SOURCE
#include <omp.h>

#include "huge.h"

#include "../guests/stencil.h"

static long first_of(long n, int thread, int threads)
{
    return n * thread / threads;
}

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 256), repetitions = argument(argc, argv, 2, 10);
    long ld = row_length(n);
    double* in = huge_alloc(sizeof(double) * (size_t)(n * ld));
    double* out = huge_alloc(sizeof(double) * (size_t)(n * ld));
    double sum = 0;
    if (n / omp_get_max_threads() < LEAST_ROWS) {
        fprintf(stderr, "stencil_openmp: fewer than %d rows a thread\n", LEAST_ROWS);
        return 1;
    }
#pragma omp parallel
    {
        long first = first_of(n, omp_get_thread_num(), omp_get_num_threads());
        long end = first_of(n, omp_get_thread_num() + 1, omp_get_num_threads());
        stencil_start(out + first * ld, in + first * ld, end - first, first, n);
    }
    for (long r = -STENCIL_WARM_UPS; r < repetitions; r++) {
        double before = now();
#pragma omp parallel
        {
            long first = first_of(n, omp_get_thread_num(), omp_get_num_threads());
            long end = first_of(n, omp_get_thread_num() + 1, omp_get_num_threads());
            sweep(out, in, first, end, 0, n);
#pragma omp barrier
            raise_rows(in, first, first + RADIUS, n);
            raise_rows(in, end - RADIUS, end, n);
        }
        if (r >= 0) {
            sample("iteration", "ms", (now() - before) * 1e3);
        }
    }
    sum = stencil_sum(out, n, 0, n);
    return stencil_verdict(n, repetitions, sum);
}
