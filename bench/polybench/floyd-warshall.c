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

KERNEL kernel(void)
{
    for (int k = 0; k < N; k++)
        for (int i = 0; i < N; i++)
#ifdef TUNED
            for (int j = 0, first = path[i][k]; j < N; j++) {
                const int over = first + path[k][j];
#else
            for (int j = 0; j < N; j++) {
                const int over = path[i][k] + path[k][j];
#endif
                path[i][j] = path[i][j] < over ? path[i][j] : over;
            }
}

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
