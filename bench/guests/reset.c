/* reset: calls that write to 0, 1, 16 or 256 pages of their memory. One sample a repetition: ns per
 * call, reset included. */
#include <faasm/faasm.h>

#include "samples.h"

static char pages[512 * 4096];

FAASM_FUNC(touch, 1)
{
    int n = 0;
    faasmGetInput(BYTES(&n), sizeof n);
    for (int i = 0; i < n; i++) {
        volatile char* page = pages + i * 4096;
        if (*page != 0) {
            return 1; /* an earlier call's byte */
        }
        *page = 1;
    }
    return 0;
}

FAASM_MAIN_FUNC()
{
    static const int counts[] = { 0, 1, 16, 256 };
    long repetitions = argument(argc, argv, 1, 100);
    for (int c = 0; c < 4; c++) {
        int n = counts[c];
        char metric[32];
        snprintf(metric, sizeof metric, "pages-%d", n);
        for (long r = -repetitions / 4; r < repetitions; r++) {
            unsigned int ids[100], bad = 0;
            double start = now();
            for (int i = 0; i < 100; i++) {
                ids[i] = faasmChainThisInput(1, BYTES(&n), sizeof n);
            }
            for (int i = 0; i < 100; i++) {
                bad |= faasmAwaitCall(ids[i]);
            }
            if (bad) {
                return 1;
            }
            if (r >= 0) {
                sample(metric, "ns", (now() - start) * 1e9 / 100);
            }
        }
    }
    return 0;
}
