/* Linear algebra: a CBLAS if the program is linked with one, else plain loops. Part of mobula_native.c. */

enum { CBLAS_ROWS = 101, CBLAS_PLAIN = 111, CBLAS_TRANSPOSED = 112 };

__attribute__((weak)) double cblas_ddot(int, const double*, int, const double*, int);
__attribute__((weak)) void cblas_daxpy(int, double, const double*, int, double*, int);
__attribute__((weak)) void cblas_dgemv(int, int, int, int, double, const double*, int, const double*, int,
                                       double, double*, int);
__attribute__((weak)) void cblas_dgemm(int, int, int, int, int, int, double, const double*, int,
                                       const double*, int, double, double*, int);
__attribute__((weak)) void cblas_sgemm(int, int, int, int, int, int, float, const float*, int,
                                       const float*, int, float, float*, int);

/* What is not checked natively is where a matrix ends. */
static void stored(const char* function, const char* what, long rows, long cols, long ld)
{
    length(function, rows, what);
    length(function, cols, what);
    if (ld < (cols > 1 ? cols : 1)) {
        refuse(function, "%s: %ld elements from one row to the next; the rows have %ld", what, ld, cols);
    }
}

static int turned(const char* function, const char* what, int trans)
{
    if (trans != 0 && trans != 1) {
        refuse(function, "%s is %d; 0 is plain, 1 is transposed", what, trans);
    }
    return trans ? CBLAS_TRANSPOSED : CBLAS_PLAIN;
}

double __mobula_blas_ddot(long n, const double* x, long incx, const double* y, long incy)
{
    double sum = 0;
    stored(__func__, "x", n, 1, incx);
    stored(__func__, "y", n, 1, incy);
    if (cblas_ddot != NULL) {
        return cblas_ddot((int)n, x, (int)incx, y, (int)incy);
    }
    for (long i = 0; i < n; i++) {
        sum += x[i * incx] * y[i * incy];
    }
    return sum;
}

void __mobula_blas_daxpy(long n, double alpha, const double* x, long incx, double* y, long incy)
{
    stored(__func__, "x", n, 1, incx);
    stored(__func__, "y", n, 1, incy);
    if (cblas_daxpy != NULL) {
        cblas_daxpy((int)n, alpha, x, (int)incx, y, (int)incy);
        return;
    }
    for (long i = 0; i < n; i++) {
        y[i * incy] += alpha * x[i * incx];
    }
}

void __mobula_blas_dgemv(int trans, long m, long n, double alpha, const double* a, long lda,
                         const double* x, long incx, double beta, double* y, long incy)
{
    const int how = turned(__func__, "trans", trans);
    const long outer = trans ? n : m, inner = trans ? m : n;
    const long down = trans ? 1 : lda, right = trans ? lda : 1;
    stored(__func__, "a", m, n, lda);
    stored(__func__, "x", inner, 1, incx);
    stored(__func__, "y", outer, 1, incy);
    if (cblas_dgemv != NULL && m > 0 && n > 0) {
        cblas_dgemv(CBLAS_ROWS, how, (int)m, (int)n, alpha, a, (int)lda, x, (int)incx, beta, y, (int)incy);
        return;
    }
    for (long i = 0; i < outer; i++) {
        double sum = 0;
        for (long j = 0; j < inner; j++) {
            sum += a[i * down + j * right] * x[j * incx];
        }
        y[i * incy] = alpha * sum + (beta == 0 ? 0 : beta * y[i * incy]);
    }
}

/* For both kinds of numbers. Rows of the result grow by multiples of rows of b where b is not transposed,
 * which compilers make vectors of. */
#define NATIVE_GEMM(name, cblas, T)                                                                    \
    void name(int transA, int transB, long m, long n, long k, double alpha, const T* a, long lda,      \
              const T* b, long ldb, double beta, T* c, long ldc)                                       \
    {                                                                                                  \
        const int how_a = turned(__func__, "transA", transA), how_b = turned(__func__, "transB", transB); \
        const long a_down = transA ? 1 : lda, a_right = transA ? lda : 1;                              \
        const long b_down = transB ? 1 : ldb, b_right = transB ? ldb : 1;                              \
        stored(__func__, "a", transA ? k : m, transA ? m : k, lda);                                    \
        stored(__func__, "b", transB ? n : k, transB ? k : n, ldb);                                    \
        stored(__func__, "c", m, n, ldc);                                                              \
        if (cblas != NULL && m > 0 && n > 0 && k > 0) {                                                \
            cblas(CBLAS_ROWS, how_a, how_b, (int)m, (int)n, (int)k, (T)alpha, a, (int)lda, b, (int)ldb, \
                  (T)beta, c, (int)ldc);                                                               \
            return;                                                                                    \
        }                                                                                              \
        for (long i = 0; i < m; i++) {                                                                 \
            T* row = c + i * ldc;                                                                      \
            for (long j = 0; j < n; j++) {                                                             \
                row[j] = beta == 0 ? 0 : (T)beta * row[j];                                             \
            }                                                                                          \
            for (long l = 0; l < k; l++) {                                                             \
                const T factor = (T)alpha * a[i * a_down + l * a_right];                               \
                for (long j = 0; j < n; j++) {                                                         \
                    row[j] += factor * b[l * b_down + j * b_right];                                    \
                }                                                                                      \
            }                                                                                          \
        }                                                                                              \
    }

NATIVE_GEMM(__mobula_blas_dgemm, cblas_dgemm, double)
NATIVE_GEMM(__mobula_blas_sgemm, cblas_sgemm, float)

void __mobula_blas_dspmv(long m, long n, long nnz, double alpha, const int32_t* rows,
                         const int32_t* columns, const double* values, const double* x, double beta,
                         double* y)
{
    length(__func__, m, "the number of rows");
    length(__func__, n, "x");
    length(__func__, nnz, "the columns");
    for (long row = 0; row < m; row++) {
        double sum = 0;
        if (rows[row] < 0 || rows[row + 1] < rows[row] || rows[row + 1] > nnz) {
            refuse(__func__, "row %ld has elements %d to %d; rows follow each other, up to %ld", row,
                   rows[row], rows[row + 1], nnz);
        }
        for (long k = rows[row]; k < rows[row + 1]; k++) {
            if (columns[k] < 0 || columns[k] >= n) {
                refuse(__func__, "row %ld has column %d; there are %ld", row, columns[k], n);
            }
            sum += values[k] * x[columns[k]];
        }
        y[row] = alpha * sum + (beta == 0 ? 0 : beta * y[row]);
    }
}
