/* Peer of nstream in C with MPI: nstream_mpi N REPETITIONS WORKERS, a process a worker, each with its part
 * of the vectors. A repetition takes from a barrier to the end of the slowest. */
#define _GNU_SOURCE
#include <mpi.h>

#include "huge.h"

#include "../guests/nstream.h"

int main(int argc, char** argv)
{
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long n = argument(argc, argv, 1, 1 << 20), repetitions = argument(argc, argv, 2, 10);
    long mine = n * (rank + 1) / ranks - n * rank / ranks;
    double* a = huge_alloc(sizeof(double) * (size_t)mine);
    double* b = huge_alloc(sizeof(double) * (size_t)mine);
    double* c = huge_alloc(sizeof(double) * (size_t)mine);
    nstream_start(a, b, c, mine);
    for (long r = -NSTREAM_WARM_UPS; r < repetitions; r++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double before = MPI_Wtime();
        nstream(a, b, c, mine);
        double took = MPI_Wtime() - before, longest = 0;
        MPI_Reduce(&took, &longest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
        if (rank == 0 && r >= 0) {
            sample("iteration", "ms", longest * 1e3);
        }
    }
    double part = sum_of(a, mine), sum = 0;
    MPI_Reduce(&part, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    int failed = rank == 0 ? nstream_verdict(n, repetitions, sum) : 0;
    MPI_Finalize();
    return failed;
}
