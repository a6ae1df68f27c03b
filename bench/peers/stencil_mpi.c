/* Peer of stencil in C with MPI: stencil_mpi N REPETITIONS WORKERS, a process a worker. Each has a block of
 * rows with RADIUS more above and below; they travel while the rows that do not need them are swept. */
#define _GNU_SOURCE
#include <mpi.h>

#include "huge.h"

#include "../guests/stencil.h"

int main(int argc, char** argv)
{
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long n = argument(argc, argv, 1, 256), repetitions = argument(argc, argv, 2, 10);
    long top = n * rank / ranks, rows = n * (rank + 1) / ranks - top, ld = row_length(n);
    int above = rank > 0 ? rank - 1 : MPI_PROC_NULL, below = rank < ranks - 1 ? rank + 1 : MPI_PROC_NULL;
    int edge = (int)(RADIUS * ld);
    if (n / ranks < LEAST_ROWS) {
        fprintf(stderr, "stencil_mpi: fewer than %d rows a process\n", LEAST_ROWS);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    double* in = (double*)huge_alloc(sizeof(double) * (size_t)((rows + 2 * RADIUS) * ld)) + edge;
    double* out = huge_alloc(sizeof(double) * (size_t)(rows * ld));
    stencil_start(out, in, rows, top, n);
    for (long r = -STENCIL_WARM_UPS; r < repetitions; r++) {
        MPI_Request requests[4];
        MPI_Barrier(MPI_COMM_WORLD);
        double before = MPI_Wtime();
        MPI_Irecv(in - edge, edge, MPI_DOUBLE, above, 0, MPI_COMM_WORLD, &requests[0]);
        MPI_Irecv(in + rows * ld, edge, MPI_DOUBLE, below, 1, MPI_COMM_WORLD, &requests[1]);
        MPI_Isend(in, edge, MPI_DOUBLE, above, 1, MPI_COMM_WORLD, &requests[2]);
        MPI_Isend(in + rows * ld - edge, edge, MPI_DOUBLE, below, 0, MPI_COMM_WORLD, &requests[3]);
        sweep(out, in, RADIUS, rows - RADIUS, top, n);
        MPI_Waitall(4, requests, MPI_STATUSES_IGNORE);
        sweep(out, in, 0, RADIUS, top, n);
        sweep(out, in, rows - RADIUS, rows, top, n);
        raise_rows(in, 0, 2 * RADIUS, n);
        raise_rows(in, rows - 2 * RADIUS, rows, n);
        double took = MPI_Wtime() - before, longest = 0;
        MPI_Reduce(&took, &longest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
        if (rank == 0 && r >= 0) {
            sample("iteration", "ms", longest * 1e3);
        }
    }
    double part = stencil_sum(out, rows, top, n), sum = 0;
    MPI_Reduce(&part, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    int failed = rank == 0 ? stencil_verdict(n, repetitions, sum) : 0;
    MPI_Finalize();
    return failed;
}
