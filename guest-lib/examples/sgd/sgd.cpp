// HOGWILD SGD: will this flight arrive more than 15 minutes late?
//
//   mobula run sgd.wasm --user demo --state demo/train=DIR/train.bin --state demo/test=DIR/test.bin
//          --save-state demo/weights=weights.bin --output result.json -- --epochs 12
//
//   main (0) ── chains, per epoch, a call per range of rows ──▶ learn (1)   ─┐ windows on its rows
//            ── chains, after each epoch, the same ranges  ──▶ measure (2) ─┘ and on the weights
//
// State of the user: `train`, `test` (given; layout in sgd_core.h), `weights` (all calls read and
// write it without locks), `scores` (one per held-out row), `metrics` (one slot per call). No call
// copies rows; what a call reads arrives in a window at the offset of its range.
#include "sgd_core.h"
#include "sgd_job.h"

#include <faasm/faasm.h>
#include <unistd.h>

#include <algorithm>

namespace {

// Rows that a host learns from before it looks at what others have learnt. Steps from old weights add up:
// with whole ranges of 16,000 rows two hosts now and then ended half a per cent above the optimum.
constexpr uint32_t kTogether = 4096;

// What a chained call is told: its input, byte for byte.
struct Task {
    uint32_t test;          // measure: which set, 0 train or 1 test
    uint32_t lo, hi;        // rows
    uint32_t slot, slots;   // measure: where in `metrics`
    uint32_t rows, features;
    uint32_t stretch;
    float eta, lambda;
};

// One call's sums, on a cache line of its own.
struct alignas(64) Slot {
    sgd::Totals totals;
};

// A faaslet has one thread; in a native build calls run on several.
thread_local sgd::Worker worker;

template <class T>
T* window(const char* key, size_t count)
{
    return reinterpret_cast<T*>(faasmReadStatePtr(key, long(count * sizeof(T))));
}

// The rows of a range: a window at their offset, no copy.
const sgd::Row* rowsOf(const char* key, const Task& t)
{
    const long total = long(sgd::kDataOffset + t.rows * sgd::kRowBytes);
    const long offset = long(sgd::kDataOffset + t.lo * sgd::kRowBytes);
    const long length = long((t.hi - t.lo) * sgd::kRowBytes);
    return reinterpret_cast<const sgd::Row*>(faasmReadStateOffsetPtr(key, total, offset, length));
}

bool input(Task* t)
{
    if (faasmGetInputSize() != long(sizeof *t)) return false;
    faasmGetInput(reinterpret_cast<uint8_t*>(t), long(sizeof *t));
    return true;
}

// The header of a set, or nullptr after saying why not.
const sgd::Header* headerOf(const char* key)
{
    const long size = faasmReadStateSize(key);
    const char* wrong = size < long(sgd::kDataOffset) ? "no such state, or too short" : nullptr;
    const uint8_t* p = wrong ? nullptr : faasmReadStateOffsetPtr(key, size, 0, sizeof(sgd::Header));
    const sgd::Header* h = reinterpret_cast<const sgd::Header*>(p);
    if (h) wrong = sgd::headerError(*h, uint64_t(size));
    if (wrong) {
        std::fprintf(stderr, "sgd: state %s: %s (give it with --state USER/%s=FILE)\n", key, wrong,
                     key);
        return nullptr;
    }
    return h;
}

// Shows the epoch under way, ten times a second at most, and only to people.
class Progress {
public:
    explicit Progress(bool wanted) : on(wanted || isatty(2)) {}

    void show(int epoch, int epochs, const char* what, size_t done, size_t of)
    {
        if (!on || sgd::now() - last < 0.1) return;
        last = sgd::now();
        std::fprintf(stderr, "\repoch %d of %d, %s: %zu of %zu ranges  ", epoch, epochs, what, done,
                     of);
        dirty = true;
    }

    void clear()
    {
        if (dirty) std::fprintf(stderr, "\r\033[K");
        dirty = false;
    }

private:
    bool on, dirty = false;
    double last = sgd::now();
};

struct Job {
    sgd::Report report;
    const sgd::Header *train, *test;
    float *weights, *scores;
    Slot* slots;
    const sgd::Row* testRows;
    std::vector<uint64_t> keys, scratch;
    int epoch = 0;

    int ranges(const sgd::Header& set) const
    {
        return sgd::rangeCount(set.rows, report.options.blocks);
    }
};

Task taskOf(const Job& job, const sgd::Header& set, int b)
{
    const sgd::Options& o = job.report.options;
    const sgd::Range r = sgd::rangeOf(set.rows, o.blocks, b);
    Task t = {};
    t.lo = r.lo, t.hi = r.hi, t.rows = set.rows, t.features = set.features;
    t.stretch = o.stretch, t.lambda = float(o.lambda);
    t.eta = sgd::stepOf(job.epoch, o.epochs, o.lr);
    t.slots = uint32_t(job.ranges(*job.train) + job.ranges(*job.test));
    return t;
}

// Chains one call per task, at most --workers at a time: whenever one has ended, the next one starts.
// False when one failed.
bool runAll(Job& job, Progress& progress, int idx, const char* what, const std::vector<Task>& tasks)
{
    const sgd::Options& o = job.report.options;
    const size_t ahead = o.workers ? size_t(o.workers) : tasks.size();
    std::vector<unsigned> running;
    size_t chained = 0;
    bool good = true;
    for (size_t done = 0; done < tasks.size(); done++) {
        for (; chained < tasks.size() && running.size() < ahead; chained++) {
            const uint8_t* in = reinterpret_cast<const uint8_t*>(&tasks[chained]);
            running.push_back(faasmChainThisInput(idx, in, long(sizeof(Task))));
        }
        const unsigned ended = mobulaAwaitAny(running.data(), long(running.size()));
        good = faasmAwaitCall(ended) == 0 && good;
        running.erase(std::find(running.begin(), running.end(), ended));
        progress.show(job.epoch + 1, o.epochs, what, done + 1, tasks.size());
    }
    if (!good) std::fprintf(stderr, "sgd: a call failed; see above\n");
    return good;
}

bool learnEpoch(Job& job, Progress& progress)
{
    std::vector<Task> tasks;
    for (int b = 0; b < job.ranges(*job.train); b++) tasks.push_back(taskOf(job, *job.train, b));
    return runAll(job, progress, 1, "learning", tasks);
}

bool measureEpoch(Job& job, Progress& progress, double seconds)
{
    const int inTrain = job.ranges(*job.train), inTest = job.ranges(*job.test);
    std::vector<Task> tasks;
    for (int i = 0; i < inTrain + inTest; i++) {
        const bool test = i >= inTrain;
        tasks.push_back(taskOf(job, test ? *job.test : *job.train, test ? i - inTrain : i));
        tasks.back().test = test;
        tasks.back().slot = uint32_t(i);
    }
    if (!runAll(job, progress, 2, "measuring", tasks)) return false;
    faasmPullState("metrics", long((inTrain + inTest) * sizeof(Slot)));
    faasmPullState("scores", long(job.test->rows * sizeof(float)));
    faasmPullState("weights", long(job.train->features * sizeof(float)));
    std::vector<sgd::Totals> totals;
    for (int i = 0; i < inTrain + inTest; i++) totals.push_back(job.slots[i].totals);
    const size_t n = job.test->rows;
    for (size_t i = 0; i < n; i++) job.keys[i] = sgd::rankKey(job.scores[i], job.testRows[i].label);
    const double penalty = job.report.options.lambda * sgd::ridge(job.weights, job.train->features);
    job.report.add(sgd::epochOf(sgd::sum(totals.data(), size_t(inTrain)),
                                sgd::sum(totals.data() + inTrain, size_t(inTest)), job.train->rows,
                                job.test->rows, penalty,
                                sgd::auc(job.keys.data(), job.scratch.data(), n), seconds));
    return true;
}

bool open(Job& job)
{
    job.train = headerOf("train");
    job.test = headerOf("test");
    if (!job.train || !job.test) return false;
    if (job.train->features != job.test->features) {
        std::fprintf(stderr, "sgd: train and test have different features\n");
        return false;
    }
    const Task whole = { 1, 0, job.test->rows, 0, 0, job.test->rows, 0, 0, 0, 0 };
    job.testRows = rowsOf("test", whole);
    job.weights = window<float>("weights", job.train->features);
    job.scores = window<float>("scores", job.test->rows);
    job.slots = window<Slot>("metrics", size_t(job.ranges(*job.train) + job.ranges(*job.test)));
    job.keys.resize(job.test->rows);
    job.scratch.resize(job.test->rows);
    std::memset(job.weights, 0, job.train->features * sizeof(float));
    faasmFlagStateDirty("weights", long(job.train->features * sizeof(float)));
    faasmPushState("weights");
    job.report.trainRows = job.train->rows;
    job.report.testRows = job.test->rows;
    job.report.features = job.train->features;
    return true;
}

} // namespace

// Learns from a range of rows.
FAASM_FUNC(learn, 1)
{
    Task t;
    if (!input(&t)) return 1;
    const sgd::Row* rows = rowsOf("train", t);
    float* weights = window<float>("weights", t.features);
    const long bytes = long(t.features * sizeof(float));
    for (uint32_t at = 0, n = t.hi - t.lo; at < n; at += kTogether) {
        // What was learnt on other hosts comes here, and what is learnt here is added to it.
        faasmPullState("weights", bytes);
        sgd::train(rows + at, std::min(kTogether, n - at), weights, t.features, worker, t.eta,
                   t.lambda, t.stretch);
        faasmFlagStateDirty("weights", bytes);
        mobulaPushMerge("weights", MOBULA_F32, MOBULA_SUM);
    }
    return 0;
}

// Measures the weights on a range of rows.
FAASM_FUNC(measure, 2)
{
    Task t;
    if (!input(&t)) return 1;
    const sgd::Row* rows = rowsOf(t.test ? "test" : "train", t);
    // Nobody learns now: from here on all hosts have the same weights.
    faasmPullState("weights", long(t.features * sizeof(float)));
    const float* weights = window<float>("weights", t.features);
    float* scores = nullptr;
    const long all = long(t.rows * sizeof(float)), at = long(t.lo * sizeof(float));
    const long part = long((t.hi - t.lo) * sizeof(float));
    if (t.test)
        scores = reinterpret_cast<float*>(faasmReadStateOffsetPtr("scores", all, at, part));
    Slot* slots = window<Slot>("metrics", t.slots);
    slots[t.slot].totals = sgd::evaluate(rows, t.hi - t.lo, weights, scores);
    if (t.test) {
        faasmFlagStateOffsetDirty("scores", all, at, part);
        faasmPushState("scores");
    }
    faasmFlagStateOffsetDirty("metrics", long(t.slots * sizeof(Slot)),
                              long(t.slot * sizeof(Slot)), long(sizeof(Slot)));
    faasmPushState("metrics");
    return 0;
}

FAASM_MAIN_FUNC()
{
    Job job;
    sgd::Report& report = job.report;
    const std::string wrong =
        sgd::parse(argc, argv, &report.options, [](const std::string&, const char*) { return 0; });
    if (!wrong.empty()) {
        std::fprintf(stderr, "sgd: %s\n%s", wrong.c_str(), sgd::kUsage);
        return 2;
    }
    if (!open(job)) return 2;
    Progress progress(report.options.progress);
    report.title();
    const double begin = sgd::now();
    for (job.epoch = 0; job.epoch < report.options.epochs; job.epoch++) {
        const double start = sgd::now();
        if (!learnEpoch(job, progress)) return 1;
        const double learned = sgd::now();
        if (!measureEpoch(job, progress, learned - start)) return 1;
        report.evaluation += sgd::now() - learned;
    }
    report.total = sgd::now() - begin;
    progress.clear();
    faasmPushState("weights");
    const std::string json = report.json("mobula");
    faasmSetOutput(reinterpret_cast<const uint8_t*>(json.data()), long(json.size()));
    return 0;
}
