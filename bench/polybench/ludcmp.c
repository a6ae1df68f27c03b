/* ludcmp: A x = b by A = L U, each row from all above it, then forward and backward substitution. */
#include "poly.h"

enum { N = 700 };

static double A[N][N], b[N], x[N], y[N];

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        b[i] = (i + 1.0) / N / 2 + 4;
        for (int j = 0; j < N; j++)
            A[i][j] = (double)((i + 2 * j) % N) / N + (i == j ? N : 0);
    }
}

KERNEL kernel(void)
{
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++) {
            const double factor = A[i][k] / A[k][k];
            A[i][k] = factor;
            INTERLEAVE
            for (int j = k + 1; j < N; j++)
                A[i][j] -= factor * A[k][j];
        }
    for (int i = 0; i < N; i++) {
        double sum = b[i];
        for (int j = 0; j < i; j++)
            sum -= A[i][j] * y[j];
        y[i] = sum;
    }
    for (int i = N - 1; i >= 0; i--) {
        double sum = y[i];
        for (int j = i + 1; j < N; j++)
            sum -= A[i][j] * x[j];
        x[i] = sum / A[i][i];
    }
}

static double check(void)
{
    return weighted(x, N) + weighted(A[0], N * N) / N;
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
