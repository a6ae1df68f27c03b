/* 2mm: D = alpha A B C + beta D. */
#include "poly.h"

enum { NI = 450, NJ = 500, NK = 552, NL = 600 };

static double A[NI][NK], B[NK][NJ], C[NJ][NL], D[NI][NL], product[NI][NJ];
static const double alpha = 1.5, beta = 1.2;

static void fill(void)
{
    for (int i = 0; i < NI; i++)
        for (int k = 0; k < NK; k++)
            A[i][k] = (double)((i * k + 1) % NI) / NI;
    for (int k = 0; k < NK; k++)
        for (int j = 0; j < NJ; j++)
            B[k][j] = (double)((k * (j + 1)) % NJ) / NJ;
    for (int j = 0; j < NJ; j++)
        for (int l = 0; l < NL; l++)
            C[j][l] = (double)((j * (l + 3) + 1) % NL) / NL;
    for (int i = 0; i < NI; i++)
        for (int l = 0; l < NL; l++)
            D[i][l] = (double)((i * (l + 2)) % NK) / NK;
}

KERNEL kernel(void)
{
    for (int i = 0; i < NI; i++) {
        for (int j = 0; j < NJ; j++)
            product[i][j] = 0;
#ifdef TUNED
        for (int k = 0; k < NK; k += 4) {
            const double f0 = alpha * A[i][k], f1 = alpha * A[i][k + 1];
            const double f2 = alpha * A[i][k + 2], f3 = alpha * A[i][k + 3];
            for (int j = 0; j < NJ; j++)
                product[i][j] += f0 * B[k][j] + f1 * B[k + 1][j] +
                                 f2 * B[k + 2][j] + f3 * B[k + 3][j];
        }
#else
        for (int k = 0; k < NK; k++)
            for (int j = 0; j < NJ; j++)
                product[i][j] += alpha * A[i][k] * B[k][j];
#endif
    }
    for (int i = 0; i < NI; i++) {
        for (int l = 0; l < NL; l++)
            D[i][l] *= beta;
#ifdef TUNED
        for (int j = 0; j < NJ; j += 4) {
            const double f0 = product[i][j], f1 = product[i][j + 1];
            const double f2 = product[i][j + 2], f3 = product[i][j + 3];
            for (int l = 0; l < NL; l++)
                D[i][l] += f0 * C[j][l] + f1 * C[j + 1][l] +
                           f2 * C[j + 2][l] + f3 * C[j + 3][l];
        }
#else
        for (int j = 0; j < NJ; j++)
            for (int l = 0; l < NL; l++)
                D[i][l] += product[i][j] * C[j][l];
#endif
    }
}

static double check(void)
{
    return weighted(D[0], NI * NL);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
