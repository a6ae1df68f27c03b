/* durbin: Levinson and Durbin's recursion for the Yule-Walker equations of a Toeplitz matrix. */
#include "poly.h"

enum { N = 7000 };

static double r[N], y[N];

static void fill(void)
{
    /* Convex and decreasing: the matrix is positive definite (Polya). */
    for (int i = 0; i < N; i++)
        r[i] = 1 / (i + 2.0);
}

KERNEL kernel(void)
{
    double z[N];

    y[0] = -r[0];
    double alpha = -r[0], beta = 1;
    for (int k = 1; k < N; k++) {
        beta = (1 - alpha * alpha) * beta;
        double sum = 0;
        for (int i = 0; i < k; i++)
            sum += r[k - i - 1] * y[i];
        alpha = -(r[k] + sum) / beta;
        for (int i = 0; i < k; i++)
            z[i] = y[i] + alpha * y[k - i - 1];
        for (int i = 0; i < k; i++)
            y[i] = z[i];
        y[k] = alpha;
    }
}

static double check(void)
{
    return weighted(y, N);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
