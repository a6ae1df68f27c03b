/* Peer of cg in C with OpenMP: cg_openmp N ITERATIONS WORKERS. Each thread has a block of planes, which it
 * touched first; one parallel region an iteration, with a barrier where others' p or sums are needed. */
#define _GNU_SOURCE
#include <omp.h>

#include "huge.h"

#include "../guests/cg.h"

static void* of_each(long most, size_t size)
{
    return huge_alloc((size_t)most * size);
}

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 16), iterations = argument(argc, argv, 2, 10);
    long all = n * n * n;
    /* The entries of a thread begin where its rows would if all were full. */
    double* values = of_each(all * ROW_ENTRIES, sizeof(double));
    int32_t* columns = of_each(all * ROW_ENTRIES, sizeof(int32_t));
    int32_t* starts = of_each(all + omp_get_max_threads() + 1, sizeof(int32_t));
    double *x = of_each(all, sizeof(double)), *r = of_each(all, sizeof(double));
    double *p = of_each(all, sizeof(double)), *q = of_each(all, sizeof(double));
    double residual = 0, pq = 0, beta = 0, next = 0;
#pragma omp parallel reduction(+ : residual)
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        long first = n * thread / threads * n * n, end = n * (thread + 1) / threads * n * n;
        struct matrix m = { values + first * ROW_ENTRIES, columns + first * ROW_ENTRIES,
                            starts + first + thread };
        build(m, r + first, n * thread / threads, n * (thread + 1) / threads, 0, n);
        for (long i = first; i < end; i++) {
            x[i] = p[i] = 0;
        }
        residual += square(r + first, end - first);
    }
    for (long k = -CG_WARM_UPS; k < iterations; k++) {
        double before = now();
        pq = next = 0;
#pragma omp parallel
        {
            int thread = omp_get_thread_num(), threads = omp_get_num_threads();
            long first = n * thread / threads * n * n, rows = n * (thread + 1) / threads * n * n - first;
            struct matrix m = { values + first * ROW_ENTRIES, columns + first * ROW_ENTRIES,
                                starts + first + thread };
            turn_to(p + first, r + first, beta, rows);
#pragma omp barrier
            double mine = multiply(&m, q + first, p, p + first, rows);
#pragma omp atomic
            pq += mine;
#pragma omp barrier
            mine = update(x + first, r + first, p + first, q + first, quotient(residual, pq), rows);
#pragma omp atomic
            next += mine;
        }
        beta = quotient(next, residual);
        residual = next;
        if (k >= 0) {
            sample("iteration", "ms", (now() - before) * 1e3);
        }
    }
    double weighted = 0, errors = 0;
    judge(x, 0, all, &weighted, &errors);
    return cg_verdict(n, residual, weighted, errors);
}
