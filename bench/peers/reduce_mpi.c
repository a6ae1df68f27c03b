/* Peer of reduce: reduce_mpi N REPETITIONS WORKERS. A vector for each rank and MPI_Reduce; rank 0 adds the
 * result to the total. */
#define _GNU_SOURCE
#include <mpi.h>

#include "../guests/reduce.h"
#include "huge.h"

int main(int argc, char** argv)
{
    int rank = 0, ranks = 1;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long n = argument(argc, argv, 1, 1 << 20);
    long repetitions = argument(argc, argv, 2, 10);
    long length = length_of(n, ranks);
    if (length < 2) {
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    double* x = huge_alloc(sizeof(double) * (size_t)length);
    double* sum = huge_alloc(sizeof(double) * (size_t)length);
    double* total = huge_alloc(sizeof(double) * (size_t)length);
    for (long i = 0; i < length; i++) {
        sum[i] = total[i] = 0;
    }
    for (long r = -WARM_UP; r < repetitions; r++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double start = now();
        if (r == -WARM_UP) {
            fill(x, length, rank, ranks);
        } else {
            grow(x, length);
        }
        MPI_Reduce(x, sum, (int)length, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
        if (rank == 0) {
            for (long i = 0; i < length; i++) {
                total[i] += sum[i];
            }
            if (r >= 0) {
                sample("iteration", "ms", (now() - start) * 1e3);
            }
        }
    }
    double mean = rank == 0 ? mean_of(total, length, ranks, repetitions + WARM_UP) : 0;
    if (rank == 0) {
        printf("check %.17g\n", mean);
    }
    MPI_Finalize();
    return isnan(mean);
}
