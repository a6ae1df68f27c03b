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
#ifdef TUNED
        int k = i + 1;
        for (; k + 4 <= M; k += 4) {
            const double f0 = A[k][i], f1 = A[k + 1][i], f2 = A[k + 2][i], f3 = A[k + 3][i];
            for (int j = 0; j < N; j++)
                B[i][j] += f0 * B[k][j] + f1 * B[k + 1][j] + f2 * B[k + 2][j] + f3 * B[k + 3][j];
        }
        for (; k < M; k++)
            for (int j = 0; j < N; j++)
                B[i][j] += A[k][i] * B[k][j];
#else
        for (int k = i + 1; k < M; k++)
            for (int j = 0; j < N; j++)
                B[i][j] += A[k][i] * B[k][j];
#endif
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
