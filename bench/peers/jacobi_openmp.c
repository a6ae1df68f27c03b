/* Peer of jacobi in C with OpenMP: jacobi_openmp N STEPS WORKERS. Two arrays of the whole plate, a static loop
 * over rows with one barrier a step; each thread touches first what it works on. */
#define _GNU_SOURCE
#include "huge.h"

#include "../guests/jacobi.h"

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 256), steps = argument(argc, argv, 2, 10);
    long ld = row_length(n);
    double* array[2];
    double* wave = sines(n);
    for (int k = 0; k < 2; k++) {
        array[k] = (double*)huge_alloc(sizeof(double) * (size_t)((n + 2) * ld)) + ld + 8;
    }
#pragma omp parallel for schedule(static)
    for (long i = 0; i < n; i++) {
        start_row(array[0] + i * ld, wave, i, n);
        array[1][i * ld] = 0;
    }
    long step = 0;
    for (; step < JACOBI_WARM_UPS + steps; step++) {
        const double* from = array[step & 1];
        double* to = array[!(step & 1)];
        double before = now();
#pragma omp parallel for schedule(static)
        for (long i = 0; i < n; i++) {
            relax_rows(to, from, i, i + 1, n);
        }
        if (step >= JACOBI_WARM_UPS) {
            sample("iteration", "ms", (now() - before) * 1e3);
        }
    }
    double sum = 0, most = 0, amplitude = amplitude_after(n, step);
    for (long i = 0; i < n; i++) {
        compare_row(array[step & 1] + i * ld, wave, i, n, amplitude, &sum, &most);
    }
    return verdict(n, step, sum, most);
}
