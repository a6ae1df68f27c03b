/* Peer of synch-p2p: synch-p2p_mpi N REPETITIONS WORKERS. As the kernel of PRK with MPI: a strip of columns
 * for each rank, and after every group of rows a message with their last points to the right neighbour; the
 * corner goes from the last rank to the first. */
#define _GNU_SOURCE
#include <mpi.h>

#include "../guests/synch-p2p.h"
#include "huge.h"

/* Rows that are handed over at once. */
enum { GROUP = 16 };

static int rank, ranks;

/* The points left of a group, and the one left of the row above; returns the last points of the group. */
static void group(double* a, long columns, long row, long rows, double origin, double* edge)
{
    if (rank > 0) {
        MPI_Recv(edge, (int)rows + 1, MPI_DOUBLE, rank - 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else {
        for (long r = 0; r <= rows; r++) {
            edge[r] = (double)(row - 1 + r);
        }
        edge[0] = row == 1 ? origin : edge[0];
    }
    sweep(a + row * columns, columns, columns, rows, edge);
    if (rank + 1 < ranks) {
        MPI_Send(edge, (int)rows + 1, MPI_DOUBLE, rank + 1, 0, MPI_COMM_WORLD);
    }
}

static double iteration(double* a, long n, long columns, double origin)
{
    double edge[GROUP + 1], corner = 0;
    for (long row = 1; row < n; row += GROUP) {
        long rows = n - row < GROUP ? n - row : GROUP;
        group(a, columns, row, rows, origin, edge);
        corner = edge[rows];
    }
    if (ranks > 1 && rank == ranks - 1) {
        MPI_Send(&corner, 1, MPI_DOUBLE, 0, 1, MPI_COMM_WORLD);
    } else if (ranks > 1 && rank == 0) {
        MPI_Recv(&corner, 1, MPI_DOUBLE, ranks - 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
    return corner;
}

int main(int argc, char** argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long n = argument(argc, argv, 1, 1024);
    long repetitions = argument(argc, argv, 2, 10);
    if (n <= ranks) {
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    long lo = strip_start(n, rank, ranks), columns = strip_start(n, rank + 1, ranks) - lo;
    double* a = huge_alloc(sizeof(double) * (size_t)n * (size_t)columns);
    double corner = 0;
    for (long k = 0; k < n * columns; k++) {
        a[k] = k < columns ? (double)(lo + k) : 0;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    for (long r = -WARM_UP; r < repetitions; r++) {
        double start = now();
        corner = iteration(a, n, columns, -corner);
        if (rank == 0) {
            if (r >= 0) {
                sample("iteration", "ms", (now() - start) * 1e3);
            }
            if (!right(corner, n, r + WARM_UP + 1)) {
                MPI_Abort(MPI_COMM_WORLD, 1);
            }
        }
    }
    if (rank == 0) {
        printf("check %.17g\n", corner);
    }
    MPI_Finalize();
    return 0;
}
