/* Sum and triad, the same source for the guest and its native peer. n is a multiple of 8.
 * Pointers that move, not indices: either compiler then needs one addition a step. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include "samples.h"

typedef double v2 __attribute__((vector_size(16)));

static double sum(const double* p, long n)
{
    v2 s0 = { 0, 0 }, s1 = { 0, 0 }, s2 = { 0, 0 }, s3 = { 0, 0 };
    const v2 *v = (const v2*)p, *end = v + n / 8 * 4;
    for (; v != end; v += 4) {
        s0 += v[0];
        s1 += v[1];
        s2 += v[2];
        s3 += v[3];
    }
    s0 += s1;
    s2 += s3;
    s0 += s2;
    return s0[0] + s0[1];
}

static void triad(double* __restrict a, const double* __restrict b, const double* __restrict c, long n)
{
    v2* to = (v2*)a;
    const v2 *x = (const v2*)b, *y = (const v2*)c, *end = x + n / 8 * 4;
    for (; x != end; x += 4, y += 4, to += 4) {
        to[0] = x[0] + 3.0 * y[0];
        to[1] = x[1] + 3.0 * y[1];
        to[2] = x[2] + 3.0 * y[2];
        to[3] = x[3] + 3.0 * y[3];
    }
}

/* The same with vectors as wide as the compiler likes. */
static void triad_widest(double* __restrict a, const double* __restrict b,
                         const double* __restrict c, long n)
{
    for (long i = 0; i < n; i++) {
        a[i] = b[i] + 3.0 * c[i];
    }
}

/* One sample of each a repetition, in GB/s, over three arrays in the `size` bytes at p; the first repetition
 * warms up. Prints what the sums add up to, which has to be the same on both sides. */
static void measure(double* p, long size, long repetitions)
{
    long n = size / (long)sizeof(double) / 24 * 8;
    double bytes = 3.0 * (double)n * sizeof(double);
    double check = 0;
    for (long r = -1; r < repetitions; r++) {
        double start = now();
        check += sum(p, 3 * n);
        double middle = now();
        triad(p, p + n, p + 2 * n, n);
        double end = now();
        triad_widest(p, p + n, p + 2 * n, n);
        double widest = now();
        if (r >= 0) {
            sample("read", "GB/s", bytes / (middle - start) * 1e-9);
            sample("triad", "GB/s", bytes / (end - middle) * 1e-9);
            sample("triad-widest-vectors", "GB/s", bytes / (widest - end) * 1e-9);
        }
    }
    printf("check %.17g\n", check);
}

#endif
