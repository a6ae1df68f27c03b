/* 3mm: G = (A B) (C D). */
#include "poly.h"

enum { NI = 400, NJ = 452, NK = 500, NL = 550, NM = 600 };

static double A[NI][NK], B[NK][NJ], C[NJ][NM], D[NM][NL], E[NI][NJ], F[NJ][NL], G[NI][NL];

static void fill(void)
{
    for (int i = 0; i < NI; i++)
        for (int k = 0; k < NK; k++)
            A[i][k] = (double)((i * k + 1) % NI) / (5 * NI);
    for (int k = 0; k < NK; k++)
        for (int j = 0; j < NJ; j++)
            B[k][j] = (double)((k * (j + 1) + 2) % NJ) / (5 * NJ);
    for (int j = 0; j < NJ; j++)
        for (int m = 0; m < NM; m++)
            C[j][m] = (double)(j * (m + 3) % NL) / (5 * NL);
    for (int m = 0; m < NM; m++)
        for (int l = 0; l < NL; l++)
            D[m][l] = (double)((m * (l + 2) + 2) % NK) / (5 * NK);
}

KERNEL kernel(void)
{
    for (int i = 0; i < NI; i++) {
        for (int j = 0; j < NJ; j++)
            E[i][j] = 0;
#ifdef TUNED
        for (int k = 0; k < NK; k += 4) {
            const double f0 = A[i][k], f1 = A[i][k + 1];
            const double f2 = A[i][k + 2], f3 = A[i][k + 3];
            for (int j = 0; j < NJ; j++)
                E[i][j] += f0 * B[k][j] + f1 * B[k + 1][j] +
                           f2 * B[k + 2][j] + f3 * B[k + 3][j];
        }
#else
        for (int k = 0; k < NK; k++)
            for (int j = 0; j < NJ; j++)
                E[i][j] += A[i][k] * B[k][j];
#endif
    }
    for (int j = 0; j < NJ; j++) {
        for (int l = 0; l < NL; l++)
            F[j][l] = 0;
#ifdef TUNED
        for (int m = 0; m < NM; m += 4) {
            const double f0 = C[j][m], f1 = C[j][m + 1];
            const double f2 = C[j][m + 2], f3 = C[j][m + 3];
            for (int l = 0; l < NL; l++)
                F[j][l] += f0 * D[m][l] + f1 * D[m + 1][l] +
                           f2 * D[m + 2][l] + f3 * D[m + 3][l];
        }
#else
        for (int m = 0; m < NM; m++)
            for (int l = 0; l < NL; l++)
                F[j][l] += C[j][m] * D[m][l];
#endif
    }
    for (int i = 0; i < NI; i++) {
        for (int l = 0; l < NL; l++)
            G[i][l] = 0;
#ifdef TUNED
        for (int j = 0; j < NJ; j += 4) {
            const double f0 = E[i][j], f1 = E[i][j + 1];
            const double f2 = E[i][j + 2], f3 = E[i][j + 3];
            for (int l = 0; l < NL; l++)
                G[i][l] += f0 * F[j][l] + f1 * F[j + 1][l] +
                           f2 * F[j + 2][l] + f3 * F[j + 3][l];
        }
#else
        for (int j = 0; j < NJ; j++)
            for (int l = 0; l < NL; l++)
                G[i][l] += E[i][j] * F[j][l];
#endif
    }
}

static double check(void)
{
    return weighted(G[0], NI * NL);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
