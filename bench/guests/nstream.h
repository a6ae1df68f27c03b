/* nstream: what guest and peers share. Parallel Research Kernels' A += B + s C on long vectors, with their
 * start (A = 0, B = C = 2, s = 3), so that A gains exactly 8 each time. */
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
#include "vectors.h"

static inline void nstream(double* __restrict a, const double* __restrict b, const double* __restrict c,
                           long n)
{
    const v2 s = { NSTREAM_SCALAR, NSTREAM_SCALAR };
    const double* end = a + n / 8 * 8;
    for (; a != end; a += 8, b += 8, c += 8) {
        MOVES(a);
        MOVES(b);
        MOVES(c);
        put(a, 0, at(a, 0) + (at(b, 0) + s * at(c, 0)));
        put(a, 2, at(a, 2) + (at(b, 2) + s * at(c, 2)));
        put(a, 4, at(a, 4) + (at(b, 4) + s * at(c, 4)));
        put(a, 6, at(a, 6) + (at(b, 6) + s * at(c, 6)));
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
