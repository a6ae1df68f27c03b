/* transpose N REPETITIONS WORKERS: B += A^T, A += 1 (transpose.h), one call for each worker's band.
 *
 * A call is placed where the middle of its band of A is at home, so that A never travels. What it adds to
 * its strip of B it pushes, row by row of B: across hosts n² (1 - 1/hosts) elements an iteration, which is
 * what the peer with MPI sends. Nobody pulls before the check, because a strip of B has one writer, and that
 * always runs on the same host. */
#include <faasm/faasm.h>

#include "transpose.h"

enum { MOST_WORKERS = 1024 };

struct band {
    long n, lo, hi;
    long iterations;
};

struct result {
    double sum;
    double error;
};

static unsigned int ids[MOST_WORKERS];

static long bytes_of(long elements)
{
    return elements * (long)sizeof(double);
}

static double* rows_of(const char* key, const struct band* b)
{
    return (double*)faasmReadStateOffsetPtr(key, bytes_of(b->n * b->n), bytes_of(b->lo * b->n),
                                            bytes_of((b->hi - b->lo) * b->n));
}

static void push_rows(const char* key, const struct band* b)
{
    faasmFlagStateOffsetDirty(key, bytes_of(b->n * b->n), bytes_of(b->lo * b->n),
                              bytes_of((b->hi - b->lo) * b->n));
    faasmPushState(key);
}

FAASM_FUNC(fill, 1)
{
    struct band b;
    faasmGetInput(BYTES(&b), sizeof b);
    double *x = rows_of("a", &b), *y = rows_of("b", &b);
    for (long k = 0; k < (b.hi - b.lo) * b.n; k++) {
        x[k] = (double)(b.lo * b.n + k);
        y[k] = 0;
    }
    push_rows("a", &b);
    push_rows("b", &b);
    return 0;
}

FAASM_FUNC(step, 2)
{
    struct band b;
    faasmGetInput(BYTES(&b), sizeof b);
    long n = b.n;
    double* x = rows_of("a", &b);
    double* y = (double*)faasmReadStatePtr("b", bytes_of(n * n));
    transpose(x, y + b.lo, n, n, b.hi - b.lo, n, 1);
    for (long row = 0; row < n; row++) {
        faasmFlagStateOffsetDirty("b", bytes_of(n * n), bytes_of(row * n + b.lo), bytes_of(b.hi - b.lo));
    }
    faasmPushState("b");
    return 0;
}

/* Every element of some rows of B against its closed form, and their sum. A is pushed only now: until here
 * nobody else has read it. */
FAASM_FUNC(verify, 3)
{
    struct band b;
    struct result r = { 0, 0 };
    faasmGetInput(BYTES(&b), sizeof b);
    push_rows("a", &b);
    faasmPullState("b", bytes_of(b.n * b.n));
    const double* y = rows_of("b", &b);
    for (long row = b.lo; row < b.hi; row++) {
        for (long column = 0; column < b.n; column++, y++) {
            r.sum += *y;
            r.error += fabs(*y - transposed(b.n, row, column, b.iterations));
        }
    }
    faasmSetOutput(&r, sizeof r);
    return 0;
}

/* A call of an entry for every band; results, if it has some, are added up. */
static void fan_out(int entry, long n, long workers, long iterations, struct result* total)
{
    for (long w = 0; w < workers; w++) {
        struct band b = { n, band_start(n, w, workers), band_start(n, w + 1, workers), iterations };
        ids[w] = 0;
        if (b.lo < b.hi) {
            ids[w] = mobulaChainAt("a", bytes_of((b.lo + b.hi) / 2 * n), entry, BYTES(&b), sizeof b);
        }
    }
    for (long w = 0; w < workers; w++) {
        struct result r = { 0, 0 };
        if (ids[w] != 0 && faasmAwaitCallOutput(ids[w], BYTES(&r), sizeof r) != 0) {
            exit(1);
        }
        total->sum += r.sum;
        total->error += r.error;
    }
}

FAASM_MAIN_FUNC()
{
    long n = argument(argc, argv, 1, 1024);
    long repetitions = argument(argc, argv, 2, 10);
    long workers = argument(argc, argv, 3, 1);
    struct result total = { 0, 0 };
    if (!transposable(n, workers) || workers > MOST_WORKERS || n > 16376) {
        return 2;
    }
    mobulaStateCreate("a", bytes_of(n * n));
    mobulaStateCreate("b", bytes_of(n * n));
    fan_out(1, n, workers, 0, &total);
    for (long r = -WARM_UP; r < repetitions; r++) {
        double start = now();
        fan_out(2, n, workers, 0, &total);
        if (r >= 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
    }
    fan_out(3, n, workers, repetitions + WARM_UP, &total);
    printf("check %.17g\n", total.sum);
    if (total.error != 0) {
        fprintf(stderr, "transpose: B differs from its closed form by %g\n", total.error);
        return 1;
    }
    return 0;
}
