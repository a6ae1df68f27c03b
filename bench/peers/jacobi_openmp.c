/* Peer of jacobi in C with OpenMP: jacobi_openmp N STEPS WORKERS. Two arrays of the whole plate; each
 * thread has a block of rows, which it touched first; one parallel region a step. */
#define _GNU_SOURCE
#include <omp.h>
#include <string.h>

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
#pragma omp parallel
    {
        long thread = omp_get_thread_num(), threads = omp_get_num_threads();
        for (long i = n * thread / threads; i < n * (thread + 1) / threads; i++) {
            start_row(array[0] + i * ld, wave, i, n);
            memset(array[1] + i * ld, 0, sizeof(double) * (size_t)n);
        }
    }
    long step = 0;
    for (; step < JACOBI_WARM_UPS + steps; step++) {
        const double* from = array[step & 1];
        double* to = array[!(step & 1)];
        double before = now();
#pragma omp parallel
        {
            long thread = omp_get_thread_num(), threads = omp_get_num_threads();
            relax_rows(to, from, n * thread / threads, n * (thread + 1) / threads, n);
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
