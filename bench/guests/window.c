/* window-read and window-triad: window [repetitions]. The value `bytes` is loaded by --state and read
 * through one window. One sample a repetition: GB/s. */
#include <faasm/faasm.h>

#include "samples.h"
#include "stream.h"

FAASM_MAIN_FUNC()
{
    long repetitions = argument(argc, argv, 1, 10);
    long size = faasmReadStateSize("bytes");
    double* p = (double*)faasmReadStatePtr("bytes", size);
    long n = size / (long)sizeof(double) / 12 * 4;
    double check = 0;
    for (long r = -1; r < repetitions; r++) {
        double start = now();
        check += sum(p, 3 * n);
        double middle = now();
        triad(p, p + n, p + 2 * n, n);
        double end = now();
        if (r >= 0) {
            double bytes = 3.0 * (double)n * sizeof(double);
            sample("read", "GB/s", bytes / (middle - start) * 1e-9);
            sample("triad", "GB/s", bytes / (end - middle) * 1e-9);
        }
    }
    printf("check %.17g\n", check);
    return 0;
}
