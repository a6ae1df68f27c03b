/* 3mm: G = (A B) (C D). */
#include "poly.h"

enum { NI = 400, NJ = 450, NK = 500, NL = 550, NM = 600 };

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
        for (int k = 0; k < NK; k++)
            for (int j = 0; j < NJ; j++)
                E[i][j] += A[i][k] * B[k][j];
    }
    for (int j = 0; j < NJ; j++) {
        for (int l = 0; l < NL; l++)
            F[j][l] = 0;
        for (int m = 0; m < NM; m++)
            for (int l = 0; l < NL; l++)
                F[j][l] += C[j][m] * D[m][l];
    }
    for (int i = 0; i < NI; i++) {
        for (int l = 0; l < NL; l++)
            G[i][l] = 0;
        for (int j = 0; j < NJ; j++)
            for (int l = 0; l < NL; l++)
                G[i][l] += E[i][j] * F[j][l];
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
