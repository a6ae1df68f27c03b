/* matmul_mpi N REPETITIONS: C = A B, a band of rows of A and C on each rank, all of B on each, with the loops
 * of guests/matmul.h in vectors as wide as the machine's. Nothing is sent in an iteration.
 *
 *   mpicc -O3 -march=native */
#include <mpi.h>

#include "../guests/matmul.h"

static double* reals(long count)
{
    double* x = aligned_alloc(64, ((size_t)(count > 0 ? count : 1) * sizeof(double) + 63) / 64 * 64);
    if (x == NULL) {
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    return x;
}

static struct packed room;

int main(int argc, char** argv)
{
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long n = argument(argc, argv, 1, 768);
    long repetitions = argument(argc, argv, 2, 5);
    long lo = n * rank / ranks, rows = n * (rank + 1) / ranks - lo;
    double *a = reals(rows * n), *b = reals(n * n), *c = reals(rows * n);
    for (long i = 0; i < rows; i++) {
        for (long k = 0; k < n; k++) {
            a[i * n + k] = element_a(lo + i, k);
        }
    }
    for (long k = 0; k < n; k++) {
        for (long j = 0; j < n; j++) {
            b[k * n + j] = element_b(k, j);
        }
    }
    for (long i = -1; i < repetitions; i++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        for (long j = 0; j < n; j += BLOCK_COLUMNS) {
            multiply_block(n, a, b + j, c + j, rows, n - j < BLOCK_COLUMNS ? n - j : BLOCK_COLUMNS, &room);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        if (rank == 0 && i >= 0) {
            sample("iteration", "ms", (MPI_Wtime() - start) * 1e3);
        }
    }
    double sum = 0, all = 0;
    for (long i = 0; i < rows; i++) {
        for (long j = 0; j < n; j++) {
            double right = element_c(n, lo + i, j);
            if (!(fabs(c[i * n + j] - right) <= 1e-12 * (double)n * (double)n * (double)n)) {
                fprintf(stderr, "matmul: C[%ld][%ld] is %g, not %g\n", lo + i, j, c[i * n + j], right);
                MPI_Abort(MPI_COMM_WORLD, 1);
            }
            sum += c[i * n + j];
        }
    }
    MPI_Reduce(&sum, &all, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0) {
        printf("check %.17g\n", all);
    }
    MPI_Finalize();
    return 0;
}
