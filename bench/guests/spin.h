/* Work of a known length: steps of a dependent multiply-add, which no compiler shortens. */
#ifndef BENCH_SPIN_H
#define BENCH_SPIN_H

#include <stdint.h>

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

#endif
