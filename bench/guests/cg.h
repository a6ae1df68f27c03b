/* cg: what guest and peers share. Conjugate gradients on HPCG's matrix: n x n x n points, 26 on the
 * diagonal, -1 for each of up to 26 neighbours, in compressed rows; b = A 1, so that the solution is all
 * ones; start 0.
 *
 * The matrix is 27 I - T (x) T (x) T with T of n x n ones next to the diagonal and on it, whose eigenvalues
 * are 1 + 2 cos(k pi / (n + 1)). So the smallest eigenvalue of A is known exactly, and with it how far x may
 * be from the solution when the residual is what it is: that is checked after any number of iterations.
 *
 *   one iteration      multiply: p = r + beta p, q = A p, p q      update: x += alpha p, r -= alpha q, r r
 */
#ifndef BENCH_CG_H
#define BENCH_CG_H

#include <math.h>
#include <stdint.h>

#include "samples.h"

enum { CG_WARM_UPS = 2, ROW_ENTRIES = 27 };

/* Rows of a block of planes, each row as long as it is. */
struct matrix {
    double* values;
    int32_t* columns;
    int32_t* starts;
};

/* The rows of planes `first` to `end` of n, and b. Column 0 is the first point of plane `origin`. */
static inline void build(struct matrix m, double* b, long first, long end, long origin, long n)
{
    int32_t at = 0;
    long row = 0;
    for (long z = first; z < end; z++) {
        for (long y = 0; y < n; y++) {
            for (long x = 0; x < n; x++, row++) {
                double sum = 0;
                m.starts[row] = at;
                for (int k = 0; k < ROW_ENTRIES; k++) {
                    long c = z + k / 9 - 1, d = y + k / 3 % 3 - 1, e = x + k % 3 - 1;
                    if (c >= 0 && c < n && d >= 0 && d < n && e >= 0 && e < n) {
                        m.columns[at] = (int32_t)(((c - origin) * n + d) * n + e);
                        m.values[at] = k == ROW_ENTRIES / 2 ? 26 : -1;
                        sum += m.values[at];
                        at++;
                    }
                }
                b[row] = sum;
            }
        }
    }
    m.starts[row] = at;
}

/* A quotient of sums, none of which is negative; 0 when there is nothing left to do. */
static inline double quotient(double over, double under)
{
    return under > 0 ? over / under : 0;
}

#ifdef __wasm__
#include "vectors.h"

/* Three entries of a row. The sums stay single numbers: the vectors that clang makes of them otherwise cost
 * more to gather than the multiplications that they save. */
static inline void multiply3(const double* value, const int32_t* column, const double* p, double* a,
                             double* b, double* c)
{
    *a += value[0] * p[column[0]];
    *b += value[1] * p[column[1]];
    *c += value[2] * p[column[2]];
    __asm__ volatile("" : "+r"(*a), "+r"(*b), "+r"(*c) : : "memory");
}

/* q = A p on `rows` rows; returns their part of the product of q and `own`, which is p at these rows. Three
 * sums a row, so that additions do not wait for each other. Six entries at a time, since all factors of a
 * step are loaded before the first is used, and there are sixteen registers. */
static inline __attribute__((noinline)) double multiply(const struct matrix* m, double* q, const double* p,
                                                        const double* own, long rows)
{
    const int32_t *start = m->starts + 1, *column = m->columns;
    const double *value = m->values, *last = q + rows;
    double product = 0;
    for (int32_t begin = 0; q != last; q++, own++, start++) {
        int32_t left = *start - begin;
        double a = 0, b = 0, c = 0;
        begin = *start;
        for (; left >= 6; left -= 6, value += 6, column += 6) {
            MOVES(value);
            MOVES(column);
            multiply3(value, column, p, &a, &b, &c);
            multiply3(value + 3, column + 3, p, &a, &b, &c);
        }
        if (left >= 3) {
            multiply3(value, column, p, &a, &b, &c);
            left -= 3;
            value += 3;
            column += 3;
        }
        for (; left > 0; left--, value++, column++) {
            a += value[0] * p[column[0]];
        }
        a += b + c;
        *q = a;
        product += a * *own;
    }
    return product;
}

/* p = r + beta p */
static inline void turn_to(double* p, const double* r, double beta, long rows)
{
    const v2 betas = { beta, beta };
    const double* end = p + rows / 8 * 8;
    for (; p != end; p += 8, r += 8) {
        MOVES(p);
        MOVES(r);
        put(p, 0, at(r, 0) + betas * at(p, 0));
        put(p, 2, at(r, 2) + betas * at(p, 2));
        put(p, 4, at(r, 4) + betas * at(p, 4));
        put(p, 6, at(r, 6) + betas * at(p, 6));
    }
    for (long i = 0; i < rows % 8; i++) {
        p[i] = r[i] + beta * p[i];
    }
}

/* Two rows of an update; returns the squares of r. */
static inline v2 update2(double* x, double* r, const double* p, const double* q, v2 alpha, long k)
{
    v2 left = at(r, k) - alpha * at(q, k);
    put(x, k, at(x, k) + alpha * at(p, k));
    put(r, k, left);
    return left * left;
}

/* x += alpha p, r -= alpha q; returns r r. */
static inline double update(double* x, double* r, const double* p, const double* q, double alpha, long rows)
{
    const v2 alphas = { alpha, alpha };
    v2 a = { 0, 0 }, b = { 0, 0 };
    const double* end = x + rows / 8 * 8;
    for (; x != end; x += 8, r += 8, p += 8, q += 8) {
        MOVES(x);
        MOVES(r);
        MOVES(p);
        MOVES(q);
        a += update2(x, r, p, q, alphas, 0);
        b += update2(x, r, p, q, alphas, 2);
        a += update2(x, r, p, q, alphas, 4);
        b += update2(x, r, p, q, alphas, 6);
    }
    a += b;
    double sum = a[0] + a[1];
    for (long i = 0; i < rows % 8; i++) {
        x[i] += alpha * p[i];
        r[i] -= alpha * q[i];
        sum += r[i] * r[i];
    }
    return sum;
}
#else
/* As above, with sums as they suit a processor that has a multiply-add for each. */
static inline double multiply(const struct matrix* m, double* restrict q, const double* restrict p,
                              const double* restrict own, long rows)
{
    const int32_t* start = m->starts;
    const double* value = m->values;
    const int32_t* column = m->columns;
    double product = 0;
    for (long i = 0; i < rows; i++) {
        long left = start[i + 1] - start[i];
        double a = 0, b = 0, c = 0;
        for (; left >= 9; left -= 9, value += 9, column += 9) {
            a += value[0] * p[column[0]];
            b += value[1] * p[column[1]];
            c += value[2] * p[column[2]];
            a += value[3] * p[column[3]];
            b += value[4] * p[column[4]];
            c += value[5] * p[column[5]];
            a += value[6] * p[column[6]];
            b += value[7] * p[column[7]];
            c += value[8] * p[column[8]];
        }
        for (; left > 0; left--, value++, column++) {
            a += value[0] * p[column[0]];
        }
        double sum = a + b + c;
        q[i] = sum;
        product += sum * own[i];
    }
    return product;
}

static inline void turn_to(double* restrict p, const double* restrict r, double beta, long rows)
{
    for (long i = 0; i < rows; i++) {
        p[i] = r[i] + beta * p[i];
    }
}

static inline double update(double* restrict x, double* restrict r, const double* restrict p,
                            const double* restrict q, double alpha, long rows)
{
    double sums[8] = { 0 };
    long i = 0;
    for (; i + 8 <= rows; i += 8) {
        for (int k = 0; k < 8; k++) {
            x[i + k] += alpha * p[i + k];
            double left = r[i + k] - alpha * q[i + k];
            r[i + k] = left;
            sums[k] += left * left;
        }
    }
    double sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (; i < rows; i++) {
        x[i] += alpha * p[i];
        r[i] -= alpha * q[i];
        sum += r[i] * r[i];
    }
    return sum;
}
#endif

static inline double square(const double* r, long rows)
{
    double sum = 0;
    for (long i = 0; i < rows; i++) {
        sum += r[i] * r[i];
    }
    return sum;
}

/* Of the rows from `first` on: adds x weighted by place to *weighted, the squares of errors to *errors. */
static inline void judge(const double* x, long first, long rows, double* weighted, double* errors)
{
    for (long i = 0; i < rows; i++) {
        *weighted += x[i] * (double)(first + i + 1);
        *errors += (x[i] - 1) * (x[i] - 1);
    }
}

/* `check` is the mean of x weighted by place, which is 1 for the solution. The error's norm is at most the
 * residual's over the smallest eigenvalue, but for rounding. */
static inline int cg_verdict(long n, double residual, double weighted, double errors)
{
    double points = (double)n * (double)n * (double)n, one = 1 + 2 * cos(M_PI / (double)(n + 1));
    double bound = sqrt(residual) / (27 - one * one * one);
    printf("check %.17g\n", weighted / (points * (points + 1) / 2));
    if (!(sqrt(errors) <= bound * (1 + 1e-6) + 1e-11 * sqrt(points))) {
        fprintf(stderr, "cg: an error of %g where the residual allows %g\n", sqrt(errors), bound);
        return 1;
    }
    return 0;
}

#endif
