/* Work of a known length: steps of a dependent multiply-add, which no compiler shortens; and how many of them take
 * how long. */
#ifndef BENCH_SPIN_H
#define BENCH_SPIN_H

#include <stdint.h>

#include "samples.h"

/* Knuth's MMIX generator (TAOCP 2, 3.3.4), some 1.3 ns a step on a processor of 3 GHz. */
static inline uint64_t spin(long steps)
{
    uint64_t x = 1;
    for (long i = 0; i < steps; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

/* Steps of the work loop in a microsecond: the best of several tries, since others only slow it. */
static inline double steps_in_us(void)
{
    double best = 0;
    for (int i = 0; i < 20; i++) {
        double start = now();
        if (spin(200000) == 0) {
            return 0;
        }
        double rate = 200000 / ((now() - start) * 1e6);
        best = rate > best ? rate : best;
    }
    return best;
}

#endif
