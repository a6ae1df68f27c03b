/* Finding a part of state that is at home on another rank. A guest does not know where it runs. */
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

/* Gives `len` bytes that are at home on another rank than the first; 0, and the nearest ones, if there are none.
 *
 * Values of 1 MiB a rank and more lie in blocks over all ranks, so the last block of one with `len` bytes for
 * each is at home on the last rank. A smaller one has one home, which its name decides: names are tried, and a
 * call to the own rank is faster than one to another. */
static inline int find_far(struct part* far, long ranks, long len)
{
    double nearest = 1e9, farthest = 0;
    if (len >= 1 << 20) {
        *far = (struct part){ "far", ranks * len, (ranks - 1) * len };
        mobulaStateCreate(far->key, far->total);
        return ranks > 1;
    }
    for (long i = 0; i < 8 * ranks; i++) {
        struct part at;
        snprintf(at.key, sizeof at.key, "far-%ld-%ld", len, i);
        at.total = len;
        at.offset = 0;
        mobulaStateCreate(at.key, at.total);
        double took = visit(&at);
        nearest = took < nearest ? took : nearest;
        if (took > farthest) {
            farthest = took;
            *far = at;
        }
    }
    /* To another host it takes twenty times as long; on one host there may be no telling. */
    return ranks > 1 && farthest > 1.5 * nearest;
}

#endif
