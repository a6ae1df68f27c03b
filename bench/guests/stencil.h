/* stencil: what guest and peers share. Parallel Research Kernels' star of radius 2 on n x n points: what the
 * star finds in `in` is added to `out`, then every point of `in` becomes 1 more. `in` starts as i + j, whose
 * derivatives are 1 and 1, so that each inner point of `out` gains exactly 2 each time.
 *
 * Both loops in one sweep: a row of `in` is raised when no later row of the block needs the old one. Rows
 * within 2 of the block's ends are left to the caller, since neighbours look at them.
 *
 *   sweep ─▶   i-2      i-1   i   i+1  i+2
 *              raised   └──── star ────┘
 */
#ifndef BENCH_STENCIL_H
#define BENCH_STENCIL_H

#include <math.h>
#include <string.h>

#include "samples.h"

enum { STENCIL_WARM_UPS = 2, RADIUS = 2, LEAST_ROWS = 4 * RADIUS };

/* Doubles from row to row: not a multiple of a page, so that rows do not fall on the same lines of a cache. */
static inline long row_length(long n)
{
    return (n + 7) / 8 * 8 + 8;
}

/* Weights of the star at distance 1 and 2: 1 / (2 * distance * RADIUS). */
static const double NEAR = 0.25, FAR = 0.125;

#ifdef __wasm__
/* Vectors by hand, see jacobi.h. */
typedef double v2 __attribute__((vector_size(16), aligned(8), may_alias));

#define AT(p, k) (*(const v2*)((p) + (k)))

static inline void star_row(double* __restrict out, const double* in, long ld, long n)
{
    const v2 near = { NEAR, NEAR }, far = { FAR, FAR };
    const double *above = in - ld, *above2 = above - ld, *below = in + ld, *below2 = below + ld;
    const double* end = out + n / 4 * 4;
    for (; out != end; out += 4, in += 4, above += 4, above2 += 4, below += 4, below2 += 4) {
        v2 a = near * ((AT(in, 1) - AT(in, -1)) + (AT(below, 0) - AT(above, 0)));
        v2 b = near * ((AT(in, 3) - AT(in, 1)) + (AT(below, 2) - AT(above, 2)));
        v2 c = far * ((AT(in, 2) - AT(in, -2)) + (AT(below2, 0) - AT(above2, 0)));
        v2 d = far * ((AT(in, 4) - AT(in, 0)) + (AT(below2, 2) - AT(above2, 2)));
        *(v2*)(out + 0) += a + c;
        *(v2*)(out + 2) += b + d;
    }
    for (long j = 0; j < n % 4; j++) {
        out[j] += NEAR * ((in[j + 1] - in[j - 1]) + (below[j] - above[j])) +
                  FAR * ((in[j + 2] - in[j - 2]) + (below2[j] - above2[j]));
    }
}

static inline void raise_row(double* in, long n)
{
    const v2 one = { 1, 1 };
    const double* end = in + n / 8 * 8;
    for (; in != end; in += 8) {
        *(v2*)(in + 0) += one;
        *(v2*)(in + 2) += one;
        *(v2*)(in + 4) += one;
        *(v2*)(in + 6) += one;
    }
    for (long j = 0; j < n % 8; j++) {
        in[j] += 1;
    }
}
#else
static inline void star_row(double* restrict out, const double* restrict in, long ld, long n)
{
    for (long j = 0; j < n; j++) {
        out[j] += NEAR * ((in[j + 1] - in[j - 1]) + (in[j + ld] - in[j - ld])) +
                  FAR * ((in[j + 2] - in[j - 2]) + (in[j + 2 * ld] - in[j - 2 * ld]));
    }
}

static inline void raise_row(double* in, long n)
{
    for (long j = 0; j < n; j++) {
        in[j] += 1;
    }
}
#endif

/* Raises rows first to end. */
static inline void raise_rows(double* in, long first, long end, long n)
{
    for (long i = first; i < end; i++) {
        raise_row(in + i * row_length(n), n);
    }
}

/* The star on rows first to end, of which row 0 is row `top` of the whole; raises all but those within RADIUS
 * of the ends. The border of the whole has no star. */
static inline void sweep(double* out, double* in, long first, long end, long top, long n)
{
    long ld = row_length(n);
    for (long i = first; i < end; i++) {
        if (top + i >= RADIUS && top + i < n - RADIUS) {
            star_row(out + i * ld + RADIUS, in + i * ld + RADIUS, ld, n - 2 * RADIUS);
        }
        if (i - RADIUS >= first + RADIUS) {
            raise_row(in + (i - RADIUS) * ld, n);
        }
    }
}

static inline void stencil_start(double* out, double* in, long rows, long top, long n)
{
    long ld = row_length(n);
    for (long i = 0; i < rows; i++) {
        for (long j = 0; j < n; j++) {
            in[i * ld + j] = (double)(top + i + j);
        }
        memset(out + i * ld, 0, sizeof(double) * (size_t)ld);
    }
}

/* Adds up the sizes of all inner points of these rows. */
static inline double stencil_sum(const double* out, long rows, long top, long n)
{
    double sum = 0;
    for (long i = 0; i < rows; i++) {
        for (long j = RADIUS; top + i >= RADIUS && top + i < n - RADIUS && j < n - RADIUS; j++) {
            sum += fabs(out[i * row_length(n) + j]);
        }
    }
    return sum;
}

/* All numbers are small multiples of an eighth, so that sums are exact in any order. */
static inline int stencil_verdict(long n, long repetitions, double sum)
{
    double points = (double)(n - 2 * RADIUS) * (double)(n - 2 * RADIUS);
    double norm = sum / points, expected = 2.0 * (double)(STENCIL_WARM_UPS + repetitions);
    printf("check %.17g\n", norm);
    if (norm != expected) {
        fprintf(stderr, "stencil: norm %.17g instead of %.17g\n", norm, expected);
        return 1;
    }
    return 0;
}

#endif
