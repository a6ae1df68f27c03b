// kmeans: kmeans N REPETITIONS WORKERS. Lloyd's k-means on N points of the flights (0: one for each row; more
// than rows: the rows again and again), 8 clusters; an iteration is one step.
//
//   train   state that is given: the rows (layout in sgd_core.h)
//   points  N cache lines; every part is made and read on the host where it is at home
//
// A call gets the centres as its input and gives sums of its points as its output: on several hosts nothing
// else travels.
#include <faasm/faasm.h>

#include "kmeans.h"
#include "samples.h"

#include <algorithm>
#include <vector>

namespace {

using kmeans::kBlock;
using kmeans::kBlockBytes;

struct Request {
    kmeans::Table table;
    int64_t points, lo, hi; // a part: blocks from lo to below hi
    int64_t rows;
};

// The points of a part, in a window.
kmeans::Point* pointsOf(const Request& r)
{
    const int64_t size = sizeof(kmeans::Point), total = r.points * size;
    const int64_t begin = r.lo * kBlockBytes, end = std::min(r.hi * kBlockBytes, total);
    return reinterpret_cast<kmeans::Point*>(
        faasmReadStateOffsetPtr("points", long(total), long(begin), long(end - begin)));
}

const sgd::Row* rowsOf(int64_t rows, int64_t lo, int64_t hi)
{
    const int64_t size = sgd::kRowBytes, total = sgd::kDataOffset + rows * size;
    return reinterpret_cast<const sgd::Row*>(faasmReadStateOffsetPtr(
        "train", long(total), long(sgd::kDataOffset + lo * size), long((hi - lo) * size)));
}

struct Job {
    Request request;
    std::vector<Request> parts;
    std::vector<unsigned> ids;
};

void chainAll(Job& job, int entry)
{
    for (size_t i = 0; i < job.parts.size(); i++) {
        Request& part = job.parts[i];
        part.table = job.request.table;
        // The middle: parts and homes may differ by a block at their ends.
        const int64_t home = (part.lo + part.hi) / 2 * kBlockBytes;
        job.ids[i] = mobulaChainAt("points", home, entry, BYTES(&part), sizeof part);
    }
}

bool step(Job& job, kmeans::Centres* centres)
{
    kmeans::Sums all = {}, part;
    job.request.table = kmeans::tableOf(*centres);
    chainAll(job, 2);
    bool good = true;
    for (unsigned id : job.ids) {
        good = faasmAwaitCallOutput(id, BYTES(&part), sizeof part) == 0 && good;
        kmeans::add(&all, part);
    }
    return kmeans::move(centres, all) == double(job.request.points) && good;
}

} // namespace

FAASM_FUNC(fill, 1)
{
    Request r;
    faasmGetInput(BYTES(&r), sizeof r);
    kmeans::Point* points = pointsOf(r);
    const int64_t end = std::min(r.hi * kBlock, r.points);
    for (int64_t at = r.lo * kBlock, n; at < end; at += n, points += n) {
        const int64_t row = at % r.rows;
        n = std::min(end - at, r.rows - row);
        kmeans::fill(points, rowsOf(r.rows, row, row + n), n);
    }
    const int64_t size = sizeof(kmeans::Point);
    faasmFlagStateOffsetDirty("points", long(r.points * size), long(r.lo * kBlockBytes),
                              long(end * size - r.lo * kBlockBytes));
    faasmPushState("points");
    return 0;
}

FAASM_FUNC(assign, 2)
{
    Request r;
    faasmGetInput(BYTES(&r), sizeof r);
    const kmeans::Point* points = pointsOf(r);
    kmeans::Sums sums = {};
    for (int64_t b = r.lo; b < r.hi; b++, points += kBlock)
        kmeans::addBlock(r.table, points, kmeans::pointsIn(b, r.points), &sums);
    faasmSetOutput(&sums, sizeof sums);
    return 0;
}

FAASM_MAIN_FUNC()
{
    const long repetitions = argument(argc, argv, 2, 10), workers = argument(argc, argv, 3, 1);
    const int64_t rows = (int64_t(faasmReadStateSize("train")) - sgd::kDataOffset) / sgd::kRowBytes;
    if (rows < kmeans::kClusters || workers < 1) {
        std::fprintf(stderr, "kmeans: give the flights with --state bench/train=DIR/train.bin\n");
        return 2;
    }
    Job job = {};
    const int64_t given = argument(argc, argv, 1, 0);
    job.request.points = given > 0 ? given : rows;
    job.request.rows = rows;
    mobulaStateCreate("points", long(job.request.points * int64_t(sizeof(kmeans::Point))));
    /* Four parts a worker: a worker that was late gets fewer of them. */
    const int64_t blocks = kmeans::blocksOf(job.request.points);
    const int64_t parts = std::min(blocks, int64_t(4 * workers));
    for (int64_t i = 0; i < parts; i++) {
        job.parts.push_back(job.request);
        job.parts.back().lo = blocks * i / parts;
        job.parts.back().hi = blocks * (i + 1) / parts;
    }
    job.ids.resize(job.parts.size());
    chainAll(job, 1);
    for (unsigned id : job.ids)
        if (faasmAwaitCall(id) != 0) return 1;

    kmeans::Centres first, centres;
    for (int k = 0; k < kmeans::kClusters; k++) {
        const int64_t row = kmeans::firstCentre(k, job.request.points, rows);
        kmeans::setCentre(&first, k, *rowsOf(rows, row, row + 1));
    }
    centres = first;
    if (!step(job, &centres)) return 1;
    centres = first;
    for (long r = 0; r < repetitions; r++) {
        const double start = now();
        if (!step(job, &centres)) {
            std::fprintf(stderr, "kmeans: a step has lost points\n");
            return 1;
        }
        sample("iteration", "ms", (now() - start) * 1e3);
    }
    std::printf("check %.17g\n", kmeans::checkOf(centres));
    return 0;
}
