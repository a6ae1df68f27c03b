/* doitgen: the last index of a cube is transformed by a matrix, in place. */
#include "poly.h"

enum { NR = 140, NQ = 150, NP = 140 };

static double A[NR][NQ][NP], C4[NP][NP];

static void fill(void)
{
    for (int r = 0; r < NR; r++)
        for (int q = 0; q < NQ; q++)
            for (int p = 0; p < NP; p++)
                A[r][q][p] = (double)((r * q + p) % NP) / NP;
    for (int s = 0; s < NP; s++)
        for (int p = 0; p < NP; p++)
            C4[s][p] = (double)(s * p % NP) / NP;
}

KERNEL kernel(void)
{
    double sums[NP];

    for (int r = 0; r < NR; r++)
        for (int q = 0; q < NQ; q++) {
            for (int p = 0; p < NP; p++)
                sums[p] = 0;
            for (int s = 0; s < NP; s++)
                for (int p = 0; p < NP; p++)
                    sums[p] += A[r][q][s] * C4[s][p];
            for (int p = 0; p < NP; p++)
                A[r][q][p] = sums[p];
        }
}

static double check(void)
{
    return weighted(A[0][0], NR * NQ * NP);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
