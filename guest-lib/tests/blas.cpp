// blas.h: products by the host on windows and ordinary memory; sizes, strides and transposes; refusals.
//
// compile: mobula c++ -Wall -Wextra -Werror -o blas.wasm blas.cpp
// run: mobula run blas.wasm
// stderr: trapped: mobula_blas_dgemm: c overlaps a
// stderr: trapped: mobula_blas_dgemm: a, 4 x 4 with 4 from row to row: pointer
// expect: blas: good
// exit: 0
#include <faasm/blas.h>

#include "check.h"

#include <cmath>

enum { N = 96, BLOCK = 16 };

static const long BYTES_OF_MATRIX = static_cast<long>(N * N * sizeof(double));

static double* matrix(const char* key)
{
    return reinterpret_cast<double*>(faasmReadStatePtr(key, BYTES_OF_MATRIX));
}

/* Some rows of C = A B, on windows. */
FAASM_FUNC(product, 1)
{
    int64_t lo, hi;
    mobulaGetRange(&lo, &hi);
    const long rows = static_cast<long>(hi - lo);
    const double* a = matrix("A") + lo * N;
    mobulaBlasDgemm(0, 0, rows, N, N, 1, a, N, matrix("B"), N, 0, matrix("C") + lo * N, N);
    return 0;
}

FAASM_FUNC(wrong, 2)
{
    int how = 0;
    faasmGetInput(BYTES(&how), sizeof how);
    double* a = matrix("A");
    if (how == 0) {
        mobulaBlasDgemm(0, 0, 4, 4, 4, 1, a, 4, matrix("B"), 4, 0, a + 1, 4);
    } else {
        const double* end = reinterpret_cast<const double*>(~static_cast<uintptr_t>(63));
        mobulaBlasDgemm(0, 0, 4, 4, 4, 1, end, 4, matrix("B"), 4, 0, a, 4);
    }
    return 0;
}

static void products()
{
    double *a = matrix("A"), *b = matrix("B");
    for (int i = 0; i < N * N; i++) {
        a[i] = i % 7;
        b[i] = i % 5 - 2;
    }
    CHECK(faasmAwaitCall(mobulaChainRange(1, 0, N, BLOCK, nullptr, 0)) == 0);
    const double* c = matrix("C");
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++) {
                sum += a[i * N + k] * b[k * N + j];
            }
            CHECK(c[i * N + j] == sum);
        }
    }
}

static void transposes()
{
    const float a[6] = { 1, 2, 3, 4, 5, 6 }, b[6] = { 1, 0, 0, 1, 1, 1 };
    float c[4] = { 1, 1, 1, 1 };
    mobulaBlasSgemm(1, 0, 2, 2, 3, 2, a, 2, b, 2, 1, c, 2);
    CHECK(c[0] == 13 && c[1] == 17 && c[2] == 17 && c[3] == 21);
    double y[4] = { 0, NAN, 0, NAN };
    const double m[6] = { 1, 2, 3, 4, 5, 6 }, x[3] = { 1, 10, 100 };
    mobulaBlasDgemv(0, 2, 3, 1, m, 3, x, 1, 0, y, 2);
    CHECK(y[0] == 321 && y[2] == 654 && std::isnan(y[1]));
    double z[3] = { 1, 1, 1 };
    mobulaBlasDgemv(1, 2, 3, 1, m, 3, x, 1, 1, z, 1);
    CHECK(z[0] == 42 && z[1] == 53 && z[2] == 64);
}

static void vectors()
{
    const double x[5] = { 1, 2, 3, 4, 5 };
    double y[5] = { 1, 1, 1, 1, 1 };
    CHECK(mobulaBlasDdot(5, x, 1, y, 1) == 15);
    CHECK(mobulaBlasDdot(3, x, 2, y, 1) == 9);
    mobulaBlasDaxpy(5, 2, x, 1, y, 1);
    CHECK(y[0] == 3 && y[4] == 11);
    const int32_t rows[4] = { 0, 2, 2, 3 }, columns[3] = { 0, 4, 1 };
    double r[3] = { 1, 1, 1 };
    mobulaBlasDspmv(3, 5, 3, 1, rows, columns, x, x, 1, r);
    CHECK(r[0] == 12 && r[1] == 1 && r[2] == 7);
}

FAASM_MAIN_FUNC()
{
    products();
    transposes();
    vectors();
    CHECK(refused(2, 0));
    CHECK(refused(2, 1));
    return done("blas");
}
