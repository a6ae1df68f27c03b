/* Peer of nstream in C with OpenMP: nstream_openmp N REPETITIONS WORKERS. A static loop over the vectors, one
 * parallel region a repetition; each thread touches first what it works on. */
#define _GNU_SOURCE
#include "huge.h"

#include "../guests/nstream.h"

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 1 << 20), repetitions = argument(argc, argv, 2, 10);
    double* restrict a = huge_alloc(sizeof(double) * (size_t)n);
    double* restrict b = huge_alloc(sizeof(double) * (size_t)n);
    double* restrict c = huge_alloc(sizeof(double) * (size_t)n);
#pragma omp parallel for simd schedule(static)
    for (long i = 0; i < n; i++) {
        a[i] = 0;
        b[i] = 2;
        c[i] = 2;
    }
    for (long r = -NSTREAM_WARM_UPS; r < repetitions; r++) {
        double before = now();
#pragma omp parallel for simd schedule(static)
        for (long i = 0; i < n; i++) {
            a[i] += b[i] + NSTREAM_SCALAR * c[i];
        }
        if (r >= 0) {
            sample("iteration", "ms", (now() - before) * 1e3);
        }
    }
    return nstream_verdict(n, repetitions, sum_of(a, n));
}
