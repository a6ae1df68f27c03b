// A support vector machine by HOGWILD SGD, with faasm/sgd.h: examples are the columns of a sparse
// matrix in state; each call takes a range of them and changes the weights that all calls share;
// what it changed is pushed by a mask. main runs the epochs and reads the errors of the calls.
//
// compile: mobula c++ -o hinge.wasm hinge.cpp
// run: mobula run hinge.wasm
// expect: 2000 examples of 50 features, 8 calls an epoch
// expect: the error fell by more than a third
// expect: more than 95 % of the examples are on their side
// exit: 0
#include <faasm/faasm.h>
#include <faasm/input.h>
#include <faasm/pool.h>
#include <faasm/random.h>
#include <faasm/sgd.h>

#include <algorithm>
#include <cstdio>

struct Range
{
    int start, end;
};

static faasm::SgdParams parameters()
{
    faasm::SgdParams p{};
    p.nBatches = 8;
    p.nTrain = 2000;
    p.batchSize = p.nTrain / p.nBatches;
    p.nWeights = 50;
    p.learningRate = 0.02f;
    p.mu = 0.01f;
    p.nEpochs = 15;
    p.syncInterval = 1000;
    return p;
}

FAASM_FUNC(learn, 1)
{
    const Range range = faasm::getTypedInput<Range>({ 0, 0 });
    const faasm::SgdParams p = faasm::readParamsFromState(PARAMS_KEY, false);
    faasm::hingeLossWeightUpdate(p, range.start, range.end);
    return 0;
}

// The sides are those of true weights, which the calls have to find.
static void setUp(const faasm::SgdParams& p)
{
    faasm::seedRandom(1);
    faasm::setUpDummyProblem(p);
    Map<MatrixXd> outputs = faasm::mapMatrixFromState(OUTPUTS_KEY, 1, p.nTrain);
    outputs = outputs.unaryExpr([](double y) { return y < 0 ? -1.0 : 1.0; });
    faasmFlagStateDirty(OUTPUTS_KEY, p.nTrain * static_cast<long>(sizeof(double)));
    faasmPushState(OUTPUTS_KEY);
    faasm::writeMatrixToState(WEIGHTS_KEY, faasm::zeroMatrix(1, p.nWeights), true);
}

// One pass over all examples; its error, or a negative number when a call failed.
static double epoch(const faasm::SgdParams& p)
{
    faasm::zeroErrors(p);
    faasm::FunctionPool pool;
    for (int start = 0; start < p.nTrain; start += p.batchSize) {
        pool.chainTyped(1, Range{ start, std::min(start + p.batchSize, p.nTrain) });
    }
    const int calls = static_cast<int>(pool.size());
    return pool.awaitAll() == 0 ? faasm::readRootMeanSquaredError(calls, p.nTrain) : -1;
}

static double shareOnTheirSide(const faasm::SgdParams& p)
{
    const auto weights = faasm::readMatrixFromState(WEIGHTS_KEY, 1, p.nWeights, true);
    const auto inputs = faasm::readSparseMatrixFromState(INPUTS_KEY, false);
    const auto outputs = faasm::readMatrixFromState(OUTPUTS_KEY, 1, p.nTrain, false);
    const MatrixXd prediction = weights * inputs;
    return static_cast<double>((prediction.array() * outputs.array() > 0).count()) / p.nTrain;
}

FAASM_MAIN_FUNC()
{
    const faasm::SgdParams p = parameters();
    setUp(p);
    std::printf("%d examples of %d features, %d calls an epoch\n", p.nTrain, p.nWeights,
                p.nBatches);
    const double first = epoch(p);
    double last = first;
    for (int e = 1; e < p.nEpochs && last >= 0; e++) {
        last = epoch(p);
    }
    const double share = shareOnTheirSide(p);
    const bool fell = last >= 0 && last < first * 2 / 3, right = share > 0.95;
    std::printf("the error fell by %s than a third\n", fell ? "more" : "LESS");
    std::printf("%s than 95 %% of the examples are on their side\n", right ? "more" : "LESS");
    std::fprintf(stderr, "error %.3f, then %.3f; %.1f %%\n", first, last, share * 100);
    return fell && right ? 0 : 1;
}
