/* Sum and triad, the same source for the guest and its native peer. n is a multiple of 4. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

typedef double v2 __attribute__((vector_size(16)));

static double sum(const double* p, long n)
{
    v2 s0 = { 0, 0 }, s1 = { 0, 0 }, s2 = { 0, 0 }, s3 = { 0, 0 };
    const v2* v = (const v2*)p;
    for (long i = 0; i + 4 <= n / 2; i += 4) {
        s0 += v[i];
        s1 += v[i + 1];
        s2 += v[i + 2];
        s3 += v[i + 3];
    }
    s0 += s1;
    s2 += s3;
    s0 += s2;
    return s0[0] + s0[1];
}

static void triad(double* __restrict a, const double* __restrict b, const double* __restrict c, long n)
{
    for (long i = 0; i < n; i++) {
        a[i] = b[i] + 3.0 * c[i];
    }
}

#endif
