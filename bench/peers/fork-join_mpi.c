/* Peer of fork-join: fork-join_mpi N REPETITIONS WORKERS. Rank 0 broadcasts the work, all do it, and a
 * reduction of their results ends the iteration. */
#include <mpi.h>

#include "../guests/fork-join.h"

int main(int argc, char** argv)
{
    int rank = 0, ranks = 1;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long n = argument(argc, argv, 1, 0);
    long repetitions = argument(argc, argv, 2, 1000);
    long good = 0;
    long all = n == 0 ? 0 : (long)((double)n * steps_in_us() / (double)ranks) + 1;
    for (long batch = -1; batch_start(batch, repetitions) < repetitions; batch++) {
        double start = now();
        for (long i = batch_start(batch, repetitions); i < batch_start(batch + 1, repetitions); i++) {
            long steps = all;
            MPI_Bcast(&steps, 1, MPI_LONG, 0, MPI_COMM_WORLD);
            int bad = steps > 0 && spin(steps) == 0, any = 0;
            MPI_Reduce(&bad, &any, 1, MPI_INT, MPI_MAX, 0, MPI_COMM_WORLD);
            good += !any && i >= 0;
        }
        if (rank == 0) {
            report(batch, repetitions, now() - start);
        }
    }
    if (rank == 0) {
        printf("check %ld\n", good);
    }
    MPI_Finalize();
    return rank == 0 && good != repetitions;
}
