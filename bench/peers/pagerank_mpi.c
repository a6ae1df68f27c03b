/* pagerank's peer with MPI: mpirun pagerank_mpi N STEPS. PageRank of N copies of the graph in BENCH_DATA;
 * ms a step. Each rank has a block of rows and all of the vector, which MPI_Allgatherv makes whole after
 * a step. */
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
    struct rows rows = { pages(4 * count), pages(4 * edges), pages(8 * count) };
    uint32_t* dangling = pages(4 * count);
    double *gives = pages(8 * all), *after = pages(8 * count);
    double lost, all_lost, sums[2] = { 0, 0 }, all_sums[2] = { 0, 0 };

    uint64_t lonely = fill(&g, n, rows, dangling, lo, lo, hi);
    for (uint64_t k = 0; k < count; k++) {
        after[k] = begin(lo + k, all) * rows.shares[k];
    }
    MPI_Allgatherv(after, counts[rank], MPI_DOUBLE, gives, counts, places, MPI_DOUBLE, MPI_COMM_WORLD);
    lost = lost_of(after, dangling, lonely);
    MPI_Allreduce(&lost, &all_lost, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    MPI_Barrier(MPI_COMM_WORLD);
    for (long step = -WARM_UP; step < steps; step++) {
        double start = now();
        advance(gives, after, rows.ends, rows.sources, rows.shares, count, 0, base_of(all_lost, all));
        lost = lost_of(after, dangling, lonely);
        MPI_Allgatherv(after, counts[rank], MPI_DOUBLE, gives, counts, places, MPI_DOUBLE, MPI_COMM_WORLD);
        MPI_Allreduce(&lost, &all_lost, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
        if (rank == 0 && step >= 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
    }
    for (uint64_t k = 0; k < count; k++) {
        sums[1] += weighted(gives[lo + k], rows.shares[k], lo + k, &sums[0]);
    }
    MPI_Reduce(sums, all_sums, 2, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    int code = rank == 0 ? verdict(all_sums[0], all_sums[1]) : 0;
    MPI_Finalize();
    return code;
}
