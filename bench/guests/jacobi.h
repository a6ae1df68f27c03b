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

/* Two rows at a time where there are two: there are more streams from memory then, which is faster than one
 * on either side. `left` is the row above, a point further left, so that no distance is negative. */
#ifdef __wasm__
#include "vectors.h"

static inline __attribute__((noinline)) void relax_two(double* to, const double* left, long ld, long n)
{
    const double *up = left, *one = up + ld, *two = one + ld, *down = two + ld, *end = to + n / 8 * 8;
    double* next = to + ld;
    for (; to != end; to += 8, next += 8, up += 8, one += 8, two += 8, down += 8) {
        MOVES(to);
        MOVES(next);
        MOVES(up);
        MOVES(one);
        MOVES(two);
        MOVES(down);
        for (int k = 0; k < 8; k += 4) {
            const v2 quarter = { 0.25, 0.25 };
            /* All loads first, since the compiler cannot know that stores do not change what they load. */
            v2 a0 = at(one, k), a1 = at(one, k + 1), a2 = at(one, k + 2);
            v2 b0 = at(two, k), b1 = at(two, k + 1), b2 = at(two, k + 2);
            v2 a3 = at(one, k + 3), a4 = at(one, k + 4), b3 = at(two, k + 3), b4 = at(two, k + 4);
            put(to, k + 0, quarter * ((at(up, k + 1) + b1) + (a0 + a2)));
            put(to, k + 2, quarter * ((at(up, k + 3) + b3) + (a2 + a4)));
            put(next, k + 0, quarter * ((a1 + at(down, k + 1)) + (b0 + b2)));
            put(next, k + 2, quarter * ((a3 + at(down, k + 3)) + (b2 + b4)));
        }
    }
    for (long j = 0; j < n % 8; j++) {
        to[j] = 0.25 * ((up[j + 1] + two[j + 1]) + (one[j] + one[j + 2]));
        next[j] = 0.25 * ((one[j + 1] + down[j + 1]) + (two[j] + two[j + 2]));
    }
}
#else
static inline void relax_two(double* restrict to, const double* restrict left, long ld, long n)
{
    const double *up = left + 1, *one = up + ld, *two = one + ld, *down = two + ld;
    for (long j = 0; j < n; j++) {
        to[j] = 0.25 * ((up[j] + two[j]) + (one[j - 1] + one[j + 1]));
        to[j + ld] = 0.25 * ((one[j] + down[j]) + (two[j - 1] + two[j + 1]));
    }
}
#endif

static inline void relax_one(double* restrict to, const double* restrict left, long ld, long n)
{
    const double *up = left + 1, *one = up + ld, *down = one + ld;
    for (long j = 0; j < n; j++) {
        to[j] = 0.25 * ((up[j] + down[j]) + (one[j - 1] + one[j + 1]));
    }
}

/* Rows `first` to `end`; to and from are the first point of row 0, and row -1 is there. */
static inline void relax_rows(double* to, const double* from, long first, long end, long n)
{
    long ld = row_length(n);
    long i = first;
    for (; i + 2 <= end; i += 2) {
        relax_two(to + i * ld, from + (i - 1) * ld - 1, ld, n);
    }
    if (i < end) {
        relax_one(to + i * ld, from + (i - 1) * ld - 1, ld, n);
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
