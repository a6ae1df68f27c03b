/* fork-join N REPETITIONS WORKERS: chain_this over all workers and the awaits (fork-join.h). Every body is a
 * call of its own: isolated, in a memory that is reset behind it. The check is the number of iterations whose
 * bodies have all ended well. */
#include <faasm/faasm.h>

#include "fork-join.h"

enum { MOST_WORKERS = 4096 };

static unsigned int ids[MOST_WORKERS];

FAASM_FUNC(empty, 1)
{
    return 0;
}

FAASM_FUNC(body, 2)
{
    long steps = 0;
    faasmGetInput(BYTES(&steps), sizeof steps);
    return spin(steps) == 0;
}

static unsigned int iteration(long workers, long steps)
{
    unsigned int failed = 0;
    for (long w = 0; w < workers; w++) {
        ids[w] = steps == 0 ? faasmChainThis(1) : faasmChainThisInput(2, BYTES(&steps), sizeof steps);
    }
    for (long w = 0; w < workers; w++) {
        failed |= faasmAwaitCall(ids[w]);
    }
    return failed;
}

FAASM_MAIN_FUNC()
{
    long n = argument(argc, argv, 1, 0);
    long repetitions = argument(argc, argv, 2, 1000);
    long workers = argument(argc, argv, 3, 1);
    if (n < 0 || repetitions < 1 || workers < 1 || workers > MOST_WORKERS) {
        fprintf(stderr, "fork-join: no such size\n");
        return 2;
    }
    long steps = n == 0 ? 0 : (long)((double)n * steps_in_us() / (double)workers) + 1;
    long good = 0;
    for (long batch = -1; batch_start(batch, repetitions) < repetitions; batch++) {
        double start = now();
        for (long i = batch_start(batch, repetitions); i < batch_start(batch + 1, repetitions); i++) {
            good += iteration(workers, steps) == 0 && i >= 0;
        }
        report(batch, repetitions, now() - start);
    }
    printf("check %ld\n", good);
    if (good != repetitions) {
        fprintf(stderr, "fork-join: %ld iterations failed\n", repetitions - good);
        return 1;
    }
    return 0;
}
