/* syr2k: C = alpha (A B' + B A') + beta C, lower triangle. Sums of products of rows. */
#include "poly.h"

enum { M = 400, N = 450 };

static double A[N][M], B[N][M], C[N][N];
static const double alpha = 1.5, beta = 1.2;

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < M; k++) {
            A[i][k] = (double)((i * k + 1) % N) / N;
            B[i][k] = (double)((i * k + 2) % M) / M;
        }
        for (int j = 0; j < N; j++)
            C[i][j] = (double)((i * j + 3) % N) / M;
    }
}

KERNEL kernel(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) {
            double sum = 0;
            for (int k = 0; k < M; k++)
                sum += A[j][k] * B[i][k] + B[j][k] * A[i][k];
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
