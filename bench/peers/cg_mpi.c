/* Peer of cg in C with MPI: cg_mpi N ITERATIONS WORKERS, a process a worker. Each has the rows of some
 * planes, and of p a plane more on either side, exchanged before it multiplies. */
#define _GNU_SOURCE
#include <mpi.h>

#include "huge.h"

#include "../guests/cg.h"

static double sum_over_all(double mine)
{
    double sum = 0;
    MPI_Allreduce(&mine, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    return sum;
}

/* The planes of p around ours. */
static void exchange(double* p, long rows, long plane, int rank, int ranks)
{
    int below = rank > 0 ? rank - 1 : MPI_PROC_NULL, above = rank < ranks - 1 ? rank + 1 : MPI_PROC_NULL;
    MPI_Request requests[4];
    MPI_Irecv(p - plane, (int)plane, MPI_DOUBLE, below, 0, MPI_COMM_WORLD, &requests[0]);
    MPI_Irecv(p + rows, (int)plane, MPI_DOUBLE, above, 1, MPI_COMM_WORLD, &requests[1]);
    MPI_Isend(p, (int)plane, MPI_DOUBLE, below, 1, MPI_COMM_WORLD, &requests[2]);
    MPI_Isend(p + rows - plane, (int)plane, MPI_DOUBLE, above, 0, MPI_COMM_WORLD, &requests[3]);
    MPI_Waitall(4, requests, MPI_STATUSES_IGNORE);
}

int main(int argc, char** argv)
{
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long n = argument(argc, argv, 1, 16), iterations = argument(argc, argv, 2, 10);
    long plane = n * n, first = n * rank / ranks, end = n * (rank + 1) / ranks, rows = (end - first) * plane;
    if (n < ranks) {
        fprintf(stderr, "cg_mpi: more processes than planes\n");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    struct matrix m = { huge_alloc(sizeof(double) * (size_t)(rows * ROW_ENTRIES)),
                        huge_alloc(sizeof(int32_t) * (size_t)(rows * ROW_ENTRIES)),
                        huge_alloc(sizeof(int32_t) * (size_t)(rows + 1)) };
    double *x = huge_alloc(sizeof(double) * (size_t)rows), *r = huge_alloc(sizeof(double) * (size_t)rows);
    double* q = huge_alloc(sizeof(double) * (size_t)rows);
    double* p = (double*)huge_alloc(sizeof(double) * (size_t)(rows + 2 * plane)) + plane;
    build(m, r, first, end, first, n);
    double residual = sum_over_all(square(r, rows)), beta = 0;
    for (long k = -CG_WARM_UPS; k < iterations; k++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double before = MPI_Wtime(), old = residual;
        turn_to(p, r, beta, rows);
        exchange(p, rows, plane, rank, ranks);
        double pq = sum_over_all(multiply(&m, q, p, p, rows));
        residual = sum_over_all(update(x, r, p, q, quotient(old, pq), rows));
        beta = quotient(residual, old);
        /* The last sum is the end for all. */
        if (rank == 0 && k >= 0) {
            sample("iteration", "ms", (MPI_Wtime() - before) * 1e3);
        }
    }
    double weighted = 0, errors = 0;
    judge(x, first * plane, rows, &weighted, &errors);
    weighted = sum_over_all(weighted);
    errors = sum_over_all(errors);
    int failed = rank == 0 ? cg_verdict(n, residual, weighted, errors) : 0;
    MPI_Finalize();
    return failed;
}
