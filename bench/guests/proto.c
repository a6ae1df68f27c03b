/* proto: a proto-function that builds a table in 13 million steps, and calls that use it. */
#include <faasm/faasm.h>

#include "samples.h"

static unsigned int table[1 << 16];

FAASM_ZYGOTE()
{
    unsigned int x = 1;
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 1 << 16; i++) {
            x = x * 1664525u + 1013904223u;
            table[i] ^= x;
        }
    }
    return 0;
}

FAASM_FUNC(use, 1)
{
    return table[12345] == 0;
}

FAASM_MAIN_FUNC()
{
    long repetitions = argument(argc, argv, 1, 200);
    for (long r = 0; r <= repetitions; r++) {
        double start = now();
        if (faasmAwaitCall(faasmChainThis(1)) != 0) {
            return 1;
        }
        sample(r == 0 ? "second-call" : "later-calls", "ns", (now() - start) * 1e9);
    }
    return 0;
}
