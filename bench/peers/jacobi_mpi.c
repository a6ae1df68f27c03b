/* Peer of jacobi in C with MPI: jacobi_mpi N STEPS WORKERS, a process a worker. Each has a block of rows with
 * one more above and below; they travel while the rows that do not need them are relaxed. */
#define _GNU_SOURCE
#include <mpi.h>

#include "huge.h"

#include "../guests/jacobi.h"

int main(int argc, char** argv)
{
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long n = argument(argc, argv, 1, 256), steps = argument(argc, argv, 2, 10);
    long first = n * rank / ranks, rows = n * (rank + 1) / ranks - first;
    long ld = row_length(n);
    int above = rank > 0 ? rank - 1 : MPI_PROC_NULL, below = rank < ranks - 1 ? rank + 1 : MPI_PROC_NULL;
    double* array[2];
    double* wave = sines(n);
    if (rows < 2) {
        fprintf(stderr, "jacobi_mpi: fewer than 2 rows a process\n");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    for (int k = 0; k < 2; k++) {
        array[k] = (double*)huge_alloc(sizeof(double) * (size_t)((rows + 2) * ld)) + ld + 8;
    }
    for (long i = 0; i < rows; i++) {
        start_row(array[0] + i * ld, wave, first + i, n);
    }
    long step = 0;
    for (; step < JACOBI_WARM_UPS + steps; step++) {
        double* from = array[step & 1];
        double* to = array[!(step & 1)];
        MPI_Request requests[4];
        MPI_Barrier(MPI_COMM_WORLD);
        double before = MPI_Wtime();
        MPI_Irecv(from - ld, (int)n, MPI_DOUBLE, above, 0, MPI_COMM_WORLD, &requests[0]);
        MPI_Irecv(from + rows * ld, (int)n, MPI_DOUBLE, below, 1, MPI_COMM_WORLD, &requests[1]);
        MPI_Isend(from, (int)n, MPI_DOUBLE, above, 1, MPI_COMM_WORLD, &requests[2]);
        MPI_Isend(from + (rows - 1) * ld, (int)n, MPI_DOUBLE, below, 0, MPI_COMM_WORLD, &requests[3]);
        relax_rows(to, from, 1, rows - 1, n);
        MPI_Waitall(4, requests, MPI_STATUSES_IGNORE);
        relax_rows(to, from, 0, 1, n);
        relax_rows(to, from, rows - 1, rows, n);
        double took = MPI_Wtime() - before, longest = 0;
        MPI_Reduce(&took, &longest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
        if (rank == 0 && step >= JACOBI_WARM_UPS) {
            sample("iteration", "ms", longest * 1e3);
        }
    }
    double mine = 0, sum = 0, off = 0, most = 0, amplitude = amplitude_after(n, step);
    for (long i = 0; i < rows; i++) {
        compare_row(array[step & 1] + i * ld, wave, first + i, n, amplitude, &mine, &off);
    }
    MPI_Reduce(&mine, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Reduce(&off, &most, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    int failed = rank == 0 ? verdict(n, step, sum, most) : 0;
    MPI_Finalize();
    return failed;
}
