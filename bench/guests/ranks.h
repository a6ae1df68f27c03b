/* Finding a part of state that is at home on another rank. A guest does not know where it runs, and a
 * call to the own rank is faster than one to another, so the clock tells. */
#ifndef BENCH_RANKS_H
#define BENCH_RANKS_H

#include <faasm/faasm.h>

#include "samples.h"

enum { CHUNK = 64 << 10 };

/* Some bytes of a value, all at home on one rank. */
struct part {
    char key[32];
    long total;
    long offset;
};

FAASM_FUNC(nothing, 90)
{
    return 0;
}

/* The fastest of some round trips of empty calls, s: what else the machine does only slows them. */
static inline double visit(const struct part* at)
{
    double fastest = 1e9;
    for (int i = 0; i < 200; i++) {
        double start = now();
        if (faasmAwaitCall(mobulaChainAt(at->key, at->offset, 90, 0, 0)) != 0) {
            abort();
        }
        double took = now() - start;
        fastest = took < fastest ? took : fastest;
    }
    return fastest;
}

/* Makes values until one has `len` bytes that are at home on another rank, and gives the farthest.
 * Returns 0, and the nearest ones, when all are near.
 *
 * Values of 1 MiB a rank and more lie in blocks over all ranks, so one with `len` bytes for each has
 * such a block; a smaller one has one home, which its name decides, so names are tried. */
static inline int find_far(struct part* far, long ranks, long len)
{
    int blocks = len >= 1 << 20;
    double nearest = 1e9, farthest = 0;
    long tries = blocks ? ranks : 8 * ranks;
    for (long i = 0; i < tries; i++) {
        struct part at;
        snprintf(at.key, sizeof at.key, "far-%ld-%ld", len, blocks ? 0 : i);
        at.total = blocks ? ranks * len : len;
        at.offset = blocks ? i * len : 0;
        mobulaStateCreate(at.key, at.total);
        double took = visit(&at);
        nearest = took < nearest ? took : nearest;
        if (took > farthest) {
            farthest = took;
            *far = at;
        }
    }
    /* On one host the way to another rank is some 1.5 to 3 times as long as to the own one. */
    return ranks > 1 && farthest > 1.2 * nearest;
}

#endif
