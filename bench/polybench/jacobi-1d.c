/* jacobi-1d: a row of points becomes the mean of three neighbours, and back. In the first-level cache. */
#include "poly.h"

enum { N = 3000, STEPS = 20000 };

static double A[N], B[N];

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        A[i] = (i + 2.0) / N;
        B[i] = (i + 3.0) / N;
    }
}

KERNEL kernel(void)
{
    for (int t = 0; t < STEPS; t++) {
        INTERLEAVE
        for (int i = 1; i < N - 1; i++)
            B[i] = (1 / 3.0) * (A[i - 1] + A[i] + A[i + 1]);
        INTERLEAVE
        for (int i = 1; i < N - 1; i++)
            A[i] = (1 / 3.0) * (B[i - 1] + B[i] + B[i + 1]);
    }
}

static double check(void)
{
    return weighted(A, N) + weighted(B, N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
