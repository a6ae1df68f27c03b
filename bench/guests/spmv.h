/* spmv's matrix and loop, the same source for the guest and its native peers.
 *
 * The matrix is the 7-point operator on a cube of n³ points, 6.5 on the diagonal and -1 for each
 * neighbour within the cube, whose points have been renumbered: point q of the cube is unknown p(q), with
 * p a fixed pseudo-random permutation, so the columns of a row are scattered over all of the vector. p is
 * a bijection of b bits, applied again until the result is below n³; what it did is undone without a
 * table.
 *
 * Each step is x_{k+1} = A x_k / 12.5, where no row adds up to more than 12.5 in absolute values. Since A
 * is symmetric, <x_0, x_2k> = <x_k, x_k> whatever x_0 is: every program checks that of itself. */
#ifndef BENCH_SPMV_H
#define BENCH_SPMV_H

#include "samples.h"

#include <stdint.h>

#define WARM_UP 2
#define DIAGONAL 6.5
#define LARGEST 12.5

/* Modulo 2^64, of the factors in number_of. */
#define INVERSE_FIRST 0xf1de83e19937733d
#define INVERSE_SECOND 0x572b5ee77a54e3bd

struct cube {
    int64_t n, all;
    int bits;
};

static struct cube cube_of(int64_t n)
{
    struct cube c = { n, n * n * n, 1 };
    while ((int64_t)1 << c.bits < c.all) {
        c.bits++;
    }
    return c;
}

/* Odd factors have inverses modulo powers of two; a shift by half of the bits is undone by itself. */
static int64_t number_of(const struct cube* c, int64_t point)
{
    uint64_t mask = ((uint64_t)1 << c->bits) - 1, at = (uint64_t)point;
    int half = (c->bits + 1) / 2;
    do {
        at = at * 0x9e3779b97f4a7c15 & mask;
        at ^= at >> half;
        at = at * 0xd1342543de82ef95 & mask;
        at ^= at >> half;
    } while (at >= (uint64_t)c->all);
    return (int64_t)at;
}

static int64_t point_of(const struct cube* c, int64_t number)
{
    uint64_t mask = ((uint64_t)1 << c->bits) - 1, at = (uint64_t)number;
    int half = (c->bits + 1) / 2;
    do {
        at ^= at >> half;
        at = at * INVERSE_SECOND & mask;
        at ^= at >> half;
        at = at * INVERSE_FIRST & mask;
    } while (at >= (uint64_t)c->all);
    return (int64_t)at;
}

/* Points next to point q, up to six; returns how many. */
static int neighbours(const struct cube* c, int64_t q, int64_t* found)
{
    int64_t n = c->n, x = q % n, y = q / n % n, z = q / n / n;
    int count = 0;
    if (z > 0) found[count++] = q - n * n;
    if (y > 0) found[count++] = q - n;
    if (x > 0) found[count++] = q - 1;
    if (x < n - 1) found[count++] = q + 1;
    if (y < n - 1) found[count++] = q + n;
    if (z < n - 1) found[count++] = q + n * n;
    return count;
}

/* Non-zeros of rows lo to below hi. */
static int64_t nonzeros(const struct cube* c, int64_t lo, int64_t hi)
{
    int64_t around[6], sum = 0;
    for (int64_t i = lo; i < hi; i++) {
        sum += 1 + neighbours(c, point_of(c, i), around);
    }
    return sum;
}

/* Rows lo to below hi, columns ascending. ends[k] is where row lo + k ends, counted from the first one. */
static void fill(const struct cube* c, int64_t lo, int64_t hi, uint32_t* ends, uint32_t* columns,
                 double* values)
{
    uint32_t at = 0;
    for (int64_t i = lo; i < hi; i++) {
        int64_t around[7], q = point_of(c, i);
        int count = neighbours(c, q, around);
        around[count] = q;
        for (int k = 0; k <= count; k++) {
            uint32_t column = (uint32_t)number_of(c, around[k]), place = at + (uint32_t)k;
            for (; place > at && columns[place - 1] > column; place--) {
                columns[place] = columns[place - 1];
                values[place] = values[place - 1];
            }
            columns[place] = column;
            values[place] = column == (uint32_t)i ? DIAGONAL : -1;
        }
        at += (uint32_t)count + 1;
        ends[i - lo] = at;
    }
}

/* x_0: between 0.5 and 1.5, without a pattern. */
static inline double begin(int64_t i)
{
    uint32_t hash = (uint32_t)i * 2654435761u;
    hash = (hash ^ hash >> 16) * 2246822507u;
    return 0.5 + (double)(hash >> 1) / 2147483648.0;
}

/* y = A x / LARGEST for some rows, and <y, y>. Most rows have seven elements: four sums, since an addition
 * waits for the one before, and what is left without a loop. Pointers that move. */
static double multiply(const double* restrict x, double* restrict y, const uint32_t* restrict ends,
                       const uint32_t* restrict column, const double* restrict value, int64_t rows)
{
    const uint32_t* last = ends + rows;
    uint32_t at = 0;
    double square = 0;
    for (; ends != last; ends++, y++) {
        uint32_t left = *ends - at;
        double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        at = *ends;
        for (; left >= 4; left -= 4, column += 4, value += 4) {
            s0 += value[0] * x[column[0]];
            s1 += value[1] * x[column[1]];
            s2 += value[2] * x[column[2]];
            s3 += value[3] * x[column[3]];
        }
        if (left & 2) {
            s0 += value[0] * x[column[0]];
            s1 += value[1] * x[column[1]];
            column += 2;
            value += 2;
        }
        if (left & 1) {
            s2 += *value++ * x[*column++];
        }
        double result = (s0 + s1 + (s2 + s3)) * (1 / LARGEST);
        *y = result;
        square += result * result;
    }
    return square;
}

/* Part of <x_0, x>, for elements from lo on. */
static double with_first(const double* x, int64_t lo, int64_t hi)
{
    double sum = 0;
    for (int64_t i = lo; i < hi; i++) {
        sum += begin(i) * x[i - lo];
    }
    return sum;
}

/* Prints the check, squares of all steps over the number of points; 1 when the matrix was not symmetric. */
static int verdict(const struct cube* c, double squares, double half, double with_zeroth)
{
    printf("check %.17g\n", squares / (double)c->all);
    double off = (with_zeroth - half) / half;
    if (!(off < 1e-10 && off > -1e-10)) {
        fprintf(stderr, "spmv: <x_0, x_2k> is %.17g, but <x_k, x_k> %.17g\n", with_zeroth, half);
        return 1;
    }
    return 0;
}

#endif
