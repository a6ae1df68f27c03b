/* bicg: s = A' r and q = A p in one pass over A, as in a step of the biconjugate gradient method. */
#include "poly.h"

enum { M = 1300, N = 1500, ROUNDS = 16 };

static double A[N][M], s[M], q[N], p[M], r[N];

static void fill(void)
{
    for (int j = 0; j < M; j++)
        p[j] = (double)(j % M) / M;
    for (int i = 0; i < N; i++) {
        r[i] = (double)(i % N) / N;
        for (int j = 0; j < M; j++)
            A[i][j] = (double)(i * (j + 1) % N) / N;
    }
}

KERNEL kernel(void)
{
    for (int j = 0; j < M; j++)
        s[j] = 0;
    for (int i = 0; i < N; i++) {
        q[i] = 0;
        for (int j = 0; j < M; j++) {
            s[j] += r[i] * A[i][j];
            q[i] += A[i][j] * p[j];
        }
    }
}

static double check(void)
{
    return weighted(s, M) + weighted(q, N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, ROUNDS, fill, kernel, check);
}
