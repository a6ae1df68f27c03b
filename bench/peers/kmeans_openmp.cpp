// kmeans' peer: kmeans_openmp N REPETITIONS WORKERS. The same step (kmeans.h) on OpenMP threads, each on its
// own part of the points.
#include "../guests/kmeans.h"
#include "../guests/samples.h"
#include "flights_file.h"

int main(int argc, char** argv)
{
    const Flights flights = map_flights();
    const int64_t given = argument(argc, argv, 1, 0), rows = flights.header->rows;
    const int64_t n = given > 0 ? given : rows, blocks = kmeans::blocksOf(n);
    const long repetitions = argument(argc, argv, 2, 10);
    kmeans::Point* points = allocate<kmeans::Point>(size_t(n));
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < blocks; b++)
        for (int64_t i = b * kmeans::kBlock; i < b * kmeans::kBlock + kmeans::pointsIn(b, n); i++)
            kmeans::fill(points + i, flights.rows + i % rows, 1);

    kmeans::Centres first, centres;
    for (int k = 0; k < kmeans::kClusters; k++)
        kmeans::setCentre(&first, k, flights.rows[kmeans::firstCentre(k, n, rows)]);
    centres = first;
    for (long r = -1; r < repetitions; r++) {
        if (r == 0) centres = first;
        const double start = now();
        const kmeans::Table table = kmeans::tableOf(centres);
        kmeans::Sums all = {};
#pragma omp parallel
        {
            kmeans::Sums mine = {};
#pragma omp for schedule(static) nowait
            for (int64_t b = 0; b < blocks; b++)
                kmeans::addBlock(table, points + b * kmeans::kBlock, kmeans::pointsIn(b, n), &mine);
#pragma omp critical
            kmeans::add(&all, mine);
        }
        if (kmeans::move(&centres, all) != double(n)) give_up("kmeans: a step has lost points");
        if (r >= 0) sample("iteration", "ms", (now() - start) * 1e3);
    }
    std::printf("check %.17g\n", kmeans::checkOf(centres));
    return 0;
}
