/* Peer of scaling: omp_spin [calls] [steps] [repetitions]. The same work as OpenMP tasks. */
#include <omp.h>

#include "../guests/samples.h"
#include "../guests/spin.h"

static volatile int bad;

int main(int argc, char** argv)
{
    long calls = argument(argc, argv, 1, 1000);
    long steps = argument(argc, argv, 2, 0);
    long repetitions = argument(argc, argv, 3, 20);
#pragma omp parallel
#pragma omp single
    for (long r = -repetitions / 4; r < repetitions; r++) {
        double start = now();
        for (long i = 0; i < calls; i++) {
#pragma omp task
            if (spin(steps) == 0) {
                bad = 1;
            }
        }
#pragma omp taskwait
        if (r >= 0) {
            sample("call", "us", (now() - start) * 1e6 / (double)calls);
        }
    }
    return bad;
}
