// sgd-sync's peer: sgd_sync_mpi N REPETITIONS WORKERS. The same steps (sgd_sync.h): every rank has its own
// rows and all weights, and gradients are added up by all.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include "../guests/samples.h"
#include "../guests/sgd_sync.h"
#include "flights_file.h"

#include <algorithm>

int main(int argc, char** argv)
{
    using namespace sync_sgd;
    MPI_Init(&argc, &argv);
    int rank = 0, ranks = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const Flights flights = map_flights();
    const int64_t features = flights.header->features, rowsInChunk = sgd::kRowsPerChunk;
    const Set set = setOf(argument(argc, argv, 1, 0), flights.header->rows);
    const long repetitions = argument(argc, argv, 2, 10);
    const int64_t lo = set.chunks * rank / ranks, hi = set.chunks * (rank + 1) / ranks;
    double* weights = allocate<double>(size_t(features));
    double* gradient = allocate<double>(size_t(features));
    float* copy = allocate<float>(size_t(features));
    const int64_t held = std::min(hi - lo, set.inFile);
    sgd::Row* rows = allocate<sgd::Row>(size_t(held * rowsInChunk));
    for (int64_t i = 0; i < held; i++)
        std::copy_n(flights.rows + (lo + i) % set.inFile * rowsInChunk, rowsInChunk, rows + i * rowsInChunk);

    for (long r = -1; r < repetitions; r++) {
        if (r <= 0) {
            std::fill(weights, weights + features, 0.0);
            std::fill(copy, copy + features, 0.0f);
            MPI_Barrier(MPI_COMM_WORLD);
        }
        const double start = now();
        for (int64_t step = 0; step < kSteps; step++) {
            std::fill(gradient, gradient + features, 0.0);
            for (int64_t c = firstOf(step, lo); c < hi; c += kSteps)
                addGradient(rows + (c - lo) % held * rowsInChunk, copy, gradient);
            MPI_Allreduce(MPI_IN_PLACE, gradient, int(features), MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
            update(weights, copy, gradient, 0, features, rowsOfStep(step, set.chunks));
        }
        if (rank == 0 && r >= 0) sample("iteration", "ms", (now() - start) * 1e3);
    }
    double loss = 0, sum = 0;
    for (int64_t i = 0; i < hi - lo; i++)
        loss += sgd::evaluate(rows + i % held * rowsInChunk, size_t(rowsInChunk), copy, nullptr).loss;
    MPI_Reduce(&loss, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0) std::printf("check %.17g\n", checkOf(sum, set.chunks, copy, uint32_t(features)));
    MPI_Finalize();
    return 0;
}
