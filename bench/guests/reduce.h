/* reduce: what guest and peers share. Each worker has a vector, and each iteration adds all of them, element
 * by element, to one total, in the spirit of the kernel of that name in the Parallel Research Kernels. N is
 * the number of elements of all vectors together, so each has N / WORKERS: what an iteration reads is the
 * same for any number of workers.
 *
 * In iteration t (from 0) worker w of W has t + (2 w + 1) / W at even places, and 2 less at odd ones. The
 * mean over the workers is t + 1 and t - 1 there, whatever W is; so after T iterations total / W is T (T -
 * 1) / 2 + T and - T, and the mean of that is T (T - 1) / 2: the check, up to rounding of 1 / W.
 */
#ifndef BENCH_REDUCE_H
#define BENCH_REDUCE_H

#include <math.h>

#include "samples.h"

enum { WARM_UP = 2 };

/* Elements of each vector, an even number. */
static inline long length_of(long n, long workers)
{
    return n / workers / 2 * 2;
}

static inline void fill(double* x, long length, long worker, long workers)
{
    double base = (double)(2 * worker + 1) / (double)workers;
    for (long i = 0; i < length; i++) {
        x[i] = i % 2 == 0 ? base : base - 2;
    }
}

/* The vector of the next iteration. */
static inline void grow(double* x, long length)
{
    for (double* end = x + length; x != end; x++) {
        *x += 1;
    }
}

/* The mean of total / W; NAN, with a message, if an element is not what it has to be. */
static inline double mean_of(const double* total, long length, long workers, long iterations)
{
    double t = (double)iterations, sum = 0, off = 0;
    for (long i = 0; i < length; i++) {
        double mean = total[i] / (double)workers, expected = t * (t - 1) / 2 + (i % 2 == 0 ? t : -t);
        off = fmax(off, fabs(mean - expected) / (t * t + 1));
        sum += mean;
    }
    if (off > 1e-12 || length == 0) {
        fprintf(stderr, "reduce: the total is off by %g\n", off);
        return NAN;
    }
    return sum / (double)length;
}

#endif
