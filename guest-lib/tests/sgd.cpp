// sgd.h: parameters, error books, and updates that lower the loss, alone and with masked pushes.
//
// compile: mobula c++ -Wall -Wextra -Werror -o sgd.wasm sgd.cpp
// run: mobula run sgd.wasm --threads 2
// expect: sgd: good
// stderr: faasm::readParamsFromState, key "none": the value has 0 bytes, and parameters have 36
// stderr: faasm::writeFinishedFlag, key "finished": number 4, of 4
// stderr: faasm::hingeLossWeightUpdate, key "inputs": columns 0 to below 1000, of 400
// stderr: key "inputs": a 20 x 400 matrix, and the parameters say 21 weights and 400 examples
// exit: 0
#include <faasm/input.h>
#include <faasm/pool.h>
#include <faasm/sgd.h>

#include "check.h"

struct Range
{
    int batch, start, end, hinge;
};

static faasm::SgdParams params()
{
    faasm::SgdParams p{};
    p.nBatches = 4;
    p.batchSize = 100;
    p.nWeights = 20;
    p.nTrain = 400;
    p.learningRate = 0.05f;
    p.mu = 1.0f;
    p.learningDecay = 0.8f;
    p.nEpochs = 8;
    p.syncInterval = 50;
    return p;
}

FAASM_FUNC(step, 1)
{
    const Range range = faasm::getTypedInput<Range>({});
    const faasm::SgdParams p = faasm::readParamsFromState(PARAMS_KEY, true);
    if (range.hinge == 2) {
        faasm::hingeLossWeightUpdate(p, range.start, range.end);
    } else if (range.hinge == 1) {
        faasm::hingeLossWeightUpdate(p, 0, range.batch, range.start, range.end);
    } else {
        faasm::leastSquaresWeightUpdate(p, range.batch, range.start, range.end);
    }
    faasm::writeFinishedFlag(p, range.batch);
    return 0;
}

FAASM_FUNC(wrong, 2)
{
    faasm::SgdParams p = params();
    switch (faasm::getTypedInput<int>(0)) {
        case 0: faasm::readParamsFromState("none", true); break;
        case 1: faasm::writeFinishedFlag(p, 4); break;
        case 2: faasm::hingeLossWeightUpdate(p, 0, 1000); break;
        default: p.nWeights = 21; faasm::leastSquaresWeightUpdate(p, 0, 0, 100); break;
    }
    return 0;
}

static void books()
{
    const faasm::SgdParams p = params();
    faasm::writeParamsToState(PARAMS_KEY, p, true);
    const faasm::SgdParams back = faasm::readParamsFromState(PARAMS_KEY, false);
    CHECK(memcmp(&p, &back, sizeof p) == 0 && faasmReadStateSize(PARAMS_KEY) == 36);

    faasm::zeroErrors(p, true);
    CHECK(faasm::readTotalError(p) == 0);
    MatrixXd a(1, 2), b(1, 2);
    a << 1, -1;
    b << 3, -1;
    faasm::writeSquaredError(p, 1, a, b);
    faasm::writeHingeError(p, 3, a, -b, true);
    CHECK(faasm::readTotalError(p, true) == 4 + 4 + 2);
    CHECK(faasm::readRootMeanSquaredError(p, true) == std::sqrt(10.0 / 400));
    faasm::writeHingeError(p, a, -b);
    faasm::writeHingeError(p, a, b);
    CHECK(faasm::readRootMeanSquaredError(2, 24) == 0.5);
    faasm::zeroErrors(p);
    faasm::writeHingeError(p, a, -b);
    CHECK(faasm::readTotalError(p) == 0 && faasm::readRootMeanSquaredError(1, 6) == 1);

    faasm::zeroFinished(p);
    for (int batch = 0; batch < 4; batch++) {
        CHECK(!faasm::readEpochFinished(p));
        faasm::writeFinishedFlag(p, batch);
    }
    CHECK(faasm::readEpochFinished(p, true));
    faasm::zeroLosses(p, true);
    CHECK(faasmReadStateSize(LOSSES_KEY) == 64 && faasmReadStateSize(LOSS_TIMESTAMPS_KEY) == 64);
}

static void epoch(const faasm::SgdParams& p, int hinge)
{
    faasm::zeroErrors(p);
    faasm::zeroFinished(p);
    faasm::FunctionPool pool;
    for (int batch = 0; batch < p.nBatches; batch++) {
        const int start = batch * p.batchSize;
        pool.chainTyped(1, Range{ batch, start, start + p.batchSize, hinge });
    }
    CHECK(pool.awaitAll() == 0 && faasm::readEpochFinished(p));
}

static bool maskIsZero(const faasm::SgdParams& p)
{
    return faasm::readMatrixFromState(MASK_KEY, 1, p.nWeights, false).isZero();
}

static void leastSquares()
{
    faasm::seedRandom(11);
    const faasm::SgdParams p = params();
    faasm::setUpDummyProblem(p);
    epoch(p, 0);
    const double first = faasm::readRootMeanSquaredError(p, true);
    for (int i = 0; i < 14; i++) {
        epoch(p, 0);
    }
    const double last = faasm::readRootMeanSquaredError(p, true);
    CHECK(first > 0.02 && last < first / 10);
    CHECK(maskIsZero(p));
}

// Labels are the sides of the true weights, so they can be told apart.
static void hinge(int syncInterval)
{
    faasm::SgdParams p = params();
    p.syncInterval = syncInterval;
    p.mu = 0.01f;
    // The same problem each time: this call has windows on it, so its parts must not change length.
    faasm::seedRandom(13);
    faasm::setUpDummyProblem(p);
    Map<MatrixXd> outputs = faasm::mapMatrixFromState(OUTPUTS_KEY, 1, p.nTrain);
    outputs = outputs.unaryExpr([](double y) { return y < 0 ? -1.0 : 1.0; });
    faasm::writeMatrixToState(WEIGHTS_KEY, faasm::zeroMatrix(1, p.nWeights), true);
    epoch(p, 2);
    const double first = faasm::readRootMeanSquaredError(p.nBatches, p.nTrain);
    for (int i = 0; i < 20; i++) {
        epoch(p, 1);
    }
    const double last = faasm::readRootMeanSquaredError(p, true);
    CHECK(last < first * 0.8);
    const auto weights = faasm::readMatrixFromState(WEIGHTS_KEY, 1, p.nWeights, false);
    const auto inputs = faasm::readSparseMatrixFromState(INPUTS_KEY, false);
    const MatrixXd prediction = weights * inputs;
    int right = 0;
    for (int i = 0; i < p.nTrain; i++) {
        right += prediction(0, i) * outputs(0, i) > 0;
    }
    CHECK(right > 370);
    CHECK(maskIsZero(p));
}

FAASM_MAIN_FUNC()
{
    books();
    leastSquares();
    hinge(50);
    hinge(0);
    hinge(-1);
    for (int which = 0; which < 4; which++) {
        CHECK(refused(2, which));
    }
    return done("sgd");
}
