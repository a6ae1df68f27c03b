/* chain-noop and chain-one: calls [fan-out] [repetitions]. One sample a repetition: ns per call. */
#include <faasm/faasm.h>

#include "samples.h"

static unsigned int ids[100000];

FAASM_FUNC(noop, 1)
{
    return 0;
}

FAASM_MAIN_FUNC()
{
    long fan = argument(argc, argv, 1, 1000);
    long repetitions = argument(argc, argv, 2, 200);
    /* Groups of fan-outs long enough for the clock. */
    long group = fan >= 1000 ? 1 : 1000 / fan;
    for (long r = -repetitions / 4; r < repetitions; r++) {
        double start = now();
        unsigned int bad = 0;
        for (long g = 0; g < group; g++) {
            for (long i = 0; i < fan; i++) {
                ids[i] = faasmChainThis(1);
            }
            for (long i = 0; i < fan; i++) {
                bad |= faasmAwaitCall(ids[i]);
            }
        }
        double took = now() - start;
        if (bad) {
            return 1;
        }
        if (r >= 0) {
            sample("call", "ns", took * 1e9 / (double)(group * fan));
        }
    }
    return 0;
}
