// kmeans' peer: kmeans_mpi N REPETITIONS WORKERS. The same step (kmeans.h); every rank has its part of the
// points, and all add up what they found.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include "../guests/kmeans.h"
#include "../guests/samples.h"
#include "flights_file.h"

int main(int argc, char** argv)
{
    MPI_Init(&argc, &argv);
    int rank = 0, ranks = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const Flights flights = map_flights();
    const int64_t given = argument(argc, argv, 1, 0), rows = flights.header->rows;
    const int64_t n = given > 0 ? given : rows, blocks = kmeans::blocksOf(n);
    const int64_t lo = blocks * rank / ranks, hi = blocks * (rank + 1) / ranks;
    const long repetitions = argument(argc, argv, 2, 10);
    kmeans::Point* points = allocate<kmeans::Point>(size_t((hi - lo) * kmeans::kBlock));
    for (int64_t i = lo * kmeans::kBlock; i < hi * kmeans::kBlock && i < n; i++)
        kmeans::fill(points + (i - lo * kmeans::kBlock), flights.rows + i % rows, 1);

    kmeans::Centres first, centres;
    for (int k = 0; k < kmeans::kClusters; k++)
        kmeans::setCentre(&first, k, flights.rows[kmeans::firstCentre(k, n, rows)]);
    centres = first;
    for (long r = -1; r < repetitions; r++) {
        if (r == 0) centres = first;
        if (r <= 0) MPI_Barrier(MPI_COMM_WORLD);
        const double start = now();
        const kmeans::Table table = kmeans::tableOf(centres);
        kmeans::Sums all = {};
        for (int64_t b = lo; b < hi; b++)
            kmeans::addBlock(table, points + (b - lo) * kmeans::kBlock, kmeans::pointsIn(b, n), &all);
        MPI_Allreduce(MPI_IN_PLACE, &all, int(sizeof all / sizeof(double)), MPI_DOUBLE, MPI_SUM,
                      MPI_COMM_WORLD);
        if (kmeans::move(&centres, all) != double(n)) MPI_Abort(MPI_COMM_WORLD, 1);
        if (rank == 0 && r >= 0) sample("iteration", "ms", (now() - start) * 1e3);
    }
    if (rank == 0) std::printf("check %.17g\n", kmeans::checkOf(centres));
    MPI_Finalize();
    return 0;
}
