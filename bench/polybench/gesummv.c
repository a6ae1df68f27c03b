/* gesummv: y = alpha A x + beta B x. Two sums in a row of additions that wait for each other. */
#include "poly.h"

enum { N = 1300, ROUNDS = 16 };

static double A[N][N], B[N][N], x[N], y[N];
static const double alpha = 1.5, beta = 1.2;

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        x[i] = (double)(i % N) / N;
        for (int j = 0; j < N; j++) {
            A[i][j] = (double)((i * j + 1) % N) / N;
            B[i][j] = (double)((i * j + 2) % N) / N;
        }
    }
}

KERNEL kernel(void)
{
    for (int i = 0; i < N; i++) {
        double a = 0, b = 0;
        for (int j = 0; j < N; j++) {
            a += A[i][j] * x[j];
            b += B[i][j] * x[j];
        }
        y[i] = alpha * a + beta * b;
    }
}

static double check(void)
{
    return weighted(y, N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, ROUNDS, fill, kernel, check);
}
