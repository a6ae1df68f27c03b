/* floyd-warshall: the shortest paths between all pairs of nodes. Integers, as is usual for this one. */
#include "poly.h"

enum { N = 400 };

static int path[N][N];

static void fill(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            path[i][j] = (i + j) % 13 == 0 || (i + j) % 7 == 0 || (i + j) % 11 == 0 ? 999 : i * j % 7 + 1;
}

#ifdef TUNED
static void row(int* restrict to, const int* restrict from, int first)
{
    for (int j = 0; j < N; j++)
        to[j] = to[j] < first + from[j] ? to[j] : first + from[j];
}

KERNEL kernel(void)
{
    for (int k = 0; k < N; k++)
        for (int i = 0; i < N; i++)
            if (i != k) /* Over itself no path gets shorter. */
                row(path[i], path[k], path[i][k]);
}
#else
KERNEL kernel(void)
{
    for (int k = 0; k < N; k++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                const int over = path[i][k] + path[k][j];
                path[i][j] = path[i][j] < over ? path[i][j] : over;
            }
}
#endif

static double check(void)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum += path[i][j] * (1 + j % 8 * 0.125);
    return sum;
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
