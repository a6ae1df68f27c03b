/* Peer of transpose: transpose_openmp N REPETITIONS WORKERS. The same bands, a thread each, first touched by
 * the thread that works on them. */
#define _GNU_SOURCE
#include <omp.h>

#include "../guests/transpose.h"
#include "huge.h"

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 1024);
    long repetitions = argument(argc, argv, 2, 10);
    if (!transposable(n, 1)) {
        return 2;
    }
    double* a = huge_alloc(sizeof(double) * (size_t)n * (size_t)n);
    double* b = huge_alloc(sizeof(double) * (size_t)n * (size_t)n);
    double sum = 0, error = 0, start = 0;
#pragma omp parallel reduction(+ : sum, error)
    {
        long lo = band_start(n, omp_get_thread_num(), omp_get_num_threads());
        long hi = band_start(n, omp_get_thread_num() + 1, omp_get_num_threads());
        for (long k = lo * n; k < hi * n; k++) {
            a[k] = (double)k;
            b[k] = 0;
        }
#pragma omp barrier
        for (long r = -WARM_UP; r < repetitions; r++) {
#pragma omp master
            start = now();
            transpose(a + lo * n, b + lo, n, n, hi - lo, n, 1);
#pragma omp barrier
#pragma omp master
            if (r >= 0) {
                sample("iteration", "ms", (now() - start) * 1e3);
            }
        }
        for (long row = lo; row < hi; row++) {
            for (long column = 0; column < n; column++) {
                sum += b[row * n + column];
                error += fabs(b[row * n + column] - transposed(n, row, column, repetitions + WARM_UP));
            }
        }
    }
    printf("check %.17g\n", sum);
    if (error != 0) {
        fprintf(stderr, "transpose_openmp: B differs from its closed form by %g\n", error);
        return 1;
    }
    return 0;
}
