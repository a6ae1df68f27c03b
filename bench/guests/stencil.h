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
#include "vectors.h"

/* The five rows that a star looks at, each at its leftmost point. */
struct rows {
    const double *above2, *above, *left, *below, *below2;
};

/* Two points from k on; of their own row those at distance 1 and 2 are given. */
static inline void star2(double* out, const struct rows* r, long k, v2 close, v2 wide)
{
    const v2 near = { NEAR, NEAR }, far = { FAR, FAR };
    close += at(r->below, k) - at(r->above, k);
    wide += at(r->below2, k) - at(r->above2, k);
    put(out, k, at(out, k) + (near * close + far * wide));
}

static inline void star_row(double* __restrict out, const double* __restrict in, long ld, long n)
{
    struct rows r = { in - 2 * ld, in - ld, in - 2, in + ld, in + 2 * ld };
    const double* end = out + n / 8 * 8;
    for (; out != end; out += 8) {
        MOVES(out);
        MOVES(r.above2);
        MOVES(r.above);
        MOVES(r.left);
        MOVES(r.below);
        MOVES(r.below2);
        /* Loaded once, since the compiler cannot know that stores between do not change them. */
        v2 l0 = at(r.left, 0), l2 = at(r.left, 2), l4 = at(r.left, 4), l6 = at(r.left, 6);
        v2 l8 = at(r.left, 8), l10 = at(r.left, 10);
        v2 l1 = at(r.left, 1), l3 = at(r.left, 3), l5 = at(r.left, 5), l7 = at(r.left, 7), l9 = at(r.left, 9);
        star2(out, &r, 0, l3 - l1, l4 - l0);
        star2(out, &r, 2, l5 - l3, l6 - l2);
        star2(out, &r, 4, l7 - l5, l8 - l4);
        star2(out, &r, 6, l9 - l7, l10 - l6);
        r.above2 += 8;
        r.above += 8;
        r.left += 8;
        r.below += 8;
        r.below2 += 8;
    }
    for (long j = 0; j < n % 8; j++) {
        out[j] += NEAR * ((r.left[j + 3] - r.left[j + 1]) + (r.below[j] - r.above[j])) +
                  FAR * ((r.left[j + 4] - r.left[j]) + (r.below2[j] - r.above2[j]));
    }
}

static inline void raise_row(double* in, long n)
{
    const v2 one = { 1, 1 };
    const double* end = in + n / 8 * 8;
    for (; in != end; in += 8) {
        MOVES(in);
        put(in, 0, at(in, 0) + one);
        put(in, 2, at(in, 2) + one);
        put(in, 4, at(in, 4) + one);
        put(in, 6, at(in, 6) + one);
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
