/* mvt: x1 + A a and x2 + A' b. */
#include "poly.h"

enum { N = 1400, ROUNDS = 8 };

static double A[N][N], x1[N], x2[N], a[N], b[N];

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        x1[i] = (double)(i % N) / N;
        x2[i] = (double)((i + 1) % N) / N;
        a[i] = (double)((i + 3) % N) / N;
        b[i] = (double)((i + 4) % N) / N;
        for (int j = 0; j < N; j++)
            A[i][j] = (double)(i * j % N) / N;
    }
}

KERNEL kernel(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            x1[i] += A[i][j] * a[j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            x2[j] += A[i][j] * b[i];
}

static double check(void)
{
    return weighted(x1, N) + weighted(x2, N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, ROUNDS, fill, kernel, check);
}
