/* jacobi: what guest and peers share. Heat on a square plate whose border is kept at zero: n x n points, each
 * step every point becomes the mean of its four neighbours, from one array into another.
 *
 * The start is an eigenmode of the step, so that the answer is known after any number of steps: with
 * f = pi MODE / (n + 1), u(i, j) = sin(f (i + 1)) sin(f (j + 1)) is multiplied by exactly cos(f) each time.
 * The mode has short waves, so that an edge that came a step late is off by far more than rounding.
 *
 *   a row   │ 8: border at [7] │ n points, from a cache line on │ at least 8: border at [0] │
 */
#ifndef BENCH_JACOBI_H
#define BENCH_JACOBI_H

#include <math.h>
#include <stdint.h>

#include "samples.h"

enum { JACOBI_WARM_UPS = 2 };

/* Doubles from row to row. */
static inline long row_length(long n)
{
    return 8 + (n + 7) / 8 * 8 + 8;
}

static inline double frequency(long n)
{
    long mode = (n + 1) / 32;
    return M_PI * (double)(mode < 1 ? 1 : mode) / (double)(n + 1);
}

/* One row: n points at `to`, the mean of those above, below, left and right. */
#ifdef __wasm__
#include "vectors.h"

/* Eight points from k on; `left` is one to the left of the points in the middle row. */
static inline void relax8(double* to, const double* up, const double* left, const double* down, long k)
{
    const v2 quarter = { 0.25, 0.25 };
    /* Loaded once, since the compiler cannot know that stores between do not change them. */
    v2 l0 = at(left, k), l2 = at(left, k + 2), l4 = at(left, k + 4), l6 = at(left, k + 6), l8 = at(left, k + 8);
    put(to, k + 0, quarter * ((at(up, k + 0) + at(down, k + 0)) + (l0 + l2)));
    put(to, k + 2, quarter * ((at(up, k + 2) + at(down, k + 2)) + (l2 + l4)));
    put(to, k + 4, quarter * ((at(up, k + 4) + at(down, k + 4)) + (l4 + l6)));
    put(to, k + 6, quarter * ((at(up, k + 6) + at(down, k + 6)) + (l6 + l8)));
}

static inline void relax(double* __restrict to, const double* __restrict up, const double* __restrict mid,
                         const double* __restrict down, long n)
{
    const double *left = mid - 1, *end = to + n / 16 * 16;
    for (; to != end; to += 16, up += 16, left += 16, down += 16) {
        MOVES(to);
        MOVES(up);
        MOVES(left);
        MOVES(down);
        relax8(to, up, left, down, 0);
        relax8(to, up, left, down, 8);
    }
    for (long j = 0; j < n % 16; j++) {
        to[j] = 0.25 * ((up[j] + down[j]) + (left[j] + left[j + 2]));
    }
}
#else
static inline void relax(double* restrict to, const double* restrict up, const double* restrict mid,
                         const double* restrict down, long n)
{
    for (long j = 0; j < n; j++) {
        to[j] = 0.25 * ((up[j] + down[j]) + (mid[j - 1] + mid[j + 1]));
    }
}
#endif

/* Rows `first` to `end`; to and from are the first point of row 0, and row -1 is there. */
static inline void relax_rows(double* to, const double* from, long first, long end, long n)
{
    long ld = row_length(n);
    for (long i = first; i < end; i++) {
        const double* mid = from + i * ld;
        relax(to + i * ld, mid - ld, mid, mid + ld, n);
    }
}

/* Sines along a row. The caller frees them. */
static inline double* sines(long n)
{
    double* wave = malloc(sizeof(double) * (size_t)n);
    if (wave == NULL) {
        fprintf(stderr, "no memory for %ld sines\n", n);
        exit(1);
    }
    for (long j = 0; j < n; j++) {
        wave[j] = sin(frequency(n) * (double)(j + 1));
    }
    return wave;
}

/* A row of the start. */
static inline void start_row(double* row, const double* wave, long i, long n)
{
    double height = sin(frequency(n) * (double)(i + 1));
    for (long j = 0; j < n; j++) {
        row[j] = height * wave[j];
    }
}

/* How a row of the end compares with the mode: adds its part of the projection on the mode to *sum, and keeps
 * the largest difference from what it has to be in *most. */
static inline void compare_row(const double* row, const double* wave, long i, long n, double amplitude,
                               double* sum, double* most)
{
    double height = sin(frequency(n) * (double)(i + 1));
    double projected = 0;
    for (long j = 0; j < n; j++) {
        double off = fabs(row[j] - amplitude * height * wave[j]);
        projected += row[j] * wave[j];
        *most = off > *most || off != off ? off : *most;
    }
    *sum += height * projected;
}

/* What the amplitude is after so many steps. */
static inline double amplitude_after(long n, long steps)
{
    return pow(cos(frequency(n)), (double)steps);
}

/* Prints the amplitude that was found and says whether all points are right. */
static inline int verdict(long n, long steps, double sum, double most)
{
    double half = (double)(n + 1) / 2, found = sum / (half * half);
    printf("check %.17g\n", found);
    if (!(most < 1e-12) || !(fabs(found / amplitude_after(n, steps) - 1) < 1e-9)) {
        fprintf(stderr, "jacobi: amplitude %.17g instead of %.17g, a point is off by %g\n", found,
                amplitude_after(n, steps), most);
        return 1;
    }
    return 0;
}

#endif
