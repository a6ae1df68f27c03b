/* window-map: map [repetitions] [warm]. Each chained call opens windows of 1 MiB of one value: 64
 * different ones (cold: dropped in between by opening more than a faaslet keeps) or always the same
 * (warm). One sample a repetition: ns per window. */
#include <faasm/faasm.h>

#include "samples.h"

enum { WINDOW = 1 << 20, CALLS = 64, COUNT = 100 };

FAASM_FUNC(cold, 1)
{
    double start = now();
    for (long i = 0; i < COUNT; i++) {
        faasmReadStateOffsetPtr("value", (long)COUNT * WINDOW, i * WINDOW, WINDOW);
    }
    double ns = (now() - start) * 1e9 / COUNT;
    faasmSetOutput(&ns, sizeof ns);
    return 0;
}

FAASM_FUNC(warm, 2)
{
    double start = now();
    for (long i = 0; i < COUNT; i++) {
        faasmReadStateOffsetPtr("value", (long)COUNT * WINDOW, 0, WINDOW);
    }
    double ns = (now() - start) * 1e9 / COUNT;
    faasmSetOutput(&ns, sizeof ns);
    return 0;
}

FAASM_MAIN_FUNC()
{
    long repetitions = argument(argc, argv, 1, 50);
    int entry = (int)argument(argc, argv, 2, 0);
    for (int which = 1; which <= 2; which++) {
        if (entry != 0 && entry != which) {
            continue;
        }
        for (long r = -2; r < repetitions; r++) {
            double ns = 0;
            if (faasmAwaitCallOutput(faasmChainThis(which), BYTES(&ns), sizeof ns) != 0) {
                return 1;
            }
            if (r >= 0) {
                sample(which == 1 ? "cold" : "warm", "ns", ns);
            }
        }
    }
    return 0;
}
