/* scaling: spin [calls] [steps] [repetitions]. A fan-out of calls that each work; us per call. */
#include <faasm/faasm.h>

#include "samples.h"
#include "spin.h"

static unsigned int ids[100000];

FAASM_FUNC(work, 1)
{
    long steps = 0;
    faasmGetInput(BYTES(&steps), sizeof steps);
    return spin(steps) == 0;
}

FAASM_MAIN_FUNC()
{
    long calls = argument(argc, argv, 1, 1000);
    long steps = argument(argc, argv, 2, 0);
    long repetitions = argument(argc, argv, 3, 20);
    for (long r = -repetitions / 4; r < repetitions; r++) {
        double start = now();
        unsigned int bad = 0;
        for (long i = 0; i < calls; i++) {
            ids[i] = faasmChainThisInput(1, BYTES(&steps), sizeof steps);
        }
        for (long i = 0; i < calls; i++) {
            bad |= faasmAwaitCall(ids[i]);
        }
        if (bad) {
            return 1;
        }
        if (r >= 0) {
            sample("call", "us", (now() - start) * 1e6 / (double)calls);
        }
    }
    return 0;
}
