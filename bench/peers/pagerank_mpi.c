/* pagerank's peer with MPI: mpirun pagerank_mpi N STEPS. PageRank of N copies of the graph in BENCH_DATA; ms a
 * step. Each rank has a block of rows and all of the vector, which MPI_Allgatherv makes whole after a step. */
#include <mpi.h>

#include "pagerank.h"

int main(int argc, char** argv)
{
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    uint32_t n = (uint32_t)argument(argc, argv, 1, 1);
    long steps = argument(argc, argv, 2, 20);
    struct graph g = graph_read();
    uint64_t all = (uint64_t)g.vertices * n;
    int counts[ranks], places[ranks];
    for (int r = 0; r < ranks; r++) {
        places[r] = (int)(all * (uint64_t)r / (uint64_t)ranks);
        counts[r] = (int)(all * (uint64_t)(r + 1) / (uint64_t)ranks) - places[r];
    }
    uint64_t lo = (uint64_t)places[rank], count = (uint64_t)counts[rank], hi = lo + count;
    uint64_t edges = edges_before(&g, hi) - edges_before(&g, lo);
    struct rows rows = { lo, hi, pages(4 * count), pages(4 * edges), pages(4 * count) };
    double *gives = pages(8 * all), *after = pages(8 * count);
    double lost = 0, all_lost = 0, sums[2] = { 0, 0 }, all_sums[2] = { 0, 0 };

    fill(&g, n, rows, lo, lo, hi);
    for (uint64_t i = 0; i < all; i++) {
        uint32_t out = g.out[i % g.vertices];
        all_lost += out == 0 ? begin(i, all) : 0;
        gives[i] = given(begin(i, all), out);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    for (long step = -WARM_UP; step < steps; step++) {
        double start = now();
        lost = advance(gives, after, rows.ends, rows.sources, rows.out, count, 0, base_of(all_lost, all));
        MPI_Allgatherv(after, counts[rank], MPI_DOUBLE, gives, counts, places, MPI_DOUBLE, MPI_COMM_WORLD);
        MPI_Allreduce(&lost, &all_lost, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
        if (rank == 0 && step >= 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
    }
    for (uint64_t k = 0; k < count; k++) {
        sums[1] += weighted(gives[lo + k], rows.out[k], lo + k, &sums[0]);
    }
    MPI_Reduce(sums, all_sums, 2, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    int code = rank == 0 ? verdict(all_sums[0], all_sums[1]) : 0;
    MPI_Finalize();
    return code;
}
