// Synchronous minibatch SGD for logistic regression on the flights: what guest and peers share.
//
// An epoch is kSteps steps. Rows come in chunks of 512 (64 KiB), and a step's batch is every kSteps-th chunk:
// then whoever has a range of chunks has a part of each batch, whatever the number of workers. More chunks
// than the file has are the file's again. What is minimised is sgd_core.h's:
//
//   mean_i log(1 + exp(-y_i x_i.w)) + lambda / 2 |w|^2
//
// A row's margin is float32, gradients and weights are summed up in float64, so that a result does not depend
// on who adds what. Workers have float32 copies of the weights.
#pragma once

#include "../../guest-lib/examples/sgd/sgd_core.h"

namespace sync_sgd {

constexpr int64_t kSteps = 8;
constexpr double kRate = 0.1, kLambda = 1e-5;

struct Set {
    int64_t chunks;     // of an epoch
    int64_t inFile;     // whole ones
};

// Rows, or 0 for all, to whole chunks.
inline Set setOf(int64_t n, int64_t rows)
{
    const int64_t inFile = rows / sgd::kRowsPerChunk;
    const int64_t chunks = n > 0 ? n / sgd::kRowsPerChunk : inFile;
    return { chunks > kSteps ? chunks : kSteps, inFile };
}

// The first chunk from `lo` on of a step's batch.
inline int64_t firstOf(int64_t step, int64_t lo) { return lo + (step - lo % kSteps + kSteps) % kSteps; }

inline int64_t rowsOfStep(int64_t step, int64_t chunks)
{
    return (chunks - step + kSteps - 1) / kSteps * sgd::kRowsPerChunk;
}

// Adds the gradients of a chunk's rows.
inline void addGradient(const sgd::Row* rows, const float* w, double* gradient)
{
    constexpr uint32_t kGroup = sgd::kGroup;
    for (uint32_t r = 0; r < sgd::kRowsPerChunk; r += kGroup, rows += kGroup) {
        float e[kGroup];
        for (uint32_t i = 0; i < kGroup; i++) e[i] = sgd::margin(*sgd::opaque(rows + i), w);
        for (uint32_t i = 0; i < kGroup; i++) e[i] = sgd::sigmoid(e[i]) - float(rows[i].label);
        for (int j = 0; j < sgd::kDense; j += sgd::kLanes) {
            sgd::Vec v = sgd::load(rows[0].dense + j) * sgd::broadcast(e[0]);
            for (uint32_t i = 1; i < kGroup; i++)
                v = sgd::multiplyAdd(sgd::load(rows[i].dense + j), sgd::broadcast(e[i]), v);
            for (int k = 0; k < sgd::kLanes; k++) gradient[j + k] += double(v[k]);
        }
        for (uint32_t i = 0; i < kGroup; i++) {
            const sgd::Row* row = sgd::opaque(rows + i);
            const double d = double(e[i]);
            char* g = reinterpret_cast<char*>(gradient);
            for (int k = 0; k < sgd::kSparse; k++)
                *reinterpret_cast<double*>(g + 2 * uint32_t(row->slot[k])) += d;
        }
    }
}

// Takes the step on the weights from `lo` to below `hi`.
inline void update(double* weights, float* shared, const double* gradient, int64_t lo, int64_t hi,
                   int64_t rows)
{
    for (int64_t j = lo; j < hi; j++) {
        weights[j] -= kRate * (gradient[j] / double(rows) + kLambda * weights[j]);
        shared[j] = float(weights[j]);
    }
}

// What all engines must agree on: the loss, from the sum of the rows' losses.
inline double checkOf(double sum, int64_t chunks, const float* w, uint32_t features)
{
    return sum / double(chunks * sgd::kRowsPerChunk) + kLambda * sgd::ridge(w, features);
}

} // namespace sync_sgd
