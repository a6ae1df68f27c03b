/* What every program of the set does around its kernel: fill, time, sum up.
 *
 *   PROGRAM [REPETITIONS]     one untimed repetition, then five, or as many as are asked for
 *
 * stdout: a line `sample time ms VALUE` for each repetition, and `check VALUE`, a number that depends
 * on all of the result. Every repetition starts from the same data; filling them is not timed. */
#ifndef POLY_H
#define POLY_H

#include <math.h>

#include "../guests/samples.h"

/* A function of its own, as in a program whose kernel is in another file. */
#define KERNEL static __attribute__((noinline)) void

/* -DTUNED: what a guest's author can do about the loops that lose most (README.md). This one asks for four
 * vectors in a turn of the loop that follows. */
#if defined TUNED && defined __clang__
#define INTERLEAVE _Pragma("clang loop interleave_count(4)")
#else
#define INTERLEAVE
#endif

/* The sum of n numbers with eight different weights, so that a number in a wrong place shows. */
static inline double weighted(const double* numbers, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += numbers[i] * (1 + i % 8 * 0.125);
    return sum;
}

/* main of every program. Where a kernel is too short for a clock it is run several rounds in a row. */
static inline int measure(int argc, char** argv, int rounds, void (*fill)(void), void (*kernel)(void),
                          double (*check)(void))
{
    const long repetitions = argument(argc, argv, 1, 5);
    for (long repetition = 0; repetition <= repetitions; repetition++) {
        fill();
        const double start = now();
        for (int round = 0; round < rounds; round++)
            kernel();
        const double passed = now() - start;
        if (repetition > 0)
            sample("time", "ms", passed * 1e3);
    }
    printf("check %.17g\n", check());
    return 0;
}

#endif
