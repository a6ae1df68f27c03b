/* lu: A = L U without pivots, in place: each row is subtracted from all below it. */
#include "poly.h"

enum { N = 700 };

static double A[N][N];

static void fill(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            A[i][j] = (double)((i + 2 * j) % N) / N + (i == j ? N : 0);
}

KERNEL kernel(void)
{
    for (int k = 0; k < N; k++)
        for (int i = k + 1; i < N; i++) {
#ifdef TUNED
            const double factor = A[i][k] /= A[k][k];
            INTERLEAVE
            for (int j = k + 1; j < N; j++)
                A[i][j] -= factor * A[k][j];
#else
            A[i][k] /= A[k][k];
            for (int j = k + 1; j < N; j++)
                A[i][j] -= A[i][k] * A[k][j];
#endif
        }
}

static double check(void)
{
    return weighted(A[0], N * N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
