/* jacobi-2d: a plane of points becomes the mean of five neighbours, and back. Larger than the second-level
 * cache. */
#include "poly.h"

enum { N = 1000, STEPS = 20 };

static double A[N][N], B[N][N];

static void fill(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            A[i][j] = (i * (j + 2.0) + 2) / N;
            B[i][j] = (i * (j + 3.0) + 3) / N;
        }
}

KERNEL kernel(void)
{
    for (int t = 0; t < STEPS; t++) {
        for (int i = 1; i < N - 1; i++)
            INTERLEAVE
            for (int j = 1; j < N - 1; j++)
                B[i][j] = 0.2 * (A[i][j] + A[i][j - 1] + A[i][j + 1] + A[i - 1][j] + A[i + 1][j]);
        for (int i = 1; i < N - 1; i++)
            INTERLEAVE
            for (int j = 1; j < N - 1; j++)
                A[i][j] = 0.2 * (B[i][j] + B[i][j - 1] + B[i][j + 1] + B[i - 1][j] + B[i + 1][j]);
    }
}

static double check(void)
{
    return weighted(A[0], N * N) + weighted(B[0], N * N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
