/* covariance: the matrix of covariances of M variables with N observations. */
#include "poly.h"

enum { M = 600, N = 700 };

static double data[N][M], covariances[M][M], mean[M];

static void fill(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            data[i][j] = (double)(i * (j + 1) % N) / M;
}

KERNEL kernel(void)
{
    for (int j = 0; j < M; j++)
        mean[j] = 0;
    for (int k = 0; k < N; k++)
        for (int j = 0; j < M; j++)
            mean[j] += data[k][j];
    for (int j = 0; j < M; j++)
        mean[j] /= N;
    for (int k = 0; k < N; k++)
        for (int j = 0; j < M; j++)
            data[k][j] -= mean[j];
    for (int i = 0; i < M; i++) {
        for (int j = i; j < M; j++)
            covariances[i][j] = 0;
#ifdef TUNED
        for (int k = 0; k < N; k += 4) {
            const double f0 = data[k][i], f1 = data[k + 1][i];
            const double f2 = data[k + 2][i], f3 = data[k + 3][i];
            for (int j = i; j < M; j++)
                covariances[i][j] += f0 * data[k][j] + f1 * data[k + 1][j] +
                                     f2 * data[k + 2][j] + f3 * data[k + 3][j];
        }
#else
        for (int k = 0; k < N; k++)
            for (int j = i; j < M; j++)
                covariances[i][j] += data[k][i] * data[k][j];
#endif
        for (int j = i; j < M; j++)
            covariances[j][i] = covariances[i][j] /= N - 1;
    }
}

static double check(void)
{
    /* The trace as well: what lies beside the diagonal has both signs. */
    double trace = 0;
    for (int i = 0; i < M; i++)
        trace += covariances[i][i];
    return trace + weighted(covariances[0], M * M) / M;
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 1, fill, kernel, check);
}
