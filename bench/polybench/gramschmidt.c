/* gramschmidt: A = Q R by the modified method; columns of A are made orthogonal one after the other. */
#include "poly.h"

enum { M = 550, N = 500 };

static double A[M][N], R[N][N], Q[M][N];

static void fill(void)
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            A[i][j] = (double)((i * j + 3 * i + j) % M) / M + (i == j ? 10 : 0);
            Q[i][j] = 0;
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            R[i][j] = 0;
}

KERNEL kernel(void)
{
    for (int k = 0; k < N; k++) {
        double norm = 0;
        for (int i = 0; i < M; i++)
            norm += A[i][k] * A[i][k];
        R[k][k] = sqrt(norm);
        for (int i = 0; i < M; i++)
            Q[i][k] = A[i][k] / R[k][k];
        for (int i = 0; i < M; i++)
            for (int j = k + 1; j < N; j++)
                R[k][j] += Q[i][k] * A[i][j];
        for (int i = 0; i < M; i++)
            for (int j = k + 1; j < N; j++)
                A[i][j] -= Q[i][k] * R[k][j];
    }
}

static double check(void)
{
    return weighted(R[0], N * N) + weighted(Q[0], M * N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
