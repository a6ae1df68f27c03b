/* symm: C = alpha A B + beta C, where only the lower triangle of the symmetric A is stored. */
#include "poly.h"

enum { M = 550, N = 650 };

static double A[M][M], B[M][N], C[M][N];
static const double alpha = 1.5, beta = 1.2;

static void fill(void)
{
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < N; j++) {
            C[i][j] = (double)((i + j) % 100) / M;
            B[i][j] = (double)((N + i - j) % 100) / M;
        }
        for (int j = 0; j < M; j++)
            A[i][j] = j <= i ? (double)((i + j) % 100) / M : -999;
    }
}

KERNEL kernel(void)
{
    double sums[N];

    for (int i = 0; i < M; i++) {
        for (int j = 0; j < N; j++)
            sums[j] = 0;
        for (int k = 0; k < i; k++)
            for (int j = 0; j < N; j++) {
                C[k][j] += alpha * A[i][k] * B[i][j];
                sums[j] += A[i][k] * B[k][j];
            }
        for (int j = 0; j < N; j++)
            C[i][j] = beta * C[i][j] + alpha * B[i][j] * A[i][i] + alpha * sums[j];
    }
}

static double check(void)
{
    return weighted(C[0], M * N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
