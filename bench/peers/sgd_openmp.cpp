// The SGD demo as a native program: the same algorithm (sgd_core.h, word for word) on OpenMP
// threads, the data mapped from the same files. The peer that `mobula-bench run sgd` measures.
//
//   g++ -O3 -march=native -funroll-loops -fopenmp -o sgd_openmp bench/peers/sgd_openmp.cpp
//   ./sgd_openmp --train DIR/train.bin --test DIR/test.bin [--workers N] [--result F] [--weights F]
//
// Timed as the guest is: `seconds` of an epoch is its training alone, from before the threads
// take the first range until the last range is done.
#include "../../guest-lib/examples/sgd/sgd_core.h"
#include "../../guest-lib/examples/sgd/sgd_job.h"

#include <fcntl.h>
#include <omp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace {

[[noreturn]] void fail(const std::string& what)
{
    std::fprintf(stderr, "sgd_openmp: %s\n", what.c_str());
    std::exit(2);
}

struct Set {
    const sgd::Header* header;
    const sgd::Row* rows;
};

Set map(const std::string& path)
{
    const int fd = open(path.c_str(), O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) fail("cannot open " + path);
    if (st.st_size < long(sgd::kDataOffset)) fail(path + ": too short");
    void* p = mmap(nullptr, size_t(st.st_size), PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED) fail("cannot map " + path);
    Set set = { static_cast<const sgd::Header*>(p),
                reinterpret_cast<const sgd::Row*>(static_cast<const char*>(p) + sgd::kDataOffset) };
    if (const char* e = sgd::headerError(*set.header, uint64_t(st.st_size))) fail(path + ": " + e);
    return set;
}

// Runs a body over all ranges of a set, dynamically scheduled.
template <class Body>
void forRanges(uint32_t rows, int blocks, Body body)
{
    const int n = sgd::rangeCount(rows, blocks);
#pragma omp parallel for schedule(dynamic, 1)
    for (int b = 0; b < n; b++) {
        const sgd::Range r = sgd::rangeOf(rows, blocks, b);
        body(b, r.lo, r.hi);
    }
}

sgd::Worker& worker()
{
    static thread_local sgd::Worker mine;
    return mine;
}

sgd::Totals evaluate(const Set& set, int blocks, const float* w, float* scores)
{
    std::vector<sgd::Totals> part(size_t(sgd::rangeCount(set.header->rows, blocks)));
    forRanges(set.header->rows, blocks, [&](int b, uint32_t lo, uint32_t hi) {
        part[size_t(b)] = sgd::evaluate(set.rows + lo, hi - lo, w, scores ? scores + lo : nullptr);
    });
    return sgd::sum(part.data(), part.size());
}

void write(const std::string& path, const void* data, size_t bytes)
{
    if (path.empty()) return;
    FILE* f = std::fopen(path.c_str(), "wb");
    if (!f || std::fwrite(data, 1, bytes, f) != bytes || std::fclose(f) != 0)
        fail("cannot write " + path);
}

} // namespace

int main(int argc, char** argv)
{
    std::string train, test, result, weights;
    sgd::Report report;
    sgd::Options& o = report.options;
    const auto file = [&](const std::string& name, const char* value) {
        std::string* to = name == "--train" ? &train : name == "--test" ? &test
                        : name == "--result" ? &result : name == "--weights" ? &weights : nullptr;
        if (!to || !value) return 0;
        *to = value;
        return 2;
    };
    const std::string wrong = sgd::parse(argc, argv, &o, file);
    if (!wrong.empty() || train.empty() || test.empty())
        fail(wrong + "\nusage: sgd_openmp --train FILE --test FILE [--result FILE] [--weights FILE]" +
             "\n" + sgd::kUsage);
    if (o.workers == 0) o.workers = omp_get_max_threads();
    omp_set_num_threads(o.workers);

    const Set trainSet = map(train), testSet = map(test);
    const uint32_t features = trainSet.header->features, rows = trainSet.header->rows;
    const uint32_t testRows = testSet.header->rows;
    if (testSet.header->features != features) fail("train and test have different features");
    float* w = static_cast<float*>(std::aligned_alloc(64, features * sizeof(float)));
    std::fill(w, w + features, 0.0f);
    std::vector<float> scores(testRows);
    std::vector<uint64_t> keys(testRows), scratch(testRows);

    report.trainRows = rows, report.testRows = testRows, report.features = features;
    report.title();
    const double begin = sgd::now();
    for (int e = 0; e < o.epochs; e++) {
        const float eta = sgd::stepOf(e, o.epochs, o.lr);
        const double start = sgd::now();
        forRanges(rows, o.blocks, [&](int, uint32_t lo, uint32_t hi) {
            sgd::train(trainSet.rows + lo, hi - lo, w, features, worker(), eta, float(o.lambda),
                       o.stretch);
        });
        const double trained = sgd::now();
        const sgd::Totals in = evaluate(trainSet, o.blocks, w, nullptr);
        const sgd::Totals out = evaluate(testSet, o.blocks, w, scores.data());
        for (uint32_t i = 0; i < testRows; i++)
            keys[i] = sgd::rankKey(scores[i], testSet.rows[i].label);
        report.add(sgd::epochOf(in, out, rows, testRows, o.lambda * sgd::ridge(w, features),
                                sgd::auc(keys.data(), scratch.data(), testRows), trained - start));
        report.evaluation += sgd::now() - trained;
    }
    report.total = sgd::now() - begin;
    const std::string json = report.json("openmp");
    write(result, json.data(), json.size());
    write(weights, w, features * sizeof(float));
    std::printf("%s", json.c_str());
    return 0;
}
