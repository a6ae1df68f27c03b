/* atax: y = A' (A x). */
#include "poly.h"

enum { M = 1300, N = 1500, ROUNDS = 12 };

static double A[M][N], x[N], y[N];

static void fill(void)
{
    for (int j = 0; j < N; j++)
        x[j] = 1 + (double)j / N;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            A[i][j] = (double)((i + j) % N) / (5 * M);
}

KERNEL kernel(void)
{
    for (int j = 0; j < N; j++)
        y[j] = 0;
    for (int i = 0; i < M; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++)
            sum += A[i][j] * x[j];
        for (int j = 0; j < N; j++)
            y[j] += A[i][j] * sum;
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
