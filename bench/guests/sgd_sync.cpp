// sgd-sync: sgd_sync N REPETITIONS WORKERS. Synchronous minibatch SGD on N rows of the flights (0: all); an
// iteration is an epoch of 8 steps.
//
//   train     state that is given: the rows (layout in sgd_core.h)
//   gradient  float64, merged by all, read and cleared by main behind each step
//
// A call's input ends with the weights, float32: they are there when it begins, on any host. Its rows are the
// same in each epoch and on the host where they are at home. So what travels in a step are the weights to each
// worker elsewhere, and the gradient once from each host where it is not at home.
#include <faasm/faasm.h>

#include "samples.h"
#include "sgd_sync.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace {

using sgd::kRowsPerChunk;

struct Request {
    sync_sgd::Set set;
    int64_t lo, hi;         // a worker's chunks
    int64_t step, rows;
    uint32_t features;
    float weights[sgd::kMaxFeatures];   // as many as features travel
};

const sgd::Row* chunksOf(const Request& r, int64_t first, int64_t count)
{
    const int64_t chunk = 64 * 1024, total = sgd::kDataOffset + r.rows * int64_t(sgd::kRowBytes);
    return reinterpret_cast<const sgd::Row*>(faasmReadStateOffsetPtr(
        "train", long(total), long(sgd::kDataOffset + first * chunk), long(count * chunk)));
}

// Calls body(rows) for every by-th of a worker's chunks, from `first` on. The windows are those of all its
// chunks, whatever the step, so that they stay mapped.
template <class Body>
void forChunks(const Request& r, int64_t first, int64_t by, Body body)
{
    for (int64_t at = r.lo, n; at < r.hi; at += n) {
        const int64_t inFile = at % r.set.inFile;
        n = std::min(r.hi - at, r.set.inFile - inFile);
        const sgd::Row* rows = chunksOf(r, inFile, n);
        for (; first < at + n; first += by) body(rows + (first - at) * kRowsPerChunk);
    }
}

struct Part {
    int64_t lo, hi;
};

struct Job {
    Request request;
    std::vector<Part> parts;
    std::vector<unsigned> ids;
    std::vector<double> weights;
    double* gradient;
};

void chainAll(Job& job, int entry, int64_t step)
{
    Request& r = job.request;
    r.step = step;
    const long size = long(offsetof(Request, weights) + r.features * sizeof(float));
    for (size_t i = 0; i < job.parts.size(); i++) {
        r.lo = job.parts[i].lo, r.hi = job.parts[i].hi;
        // The middle: parts and homes may differ by a chunk at their ends.
        const int64_t home = sgd::kDataOffset + (r.lo + r.hi) / 2 % r.set.inFile * 64 * 1024;
        job.ids[i] = mobulaChainAt("train", home, entry, BYTES(&r), size);
    }
}

void start(Job& job)
{
    std::fill(job.weights.begin(), job.weights.end(), 0.0);
    std::fill(job.request.weights, job.request.weights + job.weights.size(), 0.0f);
}

// The bytes of weights that a step has changed.
size_t changedBytes(const float* before, const float* after, size_t n)
{
    size_t changed = 0;
    for (size_t j = 0; j < n; j++) changed += before[j] != after[j] ? sizeof(float) : 0;
    return changed;
}

// `changed`, if given, gets the bytes of the weights that its steps have changed.
bool epoch(Job& job, size_t* changed = nullptr)
{
    const size_t features = job.weights.size(), bytes = features * sizeof(double);
    bool good = true;
    for (int64_t step = 0; step < sync_sgd::kSteps; step++) {
        chainAll(job, 1, step);
        for (unsigned id : job.ids) good = faasmAwaitCall(id) == 0 && good;
        faasmPullState("gradient", long(bytes));
        std::vector<float> before;
        if (changed) before.assign(job.request.weights, job.request.weights + features);
        sync_sgd::update(job.weights.data(), job.request.weights, job.gradient, 0, int64_t(features),
                         sync_sgd::rowsOfStep(step, job.request.set.chunks));
        if (changed) *changed += changedBytes(before.data(), job.request.weights, features);
        std::fill(job.gradient, job.gradient + features, 0.0);
        faasmFlagStateDirty("gradient", long(bytes));
        faasmPushState("gradient");
    }
    return good;
}

} // namespace

FAASM_FUNC(learn, 1)
{
    // Zeros: every call starts from the memory that main did.
    static double gradient[sgd::kMaxFeatures];
    static Request r;
    faasmGetInput(BYTES(&r), sizeof r);
    forChunks(r, sync_sgd::firstOf(r.step, r.lo), sync_sgd::kSteps,
              [&](const sgd::Row* rows) { sync_sgd::addGradient(rows, r.weights, gradient); });
    const long bytes = long(r.features * sizeof(double));
    mobulaMergeState("gradient", bytes, 0, gradient, bytes, MOBULA_F64, MOBULA_SUM);
    mobulaPushMerge("gradient", MOBULA_F64, MOBULA_SUM);
    return 0;
}

FAASM_FUNC(measure, 2)
{
    static Request r;
    faasmGetInput(BYTES(&r), sizeof r);
    double loss = 0;
    forChunks(r, r.lo, 1, [&](const sgd::Row* rows) {
        loss += sgd::evaluate(rows, kRowsPerChunk, r.weights, nullptr).loss;
    });
    faasmSetOutput(&loss, sizeof loss);
    return 0;
}

FAASM_MAIN_FUNC()
{
    const long repetitions = argument(argc, argv, 2, 10), workers = argument(argc, argv, 3, 1);
    const int64_t size = int64_t(faasmReadStateSize("train"));
    const char* wrong = "give the flights with --state bench/train=DIR/train.bin";
    sgd::Header header = {};
    if (size > int64_t(sgd::kDataOffset)) {
        faasmReadStateOffset("train", long(size), 0, BYTES(&header), sizeof header);
        wrong = sgd::headerError(header, uint64_t(size));
    }
    if (wrong || workers < 1) {
        std::fprintf(stderr, "sgd_sync: %s\n", wrong ? wrong : "no workers");
        return 2;
    }
    const sync_sgd::Set set = sync_sgd::setOf(argument(argc, argv, 1, 0), header.rows);
    static Job job;
    job.request.set = set, job.request.rows = header.rows, job.request.features = header.features;
    const int64_t parts = std::min(set.chunks, int64_t(workers));
    for (int64_t i = 0; i < parts; i++)
        job.parts.push_back({ set.chunks * i / parts, set.chunks * (i + 1) / parts });
    job.ids.resize(job.parts.size());
    job.weights.resize(header.features);
    job.gradient = reinterpret_cast<double*>(
        faasmReadStatePtr("gradient", long(header.features * sizeof(double))));

    size_t changed = 0;
    start(job);
    if (!epoch(job, &changed)) return 1;
    std::printf("changed %zu\n", changed);
    start(job);
    for (long r = 0; r < repetitions; r++) {
        const double begin = now();
        if (!epoch(job)) return 1;
        sample("iteration", "ms", (now() - begin) * 1e3);
    }
    chainAll(job, 2, 0);
    double sum = 0;
    for (unsigned id : job.ids) {
        double loss = 0;
        if (faasmAwaitCallOutput(id, BYTES(&loss), sizeof loss) != 0) return 1;
        sum += loss;
    }
    const double loss = sync_sgd::checkOf(sum, set.chunks, job.request.weights, header.features);
    std::printf("check %.17g\n", loss);
    if (!(loss < 0.69)) {
        std::fprintf(stderr, "sgd_sync: nothing was learnt\n");
        return 1;
    }
    return 0;
}
