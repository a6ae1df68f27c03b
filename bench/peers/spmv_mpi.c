/* spmv's peer with MPI: mpirun spmv_mpi N REPETITIONS. Multiplications with the matrix of spmv.h; ms each.
 * Each rank has a block of rows and all of the vector, since columns are scattered over all of it. */
#include <mpi.h>

#include "graph.h"

#include "../guests/spmv.h"

int main(int argc, char** argv)
{
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    struct cube c = cube_of(argument(argc, argv, 1, 64));
    long steps = argument(argc, argv, 2, 20), half_way = (steps + WARM_UP) / 2;
    int counts[ranks], places[ranks];
    for (int r = 0; r < ranks; r++) {
        places[r] = (int)(c.all * r / ranks);
        counts[r] = (int)(c.all * (r + 1) / ranks) - places[r];
    }
    int64_t lo = places[rank], rows = counts[rank];
    size_t count = (size_t)nonzeros(&c, lo, lo + rows);
    uint32_t *ends = pages(4 * (size_t)rows), *columns = pages(4 * count);
    double *values = pages(8 * count), *x = pages(8 * (size_t)c.all), *y = pages(8 * (size_t)rows);
    double mine, square, squares = 0, half = 0, with_zeroth = 0;

    fill(&c, lo, lo + rows, ends, columns, values);
    for (int64_t i = 0; i < c.all; i++) {
        x[i] = begin(i);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    for (long step = 1; step <= steps + WARM_UP; step++) {
        double start = now();
        mine = multiply(x, y, ends, columns, values, rows);
        MPI_Allgatherv(y, counts[rank], MPI_DOUBLE, x, counts, places, MPI_DOUBLE, MPI_COMM_WORLD);
        MPI_Allreduce(&mine, &square, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
        if (rank == 0 && step > WARM_UP) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
        squares += square;
        half = step == half_way ? square : half;
        if (step == half_way * 2) {
            mine = with_first(y, lo, lo + rows);
            MPI_Reduce(&mine, &with_zeroth, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
        }
    }
    int code = rank == 0 ? verdict(&c, squares, half, with_zeroth) : 0;
    MPI_Finalize();
    return code;
}
