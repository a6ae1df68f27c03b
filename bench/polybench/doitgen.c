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
#ifdef TUNED
            for (int s = 0; s < NP; s += 4) {
                const double f0 = A[r][q][s], f1 = A[r][q][s + 1];
                const double f2 = A[r][q][s + 2], f3 = A[r][q][s + 3];
                for (int p = 0; p < NP; p++)
                    sums[p] += f0 * C4[s][p] + f1 * C4[s + 1][p] +
                               f2 * C4[s + 2][p] + f3 * C4[s + 3][p];
            }
#else
            for (int s = 0; s < NP; s++)
                for (int p = 0; p < NP; p++)
                    sums[p] += A[r][q][s] * C4[s][p];
#endif
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
