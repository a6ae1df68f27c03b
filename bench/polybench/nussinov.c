/* nussinov: the largest number of pairs in a folded RNA sequence. Integers, as is usual for this one; each
 * entry is the best of sums along its row and its column. */
#include "poly.h"

enum { N = 800 };

static int table[N][N];
static char sequence[N];

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        sequence[i] = (char)((i + 1) * (i + 3) % 7 % 4);
        for (int j = 0; j < N; j++)
            table[i][j] = 0;
    }
}

static inline int larger(int a, int b)
{
    return a > b ? a : b;
}

KERNEL kernel(void)
{
    for (int i = N - 2; i >= 0; i--)
        for (int j = i + 1; j < N; j++) {
            int best = larger(table[i][j - 1], table[i + 1][j]);
            const int pairs = i < j - 1 && sequence[i] + sequence[j] == 3;
            best = larger(best, table[i + 1][j - 1] + pairs);
            for (int k = i + 1; k < j; k++)
                best = larger(best, table[i][k] + table[k + 1][j]);
            table[i][j] = best;
        }
}

static double check(void)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum += table[i][j] * (1 + j % 8 * 0.125);
    return sum;
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
