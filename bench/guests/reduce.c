/* reduce N REPETITIONS WORKERS: the sum of all workers' vectors (reduce.h), one call for each. A call merges
 * its vector into `total` with mobulaMergeState, and pushes by merging: on one host calls add to the same
 * bytes, atomically by element; another host sends what its copy has gained.
 *
 * Vectors are at home where their calls are placed, and no call needs another's: they are pushed at the end.
 * Calls begin to merge at different places, so that they do not fight for the same lines of the cache. */
#include <faasm/faasm.h>

#include "reduce.h"

enum { MOST_WORKERS = 1024 };

struct part {
    long length, worker, workers;
    int first, last;
};

static unsigned int ids[MOST_WORKERS];

static long bytes_of(long elements)
{
    return elements * (long)sizeof(double);
}

FAASM_FUNC(add, 1)
{
    struct part p;
    faasmGetInput(BYTES(&p), sizeof p);
    long all = bytes_of(p.length * p.workers), offset = bytes_of(p.length * p.worker);
    double* x = (double*)faasmReadStateOffsetPtr("vectors", all, offset, bytes_of(p.length));
    if (p.first) {
        fill(x, p.length, p.worker, p.workers);
    } else {
        grow(x, p.length);
    }
    faasmFlagStateOffsetDirty("vectors", all, offset, bytes_of(p.length));
    if (p.last) {
        faasmPushState("vectors");
    }
    long begin = p.length / p.workers * p.worker;
    mobulaMergeState("total", bytes_of(p.length), bytes_of(begin), x + begin, bytes_of(p.length - begin),
                     MOBULA_F64, MOBULA_SUM);
    mobulaMergeState("total", bytes_of(p.length), 0, x, bytes_of(begin), MOBULA_F64, MOBULA_SUM);
    mobulaPushMerge("total", MOBULA_F64, MOBULA_SUM);
    return 0;
}

FAASM_MAIN_FUNC()
{
    long n = argument(argc, argv, 1, 1 << 20);
    long repetitions = argument(argc, argv, 2, 10);
    long workers = argument(argc, argv, 3, 1);
    if (workers < 1 || workers > MOST_WORKERS || n > 1 << 27 || length_of(n, workers) < 2) {
        fprintf(stderr, "reduce: no such size\n");
        return 2;
    }
    struct part p = { .length = length_of(n, workers), .workers = workers, .first = 1 };
    mobulaStateCreate("vectors", bytes_of(p.length * workers));
    mobulaStateCreate("total", bytes_of(p.length));
    for (long r = -WARM_UP; r < repetitions; r++, p.first = 0) {
        double start = now();
        unsigned int failed = 0;
        p.last = r + 1 == repetitions;
        for (p.worker = 0; p.worker < workers; p.worker++) {
            long middle = bytes_of(p.length * p.worker + p.length / 2);
            ids[p.worker] = mobulaChainAt("vectors", middle, 1, BYTES(&p), sizeof p);
        }
        for (long w = 0; w < workers; w++) {
            failed |= faasmAwaitCall(ids[w]);
        }
        if (failed) {
            return 1;
        }
        if (r >= 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
    }
    faasmPullState("total", bytes_of(p.length));
    const double* total = (const double*)faasmReadStatePtr("total", bytes_of(p.length));
    double mean = mean_of(total, p.length, workers, repetitions + WARM_UP);
    printf("check %.17g\n", mean);
    return isnan(mean);
}
