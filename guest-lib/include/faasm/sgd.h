/* Stochastic gradient descent on sparse columns in state, without locks (HOGWILD).
 *
 *   key               value
 *   weights           nWeights doubles; all calls read and write one window
 *   weights_mask      the same size; marks weights that changed since the last push
 *   inputs            sparse, nWeights x nTrain: an example is a column
 *   outputs           nTrain doubles; 1 or -1 for hinge loss
 *   feature_counts    nWeights 32-bit integers: in how many examples a feature occurs
 *   params            SgdParams
 *   errors            nBatches doubles, one a batch; and apart from that, appended doubles
 *
 * Updates of one weight by two calls at once may lose one of them: that is the algorithm. A weight
 * is never torn. Errors are kept in two ways, as in Faasm: functions that know the batch write its
 * place, the others append.
 */
#ifndef FAASM_SGD_H
#define FAASM_SGD_H

#include <cmath>
#include <memory>
#include <vector>

#include "faasm/core.h"
#include "faasm/matrix.h"
#include "faasm/state.h"

#define WEIGHTS_KEY "weights"
#define MASK_KEY "weights_mask"
#define INPUTS_KEY "inputs"
#define FEATURE_COUNTS_KEY "feature_counts"
#define OUTPUTS_KEY "outputs"
#define PARAMS_KEY "params"
#define ERRORS_KEY "errors"
#define FINISHED_KEY "finished"
#define LOSSES_KEY "losses"
#define LOSS_TIMESTAMPS_KEY "loss_ts"

namespace faasm {

struct SgdParams
{
    int32_t nBatches;
    int32_t batchSize;
    int32_t nWeights;
    int32_t nTrain;
    float learningRate;
    float mu = 1.0;
    float learningDecay;
    int32_t nEpochs;
    int32_t syncInterval; /* updates between two pushes; 0: one at the end; negative: none */
};
static_assert(sizeof(SgdParams) == 36, "the layout in state");

inline void writeParamsToState(const char* keyName, const SgdParams& params, bool push)
{
    faasmWriteState(keyName, BYTES_CONST(&params), sizeof params);
    if (push) {
        faasmPushState(keyName);
    }
}

/* Refused when there are none, or something else is there. */
inline SgdParams readParamsFromState(const char* keyName, bool pull)
{
    SgdParams params{};
    const size_t have = faasmReadStateSize(keyName);
    if (have != sizeof params) {
        refuse("readParamsFromState", keyName, "the value has %zu bytes, and parameters have %zu",
               have, sizeof params);
    }
    if (pull) {
        faasmPullState(keyName, sizeof params);
    }
    faasmReadState(keyName, BYTES(&params), sizeof params);
    return params;
}

/* ---------------------------------------------------------------- errors */

/* An array of state, zeroed; a push only if wanted. */
template<typename T>
void zeroStateArray(const char* key, int32_t count, bool push)
{
    const long bytes = stateBytes("zeroStateArray", key, count, sizeof(T));
    const std::vector<T> zeros(count > 0 ? static_cast<size_t>(count) : 1, T(0));
    faasmWriteState(key, BYTES_CONST(zeros.data()), bytes);
    if (push) {
        faasmPushState(key);
    }
}

/* One element of an array of state: written where it belongs, nothing around it. */
template<typename T>
void writeStateElement(const char* function, const char* key, int32_t count, int32_t at, T value,
                       bool push)
{
    const long total = stateBytes(function, key, count, sizeof(T));
    if (at < 0 || at >= count) {
        refuse(function, key, "number %d, of %d", at, count);
    }
    expectStateSize(function, key, total);
    faasmWriteStateOffset(key, total, at * static_cast<long>(sizeof(T)), BYTES_CONST(&value),
                          sizeof value);
    if (push) {
        faasmPushStatePartial(key);
    }
}

/* Forgets the errors of both kinds. */
inline void zeroErrors(const SgdParams& sgdParams, bool push = false)
{
    zeroStateArray<double>(ERRORS_KEY, sgdParams.nBatches, push);
    faasmClearAppendedState(ERRORS_KEY);
}

inline void writeHingeError(const SgdParams& sgdParams, int batchNumber, const MatrixXd& actual,
                            const MatrixXd& prediction, bool push = false)
{
    writeStateElement("writeHingeError", ERRORS_KEY, sgdParams.nBatches, batchNumber,
                      calculateHingeError(prediction, actual), push);
}

/* Appends the error, for readRootMeanSquaredError(nWorkers, nTraining). */
inline void writeHingeError(const SgdParams&, const MatrixXd& actual, const MatrixXd& prediction)
{
    const double error = calculateHingeError(prediction, actual);
    faasmAppendState(ERRORS_KEY, BYTES_CONST(&error), sizeof error);
}

inline void writeSquaredError(const SgdParams& sgdParams, int batchNumber, const MatrixXd& actual,
                              const MatrixXd& prediction, bool push = false)
{
    writeStateElement("writeSquaredError", ERRORS_KEY, sgdParams.nBatches, batchNumber,
                      calculateSquaredError(prediction, actual), push);
}

/* The sum over the batches. */
inline double readTotalError(const SgdParams& sgdParams, bool pull = false)
{
    const double* errors = stateWindow<double>("readTotalError", ERRORS_KEY, sgdParams.nBatches);
    if (pull) {
        faasmPullState(ERRORS_KEY, sgdParams.nBatches * static_cast<long>(sizeof(double)));
    }
    double total = 0;
    for (int32_t i = 0; i < sgdParams.nBatches; i++) {
        total += errors[i];
    }
    return total;
}

inline double rootMean(const char* function, double total, int nTraining)
{
    if (nTraining < 1) {
        refuse(function, ERRORS_KEY, "the mean over %d examples", nTraining);
    }
    return std::sqrt(total / nTraining);
}

inline double readRootMeanSquaredError(const SgdParams& sgdParams, bool pull = false)
{
    const double total = readTotalError(sgdParams, pull);
    return rootMean("readRootMeanSquaredError", total, sgdParams.nTrain);
}

/* Of the first nWorkers errors that were appended. */
inline double readRootMeanSquaredError(int nWorkers, int nTraining)
{
    const char* function = "readRootMeanSquaredError";
    const long bytes = stateBytes(function, ERRORS_KEY, nWorkers, sizeof(double));
    std::vector<double> errors(nWorkers > 0 ? static_cast<size_t>(nWorkers) : 1, 0.0);
    faasmReadAppendedState(ERRORS_KEY, BYTES(errors.data()), bytes, nWorkers);
    double total = 0;
    for (double error : errors) {
        total += error;
    }
    return rootMean(function, total, nTraining);
}

/* ---------------------------------------------------------------- epochs */

/* Losses of the epochs, and when each was known. */
inline void zeroLosses(const SgdParams& sgdParams, bool push = false)
{
    zeroStateArray<double>(LOSSES_KEY, sgdParams.nEpochs, push);
    zeroStateArray<double>(LOSS_TIMESTAMPS_KEY, sgdParams.nEpochs, push);
}

/* One flag of 32 bits a batch. */
inline void zeroFinished(const SgdParams& sgdParams, bool push = false)
{
    zeroStateArray<int32_t>(FINISHED_KEY, sgdParams.nBatches, push);
}

inline void writeFinishedFlag(const SgdParams& sgdParams, int batchNumber, bool push = true)
{
    writeStateElement("writeFinishedFlag", FINISHED_KEY, sgdParams.nBatches, batchNumber,
                      static_cast<int32_t>(1), push);
}

/* Whether every batch has set its flag. */
inline bool readEpochFinished(const SgdParams& sgdParams, bool pull = false)
{
    const int32_t* flags =
      stateWindow<int32_t>("readEpochFinished", FINISHED_KEY, sgdParams.nBatches);
    if (pull && sgdParams.nBatches > 0) {
        faasmPullState(FINISHED_KEY, sgdParams.nBatches * static_cast<long>(sizeof(int32_t)));
    }
    for (int32_t i = 0; i < sgdParams.nBatches; i++) {
        if (__atomic_load_n(&flags[i], __ATOMIC_SEQ_CST) == 0) {
            return false;
        }
    }
    return true;
}

} // namespace faasm

#include "faasm/sgd_update.h"

#endif
