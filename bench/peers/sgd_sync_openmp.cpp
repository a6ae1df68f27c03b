// sgd-sync's peer: sgd_sync_openmp N REPETITIONS WORKERS. The same steps (sgd_sync.h) on OpenMP threads: each
// has its own rows and gradient, and adds up and updates its own part of the weights.
#include "../guests/samples.h"
#include "../guests/sgd_sync.h"
#include "flights_file.h"

#include <omp.h>

#include <algorithm>
#include <vector>

int main(int argc, char** argv)
{
    using namespace sync_sgd;
    const Flights flights = map_flights();
    const int64_t features = flights.header->features;
    const Set set = setOf(argument(argc, argv, 1, 0), flights.header->rows);
    const long repetitions = argument(argc, argv, 2, 10);
    const int threads = omp_get_max_threads();
    double* weights = allocate<double>(size_t(features));
    float* shared = allocate<float>(size_t(features));
    std::vector<double*> gradients((size_t(threads)));
    const int64_t rowsInChunk = sgd::kRowsPerChunk;
    const int64_t held = std::min(set.chunks, set.inFile);
    sgd::Row* rows = allocate<sgd::Row>(size_t(held * rowsInChunk));
    double seconds = 0, loss = 0;

#pragma omp parallel num_threads(threads) reduction(+ : loss)
    {
        const int me = omp_get_thread_num();
        const int64_t lo = set.chunks * me / threads, hi = set.chunks * (me + 1) / threads;
        const int64_t from = features * me / threads, to = features * (me + 1) / threads;
        for (int64_t c = lo; c < hi && c < held; c++)
            std::copy_n(flights.rows + c * rowsInChunk, rowsInChunk, rows + c * rowsInChunk);
        double* mine = gradients[size_t(me)] = allocate<double>(size_t(features));
        for (long r = -1; r < repetitions; r++) {
            if (r <= 0) {
                std::fill(weights + from, weights + to, 0.0);
                std::fill(shared + from, shared + to, 0.0f);
            }
#pragma omp barrier
#pragma omp master
            seconds = now();
            for (int64_t step = 0; step < kSteps; step++) {
                std::fill(mine, mine + features, 0.0);
                for (int64_t c = firstOf(step, lo); c < hi; c += kSteps)
                    addGradient(rows + c % held * rowsInChunk, shared, mine);
#pragma omp barrier
                double* sum = gradients[0];
                for (int t = 1; t < threads; t++)
                    for (int64_t j = from; j < to; j++) sum[j] += gradients[size_t(t)][j];
                update(weights, shared, sum, from, to, rowsOfStep(step, set.chunks));
#pragma omp barrier
            }
#pragma omp master
            if (r >= 0) sample("iteration", "ms", (now() - seconds) * 1e3);
        }
        for (int64_t c = lo; c < hi; c++)
            loss += sgd::evaluate(rows + c % held * rowsInChunk, size_t(rowsInChunk), shared, nullptr).loss;
    }
    std::printf("check %.17g\n", checkOf(loss, set.chunks, shared, uint32_t(features)));
    return 0;
}
