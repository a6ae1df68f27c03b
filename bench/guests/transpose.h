/* transpose: what guest and peers share. B += A^T and A += 1 on matrices of order n, as in the Parallel
 * Research Kernels.
 *
 *   A  band of rows, read and written along rows     B  the same as a strip of columns
 *   ┌──────────────┐                                 ┌───┬───┬──────┐
 *   ├──────────────┤                                 │   │ ▓ │      │   tiles of TILE x TILE, in them
 *   │ ▓▓▓▓▓▓▓▓▓▓▓▓ │ ──────────────────────────────▶ │   │ ▓ │      │   micro tiles of 8 x 8: a line of the
 *   ├──────────────┤                                 │   │ ▓ │      │   cache for each row on both sides
 *   └──────────────┘                                 └───┴───┴──────┘
 *
 * A worker has a band of rows of A and the strip of B with the same numbers, so that nobody else reads or
 * writes either. A(i, j) starts as i n + j. After t iterations A(i, j) = i n + j + t, and
 * B(j, i) = t (i n + j) + t (t - 1) / 2. All are integers far below 2^53, so results are exact.
 */
#ifndef BENCH_TRANSPOSE_H
#define BENCH_TRANSPOSE_H

#include <math.h>

#include "samples.h"

/* Where the order is a power of two, rows of a tile share sets of the caches: of tiles of 8, 16, 32 and 64,
 * those of 16 are the fastest at n = 4096. */
enum { TILE = 16, LINE = 8, WARM_UP = 2 };

typedef double v2 __attribute__((vector_size(16)));

/* Two rows of A into two columns of B: LINE / 2 squares of 2 x 2. `add`, a constant, says whether to add to
 * what B has or to overwrite it. */
static inline void two_rows(double* __restrict a, double* __restrict b, long stride_a, long stride_b, int add)
{
    const v2 one = { 1, 1 };
    v2 *upper = (v2*)a, *lower = (v2*)(a + stride_a);
    for (long j = 0; j < LINE / 2; j++) {
        v2 x = upper[j], y = lower[j];
        upper[j] = x + one;
        lower[j] = y + one;
        v2 even = __builtin_shufflevector(x, y, 0, 2), odd = __builtin_shufflevector(x, y, 1, 3);
        *(v2*)b = add ? *(v2*)b + even : even;
        b += stride_b;
        *(v2*)b = add ? *(v2*)b + odd : odd;
        b += stride_b;
    }
}

static inline void tile(double* __restrict a, double* __restrict b, long stride_a, long stride_b, long rows,
                        long columns, int add)
{
    for (long i = 0; i < rows; i += LINE) {
        double* from = a + i * stride_a;
        double* to = b + i;
        for (long j = 0; j < columns; j += LINE, from += LINE, to += LINE * stride_b) {
            two_rows(from, to, stride_a, stride_b, add);
            two_rows(from + 2 * stride_a, to + 2, stride_a, stride_b, add);
            two_rows(from + 4 * stride_a, to + 4, stride_a, stride_b, add);
            two_rows(from + 6 * stride_a, to + 6, stride_a, stride_b, add);
        }
    }
}

/* rows x columns of A at a, whose transpose is at b. Both are multiples of LINE. */
static inline void transpose(double* __restrict a, double* __restrict b, long stride_a, long stride_b,
                             long rows, long columns, int add)
{
    for (long i = 0; i < rows; i += TILE) {
        long height = rows - i < TILE ? rows - i : TILE;
        for (long j = 0; j < columns; j += TILE) {
            long width = columns - j < TILE ? columns - j : TILE;
            tile(a + i * stride_a + j, b + j * stride_b + i, stride_a, stride_b, height, width, add);
        }
    }
}

/* What B(row, column) is after some iterations. */
static inline double transposed(long n, long row, long column, long iterations)
{
    double t = (double)iterations;
    return t * ((double)column * (double)n + (double)row) + t * (t - 1) / 2;
}

/* First row of a worker's band. */
static inline long band_start(long n, long worker, long workers)
{
    return n / LINE * worker / workers * LINE;
}

/* Whether the arguments make sense; else a message. */
static inline int transposable(long n, long workers)
{
    if (n < LINE || n % LINE != 0 || workers < 1) {
        fprintf(stderr, "transpose: the order has to be a multiple of %d\n", LINE);
        return 0;
    }
    return 1;
}

#endif
