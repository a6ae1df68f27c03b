/* Dense product by divide and conquer: a call splits its part of C and chains a call for each half, until the
 * part is small enough to be multiplied. Includers define
 *
 *   static void multiply(long n, const double* a, const double* b, double* c, long rows, long columns)
 *   static long widest(void)       widest part that it takes
 *
 * Main writes and pushes A and B before the first call, so hosts fetch them once and nobody pulls them. Parts
 * of C are pushed by who made them. */
#ifndef BENCH_MATMUL_CALLS_H
#define BENCH_MATMUL_CALLS_H

#include <faasm/faasm.h>

#include "matmul.h"

static void multiply(long n, const double* a, const double* b, double* c, long rows, long columns);
static long widest(void);

struct part {
    long n, edge;
    long row, rows;
    long column, columns;
};

static long bytes_of(long elements)
{
    return elements * (long)sizeof(double);
}

/* Some rows of a matrix: a window no larger than needed. */
static double* rows_of(const char* key, long n, long row, long rows)
{
    return (double*)faasmReadStateOffsetPtr(key, bytes_of(n * n), bytes_of(row * n), bytes_of(rows * n));
}

static void multiply_part(const struct part* p)
{
    long n = p->n;
    const double* a = rows_of("A", n, p->row, p->rows);
    const double* b = rows_of("B", n, 0, n);
    double* c = rows_of("C", n, p->row, p->rows);
    multiply(n, a, b + p->column, c + p->column, p->rows, p->columns);
    for (long i = p->row; i < p->row + p->rows; i++) {
        faasmFlagStateOffsetDirty("C", bytes_of(n * n), bytes_of(i * n + p->column), bytes_of(p->columns));
    }
    faasmPushState("C");
}

FAASM_FUNC(product, 1)
{
    struct part p, half;
    unsigned int first, second;
    faasmGetInput(BYTES(&p), sizeof p);
    if (p.rows <= p.edge && p.columns <= p.edge) {
        multiply_part(&p);
        return 0;
    }
    half = p;
    if (p.rows >= p.columns) {
        half.rows = (p.rows + 1) / 2;
        first = faasmChainThisInput(1, BYTES(&half), sizeof half);
        half.row = p.row + half.rows;
        half.rows = p.rows - half.rows;
    } else {
        half.columns = (p.columns + 1) / 2;
        first = faasmChainThisInput(1, BYTES(&half), sizeof half);
        half.column = p.column + half.columns;
        half.columns = p.columns - half.columns;
    }
    second = faasmChainThisInput(1, BYTES(&half), sizeof half);
    return (faasmAwaitCall(first) | faasmAwaitCall(second)) != 0;
}

static void fill(long n)
{
    double *a = rows_of("A", n, 0, n), *b = rows_of("B", n, 0, n);
    for (long i = 0; i < n; i++) {
        for (long j = 0; j < n; j++) {
            a[i * n + j] = element_a(i, j);
            b[i * n + j] = element_b(i, j);
        }
    }
    faasmFlagStateDirty("A", bytes_of(n * n));
    faasmFlagStateDirty("B", bytes_of(n * n));
    faasmPushState("A");
    faasmPushState("B");
}

FAASM_MAIN_FUNC()
{
    long n = argument(argc, argv, 1, 768);
    long repetitions = argument(argc, argv, 2, 5);
    long workers = argument(argc, argv, 3, 1);
    if (n < 1 || n > 10000 || workers < 1) {
        return 2;
    }
    struct part all = { n, part_edge(n, workers, widest()), 0, n, 0, n };
    fill(n);
    mobulaStateCreate("C", bytes_of(n * n));
    for (long i = -1; i < repetitions; i++) {
        double start = now();
        if (faasmAwaitCall(faasmChainThisInput(1, BYTES(&all), sizeof all)) != 0) {
            return 1;
        }
        if (i >= 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
    }
    faasmPullState("C", bytes_of(n * n));
    printf("check %.17g\n", checked_sum(n, rows_of("C", n, 0, n)));
    return 0;
}

#endif
