/* trmm: B = alpha A' B with a unit lower triangular A. */
#include "poly.h"

enum { M = 800, N = 900 };

static double A[M][M], B[M][N];
static const double alpha = 1.5;

static void fill(void)
{
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < M; j++)
            A[i][j] = j < i ? (double)((i + j) % M) / M : j == i;
        for (int j = 0; j < N; j++)
            B[i][j] = (double)((N + i - j) % N) / N;
    }
}

KERNEL kernel(void)
{
    for (int i = 0; i < M; i++) {
        for (int k = i + 1; k < M; k++)
            for (int j = 0; j < N; j++)
                B[i][j] += A[k][i] * B[k][j];
        for (int j = 0; j < N; j++)
            B[i][j] *= alpha;
    }
}

static double check(void)
{
    return weighted(B[0], M * N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
