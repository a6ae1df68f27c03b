/* Peer of chain-noop: omp_task [fan-out] [repetitions]. The same fan-out as OpenMP tasks. */
#include <omp.h>

#include "../guests/samples.h"

static int noop(void)
{
    return 0;
}

/* Called through a pointer that the compiler cannot see through, as a chained call is. */
static int (*volatile body)(void) = noop;

static int results[100000];

int main(int argc, char** argv)
{
    long fan = argument(argc, argv, 1, 1000);
    long repetitions = argument(argc, argv, 2, 200);
#pragma omp parallel
#pragma omp single
    for (long r = -repetitions / 4; r < repetitions; r++) {
        double start = now();
        for (long i = 0; i < fan; i++) {
#pragma omp task firstprivate(i)
            results[i] = body();
        }
#pragma omp taskwait
        if (r >= 0) {
            sample("call", "ns", (now() - start) * 1e9 / (double)fan);
        }
    }
    return 0;
}
