/* trisolv: L x = b by forward substitution. */
#include "poly.h"

enum { N = 1800, ROUNDS = 12 };

static double L[N][N], b[N], x[N];

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        b[i] = 1 + (double)i / N;
        for (int j = 0; j < N; j++)
            L[i][j] = j < i ? (double)((i + N - j) % N) / N / N : j == i ? 2 : 0;
    }
}

KERNEL kernel(void)
{
    for (int i = 0; i < N; i++) {
        x[i] = b[i];
        for (int j = 0; j < i; j++)
            x[i] -= L[i][j] * x[j];
        x[i] /= L[i][i];
    }
}

static double check(void)
{
    return weighted(x, N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, ROUNDS, fill, kernel, check);
}
