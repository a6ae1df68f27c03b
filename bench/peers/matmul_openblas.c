/* matmul_openblas N REPETITIONS WORKERS: C = A B by cblas_dgemm, with as many threads as workers.
 *
 *   cc -O3 -march=native, -lopenblas */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "../guests/matmul.h"

/* Of cblas.h, which distributions keep in different places. */
void cblas_dgemm(int order, int transa, int transb, int m, int n, int k, double alpha, const double* a,
                 int lda, const double* b, int ldb, double beta, double* c, int ldc);
void openblas_set_num_threads(int threads);

enum { ROW_MAJOR = 101, PLAIN = 111 };

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

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 768);
    long repetitions = argument(argc, argv, 2, 5);
    int size = (int)n;
    double *a = matrix(n), *b = matrix(n), *c = matrix(n);
    openblas_set_num_threads((int)argument(argc, argv, 3, 1));
    for (long i = 0; i < n; i++) {
        for (long j = 0; j < n; j++) {
            a[i * n + j] = element_a(i, j);
            b[i * n + j] = element_b(i, j);
            c[i * n + j] = 0;
        }
    }
    for (long i = -1; i < repetitions; i++) {
        double start = now();
        cblas_dgemm(ROW_MAJOR, PLAIN, PLAIN, size, size, size, 1, a, size, b, size, 0, c, size);
        if (i >= 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
    }
    printf("check %.17g\n", checked_sum(n, c));
    return 0;
}
