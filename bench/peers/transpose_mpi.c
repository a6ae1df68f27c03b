/* Peer of transpose: transpose_mpi N REPETITIONS WORKERS. As the kernel of PRK with MPI: a rank has a band of
 * rows of A and the same rows of B; the blocks that others need are transposed into a buffer, and sent while
 * the rank works on its own block. */
#define _GNU_SOURCE
#include <mpi.h>

#include "../guests/transpose.h"
#include "huge.h"

static int rank, ranks;
static long n, lo, hi;

/* Where the block of a rank is in the buffers: all blocks before it. */
static long block(int other)
{
    return band_start(n, other, ranks) * (hi - lo);
}

static long width(int other)
{
    return band_start(n, other + 1, ranks) - band_start(n, other, ranks);
}

static void add(double* b, const double* in, long columns)
{
    for (long i = 0; i < hi - lo; i++) {
        for (long j = 0; j < columns; j++) {
            b[i * n + j] += in[i * columns + j];
        }
    }
}

static void iteration(double* a, double* b, double* out, double* in, MPI_Request* pending)
{
    int waiting = 0;
    MPI_Request* received = pending;
    for (int k = 1; k < ranks; k++) {
        int from = (rank + ranks - k) % ranks;
        MPI_Irecv(in + block(from), (int)((hi - lo) * width(from)), MPI_DOUBLE, from, 0, MPI_COMM_WORLD,
                  &received[k - 1]);
    }
    for (int k = 1; k < ranks; k++) {
        int to = (rank + k) % ranks;
        transpose(a + band_start(n, to, ranks), out + block(to), n, hi - lo, hi - lo, width(to), 0);
        MPI_Isend(out + block(to), (int)((hi - lo) * width(to)), MPI_DOUBLE, to, 0, MPI_COMM_WORLD,
                  &pending[ranks - 1 + waiting++]);
    }
    transpose(a + lo, b + lo, n, n, hi - lo, hi - lo, 1);
    for (int k = 1; k < ranks; k++) {
        int from = (rank + ranks - k) % ranks;
        MPI_Wait(&received[k - 1], MPI_STATUS_IGNORE);
        add(b + band_start(n, from, ranks), in + block(from), width(from));
    }
    MPI_Waitall(waiting, pending + ranks - 1, MPI_STATUSES_IGNORE);
}

int main(int argc, char** argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    n = argument(argc, argv, 1, 1024);
    long repetitions = argument(argc, argv, 2, 10);
    if (!transposable(n, 1)) {
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    lo = band_start(n, rank, ranks);
    hi = band_start(n, rank + 1, ranks);
    size_t bytes = sizeof(double) * (size_t)(hi - lo) * (size_t)n;
    double *a = huge_alloc(bytes), *b = huge_alloc(bytes), *out = huge_alloc(bytes), *in = huge_alloc(bytes);
    MPI_Request* pending = malloc(sizeof(MPI_Request) * 2 * (size_t)ranks);
    for (long k = 0; k < (hi - lo) * n; k++) {
        a[k] = (double)(lo * n + k);
        b[k] = out[k] = in[k] = 0;
    }
    for (long r = -WARM_UP; r < repetitions; r++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double start = now();
        iteration(a, b, out, in, pending);
        MPI_Barrier(MPI_COMM_WORLD);
        if (r >= 0 && rank == 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
    }
    double mine[2] = { 0, 0 }, all[2] = { 0, 0 };
    for (long k = 0; k < (hi - lo) * n; k++) {
        mine[0] += b[k];
        mine[1] += fabs(b[k] - transposed(n, lo + k / n, k % n, repetitions + WARM_UP));
    }
    MPI_Allreduce(mine, all, 2, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0) {
        printf("check %.17g\n", all[0]);
        if (all[1] != 0) {
            fprintf(stderr, "transpose_mpi: B differs from its closed form by %g\n", all[1]);
        }
    }
    MPI_Finalize();
    return all[1] != 0;
}
