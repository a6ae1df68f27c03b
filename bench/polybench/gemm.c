/* gemm: C = alpha A B + beta C. */
#include "poly.h"

enum { NI = 600, NJ = 650, NK = 700 };

static double A[NI][NK], B[NK][NJ], C[NI][NJ];
static const double alpha = 1.5, beta = 1.2;

static void fill(void)
{
    for (int i = 0; i < NI; i++)
        for (int k = 0; k < NK; k++)
            A[i][k] = (double)((i * (k + 1)) % NK) / NK;
    for (int k = 0; k < NK; k++)
        for (int j = 0; j < NJ; j++)
            B[k][j] = (double)((k * (j + 2)) % NJ) / NJ;
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++)
            C[i][j] = (double)((i * j + 1) % NI) / NI;
}

KERNEL kernel(void)
{
    for (int i = 0; i < NI; i++) {
        for (int j = 0; j < NJ; j++)
            C[i][j] *= beta;
#ifdef TUNED
        for (int k = 0; k < NK; k += 4) {
            const double f0 = alpha * A[i][k], f1 = alpha * A[i][k + 1];
            const double f2 = alpha * A[i][k + 2], f3 = alpha * A[i][k + 3];
            for (int j = 0; j < NJ; j++)
                C[i][j] += f0 * B[k][j] + f1 * B[k + 1][j] +
                           f2 * B[k + 2][j] + f3 * B[k + 3][j];
        }
#else
        for (int k = 0; k < NK; k++)
            for (int j = 0; j < NJ; j++)
                C[i][j] += alpha * A[i][k] * B[k][j];
#endif
    }
}

static double check(void)
{
    return weighted(C[0], NI * NJ);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
