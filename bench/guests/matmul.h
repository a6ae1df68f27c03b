/* Dense product C = A B of n x n doubles, row after row; common to guests and peers.
 *
 *   A[i][k] = k + i, B[k][j] = j - k       every sum is a whole number below 2^53 up to n = 2000 or so, so
 *   C[i][j] = (j - i) S1 - S2 + i j n      that each element has a closed form that mixed up indices miss;
 *   sum of C = -n^3 (n^2 - 1) / 12         S1 and S2 are the sums of k and of k^2 below n
 *
 * multiply_block is what is written by hand where there is no BLAS: operands are packed into slivers, so
 * that the innermost loop reads both from beginning to end, B's sliver from the first-level cache and A's
 * block from the second, and keeps a piece of C in registers. The vectors are as wide as the target's. */
#ifndef BENCH_MATMUL_H
#define BENCH_MATMUL_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "samples.h"

/* Rows and columns of a piece of the result in registers: ROWS x VECTORS of them. */
#if defined(__wasm__)
#include <wasm_simd128.h>
enum { WIDTH = 2, ROWS = 4, VECTORS = 2 };
#elif defined(__AVX512F__)
enum { WIDTH = 8, ROWS = 8, VECTORS = 3 };
#elif defined(__AVX2__)
enum { WIDTH = 4, ROWS = 6, VECTORS = 2 };
#else
enum { WIDTH = 2, ROWS = 6, VECTORS = 2 };
#endif
enum { COLUMNS = WIDTH * VECTORS, DEPTH = 256, BLOCK_ROWS = 16 * ROWS, BLOCK_COLUMNS = 512 };

typedef double vector __attribute__((vector_size(WIDTH * sizeof(double))));
typedef double unaligned_vector __attribute__((vector_size(WIDTH * sizeof(double)), aligned(8)));

/* Room for a block of A and one of B, in slivers; one for each thread. */
struct packed {
    double a[BLOCK_ROWS * DEPTH] __attribute__((aligned(64)));
    double b[(BLOCK_COLUMNS + COLUMNS) * DEPTH] __attribute__((aligned(64)));
};

static inline double element_a(long i, long k)
{
    return (double)(k + i);
}

static inline double element_b(long k, long j)
{
    return (double)(j - k);
}

static inline double element_c(long n, long i, long j)
{
    double m = (double)n, s1 = m * (m - 1) / 2, s2 = (m - 1) * m * (2 * m - 1) / 6;
    return (double)(j - i) * s1 - s2 + (double)i * (double)j * m;
}

static inline vector fused(vector x, vector y, vector sum)
{
#if defined(__wasm_relaxed_simd__)
    return (vector)wasm_f64x2_relaxed_madd((v128_t)x, (v128_t)y, (v128_t)sum);
#else
    return x * y + sum; /* one instruction where there is one */
#endif
}

/* Element i, the same in every place. In WebAssembly a load that spreads what it loads becomes three
 * instructions, so two elements are loaded as one vector and spread from there. */
static inline vector spread(const double* x, int i)
{
#if defined(__wasm__)
    vector pair = *(const vector*)(x + i / 2 * 2);
    return i % 2 ? __builtin_shufflevector(pair, pair, 1, 1) : __builtin_shufflevector(pair, pair, 0, 0);
#else
    return x[i] - (vector){ 0 };
#endif
}

/* Adds a ROWS x COLUMNS piece, from a sliver of each operand, to c; or only its first rows and columns. Not
 * inline: its registers are its own. */
__attribute__((noinline)) static void multiply_sliver(long depth, const double* restrict a, const double* restrict b,
                                   double* restrict c, long ld, long rows, long columns)
{
    vector sum[ROWS][VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
#pragma GCC unroll 3
        for (int v = 0; v < VECTORS; v++) {
            sum[i][v] = (vector){ 0 };
        }
    }
    for (long k = 0; k < depth; k++) {
        vector row[VECTORS];
#pragma GCC unroll 3
        for (int v = 0; v < VECTORS; v++) {
            row[v] = *(const vector*)(b + k * COLUMNS + v * WIDTH);
        }
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            vector factor = spread(a + k * ROWS, i);
#pragma GCC unroll 3
            for (int v = 0; v < VECTORS; v++) {
                sum[i][v] = fused(factor, row[v], sum[i][v]);
            }
        }
    }
    if (rows == ROWS && columns == COLUMNS) {
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
#pragma GCC unroll 3
            for (int v = 0; v < VECTORS; v++) {
                *(unaligned_vector*)(c + i * ld + v * WIDTH) += sum[i][v];
            }
        }
        return;
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
        double piece[COLUMNS];
#pragma GCC unroll 3
        for (int v = 0; v < VECTORS; v++) {
            *(unaligned_vector*)(piece + v * WIDTH) = sum[i][v];
        }
        for (long j = 0; j < columns && i < rows; j++) {
            c[i * ld + j] += piece[j];
        }
    }
}

/* Slivers of ROWS rows, column after column; what a sliver lacks is zero. */
static inline void pack_a(const double* restrict a, long ld, long rows, long depth, double* restrict to)
{
    for (long i = 0; i < rows; i += ROWS, to += ROWS * depth) {
        for (int r = 0; r < ROWS; r++) {
            const double* from = a + (i + r) * ld;
            for (long k = 0; k < depth; k++) {
                to[k * ROWS + r] = i + r < rows ? from[k] : 0;
            }
        }
    }
}

/* Slivers of COLUMNS columns, row after row. */
static inline void pack_b(const double* restrict b, long ld, long depth, long columns, double* restrict to)
{
    for (long j = 0; j < columns; j += COLUMNS) {
        long whole = columns - j >= COLUMNS;
        for (long k = 0; k < depth; k++, to += COLUMNS) {
            const double* from = b + k * ld + j;
            for (long c = 0; c < COLUMNS; c++) {
                to[c] = whole || j + c < columns ? from[c] : 0;
            }
        }
    }
}

/* c = a b for matrices of n columns each, of which `rows` rows of a, and `columns` columns of b and c, are
 * meant; at most BLOCK_COLUMNS. */
static inline void multiply_block(long n, const double* a, const double* b, double* c, long rows,
                                  long columns, struct packed* room)
{
    for (long i = 0; i < rows; i++) {
        for (long j = 0; j < columns; j++) {
            c[i * n + j] = 0;
        }
    }
    for (long k = 0; k < n; k += DEPTH) {
        long depth = n - k < DEPTH ? n - k : DEPTH;
        pack_b(b + k * n, n, depth, columns, room->b);
        for (long first = 0; first < rows; first += BLOCK_ROWS) {
            long block = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS;
            pack_a(a + first * n + k, n, block, depth, room->a);
            for (long j = 0; j < columns; j += COLUMNS) {
                for (long i = 0; i < block; i += ROWS) {
                    multiply_sliver(depth, room->a + i * depth, room->b + j * depth,
                                    c + (first + i) * n + j, n, block - i < ROWS ? block - i : ROWS,
                                    columns - j < COLUMNS ? columns - j : COLUMNS);
                }
            }
        }
    }
}

/* Edge of the parts of C that are made at once: some for each worker, none wider than a packed block. */
static inline long part_edge(long n, long workers, long most)
{
    long edge = n;
    while (edge > 64 && (edge > most || (workers > 1 && (n / edge) * (n / edge) < 4 * workers))) {
        edge = (edge + 1) / 2;
    }
    return edge;
}

/* The sum of all elements; exits unless each is what it has to be. */
static inline double checked_sum(long n, const double* c)
{
    double sum = 0;
    for (long i = 0; i < n; i++) {
        for (long j = 0; j < n; j++) {
            double right = element_c(n, i, j);
            if (!(fabs(c[i * n + j] - right) <= 1e-12 * (double)n * (double)n * (double)n)) {
                fprintf(stderr, "matmul: C[%ld][%ld] is %g, not %g\n", i, j, c[i * n + j], right);
                exit(1);
            }
            sum += c[i * n + j];
        }
    }
    return sum;
}

#endif
