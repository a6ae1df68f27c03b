/* fdtd-2d: finite differences in time of Maxwell's equations in a plane. Larger than the second-level
 * cache. */
#include "poly.h"

enum { NX = 800, NY = 1000, STEPS = 20 };

static double ex[NX][NY], ey[NX][NY], hz[NX][NY], source[STEPS];

static void fill(void)
{
    for (int t = 0; t < STEPS; t++)
        source[t] = t;
    for (int i = 0; i < NX; i++)
        for (int j = 0; j < NY; j++) {
            ex[i][j] = i * (j + 1.0) / NX;
            ey[i][j] = i * (j + 2.0) / NY;
            hz[i][j] = i * (j + 3.0) / NX;
        }
}

KERNEL kernel(void)
{
    for (int t = 0; t < STEPS; t++) {
        for (int j = 0; j < NY; j++)
            ey[0][j] = source[t];
        for (int i = 1; i < NX; i++)
            for (int j = 0; j < NY; j++)
                ey[i][j] -= 0.5 * (hz[i][j] - hz[i - 1][j]);
        for (int i = 0; i < NX; i++)
            for (int j = 1; j < NY; j++)
                ex[i][j] -= 0.5 * (hz[i][j] - hz[i][j - 1]);
        for (int i = 0; i < NX - 1; i++)
            for (int j = 0; j < NY - 1; j++)
                hz[i][j] -= 0.7 * (ex[i][j + 1] - ex[i][j] + ey[i + 1][j] - ey[i][j]);
    }
}

static double check(void)
{
    return weighted(ex[0], NX * NY) + weighted(ey[0], NX * NY) + weighted(hz[0], NX * NY);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
