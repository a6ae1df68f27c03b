/* nstream: what guest and peers share. Parallel Research Kernels' A += B + s C on long vectors, with their start
 * (A = 0, B = C = 2, s = 3), so that A gains exactly 8 each time. */
#ifndef BENCH_NSTREAM_H
#define BENCH_NSTREAM_H

#include "samples.h"

enum { NSTREAM_WARM_UPS = 2 };

static const double NSTREAM_SCALAR = 3;

static inline void nstream_start(double* a, double* b, double* c, long n)
{
    for (long i = 0; i < n; i++) {
        a[i] = 0;
        b[i] = 2;
        c[i] = 2;
    }
}

#ifdef __wasm__
/* As in stream.h: vectors of the width that WebAssembly has, and pointers that move by a cache line. */
typedef double v2 __attribute__((vector_size(16), aligned(8), may_alias));

static inline void nstream(double* __restrict a, const double* __restrict b, const double* __restrict c,
                           long n)
{
    const v2 s = { NSTREAM_SCALAR, NSTREAM_SCALAR };
    const double* end = a + n / 8 * 8;
    for (; a != end; a += 8, b += 8, c += 8) {
        *(v2*)(a + 0) += *(const v2*)(b + 0) + s * *(const v2*)(c + 0);
        *(v2*)(a + 2) += *(const v2*)(b + 2) + s * *(const v2*)(c + 2);
        *(v2*)(a + 4) += *(const v2*)(b + 4) + s * *(const v2*)(c + 4);
        *(v2*)(a + 6) += *(const v2*)(b + 6) + s * *(const v2*)(c + 6);
    }
    for (long i = 0; i < n % 8; i++) {
        a[i] += b[i] + NSTREAM_SCALAR * c[i];
    }
}
#else
static inline void nstream(double* restrict a, const double* restrict b, const double* restrict c, long n)
{
    for (long i = 0; i < n; i++) {
        a[i] += b[i] + NSTREAM_SCALAR * c[i];
    }
}
#endif

static inline double sum_of(const double* a, long n)
{
    double sum = 0;
    for (long i = 0; i < n; i++) {
        sum += a[i];
    }
    return sum;
}

/* Every number is small and whole, so that the sum is exact whatever its order. */
static inline int nstream_verdict(long n, long repetitions, double sum)
{
    double expected = 8.0 * (double)(NSTREAM_WARM_UPS + repetitions) * (double)n;
    printf("check %.17g\n", sum);
    if (sum != expected) {
        fprintf(stderr, "nstream: sum %.17g instead of %.17g\n", sum, expected);
        return 1;
    }
    return 0;
}

#endif
