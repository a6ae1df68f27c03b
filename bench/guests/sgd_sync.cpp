// sgd-sync: sgd_sync N REPETITIONS WORKERS. Synchronous minibatch SGD on N rows of the flights (0: all); an
// iteration is an epoch of 8 steps.
//
//   train     state that is given: the rows (layout in sgd_core.h)
//   weights   float32, written by main before each step, read by all
//   gradient  float64, merged by all, read and cleared by main behind each step
//
// A worker's rows are the same in each epoch and on the host where they are at home. So what travels are the
// weights once to each host in a step, and the gradient once from each worker.
#include <faasm/faasm.h>

#include "samples.h"
#include "sgd_sync.h"

#include <algorithm>
#include <vector>

namespace {

using sgd::kRowsPerChunk;

struct Request {
    sync_sgd::Set set;
    int64_t lo, hi;         // a worker's chunks
    int64_t step, rows;
    uint32_t features;
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

template <class T>
T* window(const char* key, size_t count)
{
    return reinterpret_cast<T*>(faasmReadStatePtr(key, long(count * sizeof(T))));
}

void push(const char* key, size_t bytes)
{
    faasmFlagStateDirty(key, long(bytes));
    faasmPushState(key);
}

Request input()
{
    Request r;
    faasmGetInput(BYTES(&r), sizeof r);
    return r;
}

const float* pulledWeights(const Request& r)
{
    faasmPullState("weights", long(r.features * sizeof(float)));
    return window<float>("weights", r.features);
}

struct Job {
    std::vector<Request> parts;
    std::vector<unsigned> ids;
    std::vector<double> weights;
    float* shared;
    double* gradient;
};

void chainAll(Job& job, int entry, int64_t step)
{
    for (size_t i = 0; i < job.parts.size(); i++) {
        Request& part = job.parts[i];
        part.step = step;
        // The middle: parts and homes may differ by a chunk at their ends.
        const int64_t middle = (part.lo + part.hi) / 2 % part.set.inFile;
        const int64_t home = sgd::kDataOffset + middle * 64 * 1024;
        job.ids[i] = mobulaChainAt("train", home, entry, BYTES(&part), sizeof part);
    }
}

void start(Job& job)
{
    std::fill(job.weights.begin(), job.weights.end(), 0.0);
    std::fill(job.shared, job.shared + job.weights.size(), 0.0f);
    push("weights", job.weights.size() * sizeof(float));
}

bool epoch(Job& job)
{
    const size_t features = job.weights.size(), bytes = features * sizeof(double);
    bool good = true;
    for (int64_t step = 0; step < sync_sgd::kSteps; step++) {
        chainAll(job, 1, step);
        for (unsigned id : job.ids) good = faasmAwaitCall(id) == 0 && good;
        faasmPullState("gradient", long(bytes));
        sync_sgd::update(job.weights.data(), job.shared, job.gradient, 0, int64_t(features),
                         sync_sgd::rowsOfStep(step, job.parts[0].set.chunks));
        std::fill(job.gradient, job.gradient + features, 0.0);
        push("gradient", bytes);
        push("weights", features * sizeof(float));
    }
    return good;
}

} // namespace

FAASM_FUNC(learn, 1)
{
    // Zeros: every call starts from the memory that main did.
    static double gradient[sgd::kMaxFeatures];
    const Request r = input();
    const float* weights = pulledWeights(r);
    forChunks(r, sync_sgd::firstOf(r.step, r.lo), sync_sgd::kSteps,
              [&](const sgd::Row* rows) { sync_sgd::addGradient(rows, weights, gradient); });
    const long bytes = long(r.features * sizeof(double));
    mobulaMergeState("gradient", bytes, 0, gradient, bytes, MOBULA_F64, MOBULA_SUM);
    mobulaPushMerge("gradient", MOBULA_F64, MOBULA_SUM);
    return 0;
}

FAASM_FUNC(measure, 2)
{
    const Request r = input();
    const float* weights = pulledWeights(r);
    double loss = 0;
    forChunks(r, r.lo, 1, [&](const sgd::Row* rows) {
        loss += sgd::evaluate(rows, kRowsPerChunk, weights, nullptr).loss;
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
    Job job = {};
    const int64_t parts = std::min(set.chunks, int64_t(workers));
    for (int64_t i = 0; i < parts; i++)
        job.parts.push_back({ set, set.chunks * i / parts, set.chunks * (i + 1) / parts, 0, header.rows,
                              header.features });
    job.ids.resize(job.parts.size());
    job.weights.resize(header.features);
    job.shared = window<float>("weights", header.features);
    job.gradient = window<double>("gradient", header.features);

    start(job);
    if (!epoch(job)) return 1;
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
    const double loss = sync_sgd::checkOf(sum, set.chunks, job.shared, header.features);
    std::printf("check %.17g\n", loss);
    if (!(loss < 0.69)) {
        std::fprintf(stderr, "sgd_sync: nothing was learnt\n");
        return 1;
    }
    return 0;
}
