/* synch-p2p: what guest and peers share. A pipelined wavefront over a grid of n x n points, as in the
 * Parallel Research Kernels: A(i, j) = A(i-1, j) + A(i, j-1) - A(i-1, j-1), where A(0, j) = j and
 * A(i, 0) = i. The corner is then 2 (n - 1). A(0, 0) becomes its negative, which makes it 2 (n - 1) more in
 * the next iteration: t iterations in a row end with 2 t (n - 1), and no iteration can begin before the one
 * before it has ended.
 *
 *      strip 0   strip 1   strip 2
 *     ┌────────┬─────────┬─────────┐
 *     │ band 0 │    1    │    2    │ ◀── step in which the block can be computed
 *     ├────────┼────│────┼─────────┤
 *     │   1    ▶    ▼    │    3    │      a block needs the last row of the block above, and the last column
 *     ├────────┼─────────┼─────────┤      of the block to the left: its edge
 *     │   2    │    3    │    4    │
 *     └────────┴─────────┴─────────┘
 *
 * Row 0 and column 0 are given. Strips are columns 1 to n - 1, bands are rows 1 to n - 1.
 */
#ifndef BENCH_SYNCH_P2P_H
#define BENCH_SYNCH_P2P_H

#include "samples.h"

enum { WARM_UP = 2, MOST_ROWS = 256 };

/* A block at p, below a row that is finished. edge[0] is the point left of that row, edge[1...] those left
 * of ours; on return they are the last points of these rows. Four rows at once, because in a row each point waits
 * for the one before it: one row alone would take the latency of an addition a point. */
static inline void sweep(double* p, long stride, long columns, long rows, double* edge)
{
    double corner = *edge;
    *edge++ = p[columns - 1 - stride];
    for (; rows >= 4; rows -= 4, p += 4 * stride, edge += 4) {
        const double *above = p - stride, *end = above + columns;
        double *p0 = p, *p1 = p0 + stride, *p2 = p1 + stride, *p3 = p2 + stride;
        double t = corner, a = edge[0], b = edge[1], c = edge[2], d = edge[3];
        corner = d;
        for (; above != end; above++, p0++, p1++, p2++, p3++) {
            double u = a + (*above - t);
            double v = b + (u - a);
            double w = c + (v - b);
            d += w - c;
            t = *above;
            *p0 = a = u;
            *p1 = b = v;
            *p2 = c = w;
            *p3 = d;
        }
        edge[0] = a;
        edge[1] = b;
        edge[2] = c;
        edge[3] = d;
    }
    for (; rows > 0; rows--, p += stride, edge++) {
        double t = corner, a = *edge;
        corner = a;
        for (long j = 0; j < columns; j++) {
            a += p[j - stride] - t;
            t = p[j - stride];
            p[j] = a;
        }
        *edge = a;
    }
}

/* First column of a strip, and the end of the last one. */
static inline long strip_start(long n, long strip, long strips)
{
    return 1 + (n - 1) * strip / strips;
}

/* Whether the corner is what it has to be after some iterations; else a message. */
static inline int right(double corner, long n, long iterations)
{
    double expected = 2.0 * (double)iterations * (double)(n - 1);
    if (corner != expected) {
        fprintf(stderr, "synch-p2p: the corner is %.17g instead of %.17g after %ld iterations\n", corner,
                expected, iterations);
    }
    return corner == expected;
}

#endif
