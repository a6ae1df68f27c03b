/* syrk: C = alpha A A' + beta C, lower triangle. Sums of products of rows. */
#include "poly.h"

enum { M = 400, N = 400 };

static double A[N][M], C[N][N];
static const double alpha = 1.5, beta = 1.2;

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < M; k++)
            A[i][k] = (double)((i * k + 1) % N) / N;
        for (int j = 0; j < N; j++)
            C[i][j] = (double)((i * j + 2) % M) / M;
    }
}

KERNEL kernel(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) {
            double sum = 0;
            for (int k = 0; k < M; k++)
                sum += A[i][k] * A[j][k];
            C[i][j] = alpha * sum + beta * C[i][j];
        }
}

static double check(void)
{
    return weighted(C[0], N * N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
