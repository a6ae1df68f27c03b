/* The weight updates of sgd.h, which includes this: a call takes a range of examples, changes the
 * shared weights by each, and writes the error of its range.
 */
#ifndef FAASM_SGD_UPDATE_H
#define FAASM_SGD_UPDATE_H

namespace faasm {

/* The range of examples of one call, and the shared values. */
struct SgdBatch
{
    const SgdParams& params;
    std::vector<int32_t> outer;
    Map<const SparseMatrix<double>> inputs;
    Map<const MatrixXd> outputs;
    const int32_t* featureCounts;
    double* weights;
    unsigned int* mask;
    int32_t updates = 0;

    SgdBatch(const char* name, const SgdParams& sgdParams, int startIdx, int endIdx)
      : params(sgdParams)
      , inputs(columns(name, sgdParams, startIdx, endIdx, outer))
      , outputs(
          readMatrixColumnsFromState(OUTPUTS_KEY, sgdParams.nTrain, startIdx, endIdx, 1, false))
      , featureCounts(stateWindow<int32_t>(name, FEATURE_COUNTS_KEY, sgdParams.nWeights))
      , weights(pulledWeights(name, sgdParams.nWeights))
      , mask(stateWindow<unsigned int>(name, MASK_KEY, 2 * int64_t{ sgdParams.nWeights }))
    {}

    /* The product of an example and the weights. */
    double predict(int col) const
    {
        double sum = 0;
        for (Map<const SparseMatrix<double>>::InnerIterator it(inputs, col); it; ++it) {
            sum += load(it.row()) * it.value();
        }
        return sum;
    }

    double load(Index at) const
    {
#if defined(__wasm__)
        return weights[at];
#else
        double value;
        __atomic_load(&weights[at], &value, __ATOMIC_RELAXED);
        return value;
#endif
    }

    /* Changes a weight: marks it, and pushes what is marked every syncInterval updates. */
    void store(Index at, double value)
    {
#if defined(__wasm__)
        weights[at] = value;
#else
        __atomic_store(&weights[at], &value, __ATOMIC_RELAXED);
#endif
        if (params.syncInterval < 0) {
            return;
        }
        maskDouble(mask, static_cast<unsigned long>(at));
        updates++;
        if (params.syncInterval > 0 && updates % params.syncInterval == 0) {
            push();
        }
    }

    void push() const
    {
        faasmFlagStateDirty(WEIGHTS_KEY, params.nWeights * static_cast<long>(sizeof(double)));
        faasmPushStatePartialMask(WEIGHTS_KEY, MASK_KEY);
    }

    /* After the last example: pushes the rest, and predicts every example anew. */
    MatrixXd finish() const
    {
        if (params.syncInterval >= 0) {
            push();
        }
        MatrixXd prediction(1, inputs.cols());
        for (int col = 0; col < inputs.cols(); col++) {
            prediction(0, col) = predict(col);
        }
        return prediction;
    }

  private:
    /* With what batches on other hosts have pushed. */
    static double* pulledWeights(const char* name, int32_t count)
    {
        double* window = stateWindow<double>(name, WEIGHTS_KEY, count);
        faasmPullState(WEIGHTS_KEY, count * static_cast<long>(sizeof(double)));
        return window;
    }

    static Map<const SparseMatrix<double>> columns(const char* name, const SgdParams& params,
                                                   int startIdx, int endIdx,
                                                   std::vector<int32_t>& outer)
    {
        const SparseKeys keys(INPUTS_KEY);
        const SparseSizes sizes = readSparseSizes(name, INPUTS_KEY, keys, false);
        expectColumns(name, INPUTS_KEY, sizes, startIdx, endIdx);
        if (sizes.rows != params.nWeights || sizes.cols != params.nTrain) {
            refuse(name, INPUTS_KEY, "a %d x %d matrix, and the parameters say %d weights and %d "
                   "examples", sizes.rows, sizes.cols, params.nWeights, params.nTrain);
        }
        outer.resize(static_cast<size_t>(endIdx - startIdx) + 1);
        return sparseColumns(name, INPUTS_KEY, keys, sizes, startIdx, endIdx, outer.data());
    }
};

/* The examples of a batch in random order. */
template<typename Update>
void forShuffled(const SgdBatch& batch, Update update)
{
    const int cols = static_cast<int>(batch.inputs.cols());
    const std::unique_ptr<int[]> order(randomIntRange(cols));
    for (int i = 0; i < cols; i++) {
        update(order[static_cast<size_t>(i)]);
    }
}

/* Hinge loss: an example that is on the wrong side, or within the margin, pulls its weights to its
 * side; each of its weights shrinks, the less the more examples have the feature. A feature that
 * was not counted counts as 1. */
inline void hingeUpdates(SgdBatch& batch)
{
    const double rate = batch.params.learningRate;
    const double shrink = rate * batch.params.mu;
    forShuffled(batch, [&](int col) {
        const double output = batch.outputs(0, col);
        const bool active = batch.predict(col) * output < 1;
        for (Map<const SparseMatrix<double>>::InnerIterator it(batch.inputs, col); it; ++it) {
            const double step = active ? rate * output * it.value() : 0.0;
            const int32_t count = std::max(batch.featureCounts[it.row()], int32_t{ 1 });
            batch.store(it.row(), (batch.load(it.row()) + step) * (1 - shrink / count));
        }
    });
}

/* Examples startIdx to below endIdx; appends the hinge error. */
inline void hingeLossWeightUpdate(const SgdParams& sgdParams, int startIdx, int endIdx)
{
    SgdBatch batch("hingeLossWeightUpdate", sgdParams, startIdx, endIdx);
    hingeUpdates(batch);
    writeHingeError(sgdParams, batch.outputs, batch.finish());
}

/* The same, which writes the error of this batch. */
inline void hingeLossWeightUpdate(const SgdParams& sgdParams, int, int batchNumber, int startIdx,
                                  int endIdx)
{
    SgdBatch batch("hingeLossWeightUpdate", sgdParams, startIdx, endIdx);
    hingeUpdates(batch);
    writeHingeError(sgdParams, batchNumber, batch.outputs, batch.finish(), true);
}

/* Least squares: each weight of an example takes its share of the example's error. */
inline void leastSquaresWeightUpdate(const SgdParams& sgdParams, int batchNumber, int startIdx,
                                     int endIdx)
{
    SgdBatch batch("leastSquaresWeightUpdate", sgdParams, startIdx, endIdx);
    const double rate = sgdParams.learningRate;
    forShuffled(batch, [&](int col) {
        const double error = batch.predict(col) - batch.outputs(0, col);
        for (Map<const SparseMatrix<double>>::InnerIterator it(batch.inputs, col); it; ++it) {
            batch.store(it.row(), batch.load(it.row()) - rate * error * it.value());
        }
    });
    writeSquaredError(sgdParams, batchNumber, batch.outputs, batch.finish(), true);
}

/* Random inputs with known true weights, and other weights to start from. */
inline void setUpDummyProblem(const SgdParams& params)
{
    writeParamsToState(PARAMS_KEY, params, true);
    const MatrixXd realWeights = randomDenseMatrix(1, params.nWeights);
    const SparseMatrix<double> inputs = randomSparseMatrix(params.nWeights, params.nTrain, 0.5);
    const MatrixXd outputs = realWeights * inputs;
    writeSparseMatrixToState(INPUTS_KEY, inputs, true);
    writeMatrixToState(OUTPUTS_KEY, outputs, true);
    writeMatrixToState(WEIGHTS_KEY, randomDenseMatrix(1, params.nWeights), true);

    std::vector<int32_t> featureCounts(static_cast<size_t>(params.nWeights), 0);
    for (int col = 0; col < inputs.cols(); col++) {
        for (SparseMatrix<double>::InnerIterator it(inputs, col); it; ++it) {
            featureCounts[static_cast<size_t>(it.row())]++;
        }
    }
    faasmWriteState(FEATURE_COUNTS_KEY, BYTES_CONST(featureCounts.data()),
                    stateBytes("setUpDummyProblem", FEATURE_COUNTS_KEY, params.nWeights,
                               sizeof(int32_t)));
    faasmPushState(FEATURE_COUNTS_KEY);
}

} // namespace faasm

#endif
