/* Peer of fork-join: fork-join_openmp N REPETITIONS WORKERS. A parallel region with the same body. */
#include <omp.h>

#include "../guests/fork-join.h"

static volatile int bad;

static void iteration(long steps)
{
#pragma omp parallel
    if (steps > 0 && spin(steps) == 0) {
        bad = 1;
    }
}

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 0);
    long repetitions = argument(argc, argv, 2, 1000);
    long workers = omp_get_max_threads(), good = 0;
    long steps = n == 0 ? 0 : (long)((double)n * steps_in_us() / (double)workers) + 1;
    for (long batch = -1; batch_start(batch, repetitions) < repetitions; batch++) {
        double start = now();
        for (long i = batch_start(batch, repetitions); i < batch_start(batch + 1, repetitions); i++) {
            iteration(steps);
            good += !bad && i >= 0;
        }
        report(batch, repetitions, now() - start);
    }
    printf("check %ld\n", good);
    return good != repetitions;
}
