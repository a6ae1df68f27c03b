/* matmul_openmp N REPETITIONS: C = A B, parts of C by whichever thread is free, with the loops of
 * guests/matmul.h in vectors as wide as the machine's.
 *
 *   cc -O3 -march=native -fopenmp */
#define _GNU_SOURCE
#include <omp.h>
#include <sys/mman.h>

#include "../guests/matmul.h"

static double* matrix(long n)
{
    size_t bytes = ((size_t)(n * n) * sizeof(double) + (2 << 20) - 1) & ~(size_t)((2 << 20) - 1);
    double* x = aligned_alloc(2 << 20, bytes);
    if (x == NULL) {
        exit(1);
    }
    madvise(x, bytes, MADV_HUGEPAGE);
    return x;
}

static void product(long n, long edge, const double* a, const double* b, double* c)
{
#pragma omp parallel
    {
        static struct packed* room;
#pragma omp threadprivate(room)
        if (room == NULL && (room = aligned_alloc(64, (sizeof *room + 63) / 64 * 64)) == NULL) {
            exit(1);
        }
#pragma omp for collapse(2) schedule(dynamic)
        for (long i = 0; i < n; i += edge) {
            for (long j = 0; j < n; j += edge) {
                multiply_block(n, a + i * n, b + j, c + i * n + j, n - i < edge ? n - i : edge,
                               n - j < edge ? n - j : edge, room);
            }
        }
    }
}

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 768);
    long repetitions = argument(argc, argv, 2, 5);
    long edge = part_edge(n, omp_get_max_threads(), BLOCK_COLUMNS);
    double *a = matrix(n), *b = matrix(n), *c = matrix(n);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < n; i++) {
        for (long j = 0; j < n; j++) {
            a[i * n + j] = element_a(i, j);
            b[i * n + j] = element_b(i, j);
            c[i * n + j] = 0;
        }
    }
    for (long i = -1; i < repetitions; i++) {
        double start = now();
        product(n, edge, a, b, c);
        if (i >= 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
    }
    printf("check %.17g\n", checked_sum(n, c));
    return 0;
}
