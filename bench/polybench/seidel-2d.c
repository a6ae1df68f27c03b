/* seidel-2d: each point in turn becomes the mean of its neighbourhood of nine, those done before included.
 * A chain of dependent additions and a division. */
#include "poly.h"

enum { N = 800, STEPS = 5 };

static double A[N][N];

static void fill(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            A[i][j] = (i * (j + 2.0) + 2) / N;
}

KERNEL kernel(void)
{
    for (int t = 0; t < STEPS; t++)
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++)
                A[i][j] = (A[i - 1][j - 1] + A[i - 1][j] + A[i - 1][j + 1] + A[i][j - 1] + A[i][j] +
                           A[i][j + 1] + A[i + 1][j - 1] + A[i + 1][j] + A[i + 1][j + 1]) / 9;
}

static double check(void)
{
    return weighted(A[0], N * N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
