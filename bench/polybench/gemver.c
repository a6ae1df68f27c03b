/* gemver: A + u1 v1' + u2 v2', then x = beta A' y + z and w = alpha A x. */
#include "poly.h"

enum { N = 1400, ROUNDS = 8 };

static double A[N][N], u1[N], v1[N], u2[N], v2[N], w[N], x[N], y[N], z[N];
static const double alpha = 1.5, beta = 1.2;

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        u1[i] = i;
        u2[i] = (i + 1.0) / N / 2;
        v1[i] = (i + 1.0) / N / 4;
        v2[i] = (i + 1.0) / N / 6;
        y[i] = (i + 1.0) / N / 8;
        z[i] = (i + 1.0) / N / 9;
        for (int j = 0; j < N; j++)
            A[i][j] = (double)(i * j % N) / N;
    }
}

KERNEL kernel(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            A[i][j] += u1[i] * v1[j] + u2[i] * v2[j];
    for (int i = 0; i < N; i++)
        x[i] = z[i];
    for (int j = 0; j < N; j++)
        for (int i = 0; i < N; i++)
            x[i] += beta * A[j][i] * y[j];
    for (int i = 0; i < N; i++) {
        w[i] = 0;
        for (int j = 0; j < N; j++)
            w[i] += alpha * A[i][j] * x[j];
    }
}

static double check(void)
{
    return weighted(A[0], N * N) + weighted(x, N) + weighted(w, N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, ROUNDS, fill, kernel, check);
}
