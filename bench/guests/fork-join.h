/* fork-join: what guest and peers share. One iteration starts a body on every worker and waits for all. N is
 * the busy work of an iteration, in us, which the workers divide: with 0 the body is empty and the time is
 * the cost of the fork and the join; with 1000 it shows what the cost leaves of a gain from more workers.
 *
 * Iterations are timed in batches, of which BATCHES are reported, so that 10^5 of them print as much as
 * 10^2; the last tenth also as `late`, since what a runtime hoards shows only after many. */
#ifndef BENCH_FORK_JOIN_H
#define BENCH_FORK_JOIN_H

#include "samples.h"
#include "spin.h"

enum { BATCHES = 100 };

/* First iteration of a batch; a tenth as many before them warm up, as batch -1. */
static inline long batch_start(long batch, long repetitions)
{
    long batches = repetitions < BATCHES ? repetitions : BATCHES;
    return batch < 0 ? -(repetitions + 9) / 10 : repetitions * batch / batches;
}

static inline void report(long batch, long repetitions, double seconds)
{
    long batches = repetitions < BATCHES ? repetitions : BATCHES;
    long count = batch_start(batch + 1, repetitions) - batch_start(batch, repetitions);
    double us = seconds * 1e6 / (double)count;
    if (batch >= 0) {
        sample("iteration", "us", us);
    }
    if (batch >= 0 && batch >= batches - (batches + 9) / 10) {
        sample("late", "us", us);
    }
}

#endif
