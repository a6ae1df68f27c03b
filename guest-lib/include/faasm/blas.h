/* Linear algebra by the host: a BLAS in its own machine code, on memory of this call and on windows.
 *
 *   double* c = (double*)faasmReadStateOffsetPtr("C", total, offset, len);
 *   mobulaBlasDgemm(0, 0, rows, N, N, 1, a, N, b, N, 0, c, N);        rows of C = rows of A times B
 *
 * For what is limited by arithmetic: WebAssembly has vectors of two doubles where machines have four or
 * eight. A call takes about 0.1 us more than a call in the guest. dot, axpy and sparse products of vectors
 * beyond the caches are limited by memory, here and there.
 *
 * Matrices lie row after row: element (i, j) of a is a[i * lda + j]. A leading dimension (lda) is the number
 * of elements from one row to the next, at least the length of a row; so parts of matrices are matrices.
 * A trans argument is 0, or 1 for the transposed of what is stored. Vectors have steps (incx) from 1 on.
 * With beta 0 the result is not read before it is written.
 *
 * Everything is checked before anything is done: sizes that are negative, rows that overlap, addresses that
 * are no multiple of the element's size, what leaves this call's memory, and a result that overlaps an
 * operand trap this call. Which products are exact to the last bit depends on the machine, as in any BLAS.
 * A kernel uses one thread; more is done at once by more calls.
 *
 * Natively these are functions of a CBLAS, if one is linked (-lopenblas), or plain loops.
 */
#ifndef FAASM_BLAS_H
#define FAASM_BLAS_H

#include <stdint.h>

#include "faasm/host_interface.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The sum of x[i] * y[i]. */
static inline double mobulaBlasDdot(long n, const double* x, long incx, const double* y, long incy)
{
    return __mobula_blas_ddot(n, x, incx, y, incy);
}

/* y = alpha x + y */
static inline void mobulaBlasDaxpy(long n, double alpha, const double* x, long incx, double* y,
                                   long incy)
{
    __mobula_blas_daxpy(n, alpha, x, incx, y, incy);
}

/* y = alpha op(a) x + beta y; a is stored as m x n. x has n elements and y has m, or with trans the other
 * way round. */
static inline void mobulaBlasDgemv(int trans, long m, long n, double alpha, const double* a, long lda,
                                   const double* x, long incx, double beta, double* y, long incy)
{
    __mobula_blas_dgemv(trans, m, n, alpha, a, lda, x, incx, beta, y, incy);
}

/* c = alpha op(a) op(b) + beta c; op(a) is m x k, op(b) is k x n, c is m x n. Stored are a as m x k (k x m
 * with transA) and b as k x n (n x k with transB). */
static inline void mobulaBlasDgemm(int transA, int transB, long m, long n, long k, double alpha,
                                   const double* a, long lda, const double* b, long ldb, double beta,
                                   double* c, long ldc)
{
    __mobula_blas_dgemm(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

static inline void mobulaBlasSgemm(int transA, int transB, long m, long n, long k, float alpha,
                                   const float* a, long lda, const float* b, long ldb, float beta,
                                   float* c, long ldc)
{
    __mobula_blas_sgemm(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

/* y = alpha a x + beta y for a sparse matrix, m x n, rows compressed: the elements of row r are number
 * rows[r] to rows[r + 1] - 1 of columns and values, which have nnz elements; rows has m + 1. Rows
 * lo..hi of a matrix are the matrix with rows + lo and m = hi - lo. Every index is checked on the way. */
static inline void mobulaBlasDspmv(long m, long n, long nnz, double alpha, const int32_t* rows,
                                   const int32_t* columns, const double* values, const double* x,
                                   double beta, double* y)
{
    __mobula_blas_dspmv(m, n, nnz, alpha, rows, columns, values, x, beta, y);
}

#ifdef __cplusplus
}
#endif

#endif
