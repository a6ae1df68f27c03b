/* How guests and peers report: one line a sample, on stdout. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Seconds on a clock that only goes forward. */
static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void sample(const char* metric, const char* unit, double value)
{
    printf("sample %s %s %.9g\n", metric, unit, value);
}

/* The k-th argument as a number, or a default. */
static inline long argument(int argc, char** argv, int k, long fallback)
{
    return argc > k ? atol(argv[k]) : fallback;
}

#endif
