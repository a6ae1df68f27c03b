/* nstream: nstream N REPETITIONS WORKERS. A += B + s C on vectors of N doubles (nstream.h), a call a worker
 * and repetition, each on its part of the three. Nothing has to travel but the calls. */
#include "slabs.h"

#include "nstream.h"

/* A worker's slab: its part of A, then of B, then of C. */
struct part {
    long n;
    double *a, *b, *c;
};

/* Elements of each vector in a slab: whole cache lines. */
static int64_t room(const struct task* t)
{
    return (largest_part(t->n, t->workers) + 7) / 8 * 8;
}

static int64_t slab_of(const struct task* t)
{
    return slab_bytes(3 * room(t) * (int64_t)sizeof(double));
}

static struct part open_part(const struct task* t)
{
    struct range mine = range_of(t, t->n);
    double* a = (double*)open_slab(t, slab_of(t));
    struct part part = { mine.end - mine.first, a, a + room(t), a + 2 * room(t) };
    return part;
}

FAASM_FUNC(start, 1)
{
    struct task t = input_task();
    struct part p = open_part(&t);
    nstream_start(p.a, p.b, p.c, p.n);
    return 0;
}

FAASM_FUNC(repeat, 2)
{
    struct task t = input_task();
    struct part p = open_part(&t);
    nstream(p.a, p.b, p.c, p.n);
    return 0;
}

FAASM_FUNC(add_up, 3)
{
    struct task t = input_task();
    struct part p = open_part(&t);
    struct outcome outcome = { sum_of(p.a, p.n), 0 };
    faasmSetOutput(&outcome, sizeof outcome);
    return 0;
}

FAASM_MAIN_FUNC()
{
    long n = argument(argc, argv, 1, 1 << 20), repetitions = argument(argc, argv, 2, 10);
    struct task t = { .n = (int32_t)n, .workers = workers_of(argc, argv, n) };
    int64_t slab = slab_of(&t);
    make_slabs(&t, slab);
    fan_out(1, t, slab);
    for (; t.step < NSTREAM_WARM_UPS + repetitions; t.step++) {
        double before = now();
        fan_out(2, t, slab);
        if (t.step >= NSTREAM_WARM_UPS) {
            sample("iteration", "ms", (now() - before) * 1e3);
        }
    }
    return nstream_verdict(n, repetitions, fan_out(3, t, slab).sum);
}
