/* metg: what guest and peer share. A grid of tasks: `steps` rows of `points` tasks of a given length of
 * busy work. The smallest task at which half the peak rate of work is kept says what a task costs:
 *
 *   trivial     no task needs another
 *   stencil     (t, i) needs (t-1, i-1), (t-1, i), (t-1, i+1)
 *   all-to-all  (t, i) needs all of t-1
 *
 * Every task's value depends on those that it needs, so that the last row's sum checks that each was
 * waited for.
 */
#ifndef BENCH_METG_H
#define BENCH_METG_H

#include <math.h>
#include <string.h>

#include "samples.h"
#include "spin.h"

enum pattern { TRIVIAL, STENCIL, ALL_TO_ALL };

/* Lengths in us, and rows: enough of them for the clock, few enough for a benchmark. */
static const double lengths[] = { 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000 };
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

static inline long rows_of(int length)
{
    double rows = 20000 / lengths[length];
    return rows > 1000 ? 1000 : (long)rows;
}

static inline int pattern_of(const char* name)
{
    if (strcmp(name, "trivial") == 0) {
        return TRIVIAL;
    }
    if (strcmp(name, "stencil") == 0) {
        return STENCIL;
    }
    return strcmp(name, "all-to-all") == 0 ? ALL_TO_ALL : -1;
}

/* What a task does: its work, and a value from those it needs. */
static inline uint64_t task(long work, uint64_t needed, long point)
{
    uint64_t busy = spin(work);
    return (needed + (uint64_t)point + (busy == 0)) * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* Sum of what point i needs of a row of values. */
static inline uint64_t needed(int pattern, const uint64_t* row, long points, long i)
{
    uint64_t sum = 0;
    if (pattern == TRIVIAL) {
        return 0;
    }
    long first = pattern == STENCIL ? i - 1 : 0;
    long last = pattern == STENCIL ? i + 1 : points - 1;
    for (long k = first < 0 ? 0 : first; k <= last && k < points; k++) {
        sum += row[k];
    }
    return sum;
}

/* Each length is measured so often, in turns, and the middle one counts. */
enum { TRIES = 3 };

static inline double middle(const double* t)
{
    double low = t[0] < t[1] ? t[0] : t[1], high = t[0] < t[1] ? t[1] : t[0];
    return t[2] < low ? low : t[2] > high ? high : t[2];
}

/* From the seconds that each length's grid took: efficiency against the best rate of work of the long
 * tasks, and the length at which it rises to a half, between two measured ones on a logarithmic
 * scale. */
static inline void report(const char* pattern, double seconds[LENGTHS][TRIES], long points)
{
    double rate[LENGTHS], peak = 0;
    char metric[64];
    for (int k = 0; k < LENGTHS; k++) {
        rate[k] = lengths[k] * (double)(rows_of(k) * points) / middle(seconds[k]);
        if (lengths[k] >= 100 && rate[k] > peak) {
            peak = rate[k];
        }
    }
    for (int k = 0; k < LENGTHS; k++) {
        snprintf(metric, sizeof metric, "%s-tasks-of-%g-us", pattern, lengths[k]);
        sample(metric, "1/s", rate[k] / lengths[k]);
        snprintf(metric, sizeof metric, "%s-efficiency-at-%g-us", pattern, lengths[k]);
        sample(metric, "%", 100 * rate[k] / peak);
    }
    int k = 0;
    while (rate[k] < peak / 2) {
        k++;
    }
    double smallest = lengths[k];
    if (k > 0) {
        double part = (peak / 2 - rate[k - 1]) / (rate[k] - rate[k - 1]);
        smallest = lengths[k - 1] * pow(lengths[k] / lengths[k - 1], part);
    }
    snprintf(metric, sizeof metric, "%s-smallest-task", pattern);
    sample(metric, "us", smallest);
}

#endif
