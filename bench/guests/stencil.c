/* stencil: stencil N REPETITIONS WORKERS. The star of stencil.h on N x N points, a call a worker and
 * repetition.
 *
 * A call takes two rows from each neighbour, sweeps its own, and gives its two first and last ones away
 * (slabs.h). What it has of its neighbours is a copy, so the rows at its ends are raised at once.
 */
#include "slabs.h"

#include "stencil.h"

/* A worker's slab: `in` with RADIUS rows more above and below, then `out`; an edge more behind, since edges
 * are copied in whole chunks. */
struct block {
    long top, rows, n, ld;
    double *in, *out;
};

static int64_t row_bytes(const struct task* t)
{
    return row_length(t->n) * (int64_t)sizeof(double);
}

static long edge_of(const struct task* t)
{
    return edge_bytes(RADIUS * row_bytes(t));
}

static int64_t slab_of(const struct task* t)
{
    int64_t rows = 2 * largest_part(t->n, t->workers) + 2 * RADIUS;
    return slab_bytes(rows * row_bytes(t) + edge_of(t));
}

static struct block open_block(const struct task* t)
{
    struct range mine = range_of(t, t->n);
    struct block b = { mine.first, mine.end - mine.first, t->n, row_length(t->n), 0, 0 };
    b.in = (double*)open_slab(t, slab_of(t)) + RADIUS * b.ld;
    b.out = b.in + ((long)largest_part(t->n, t->workers) + RADIUS) * b.ld;
    return b;
}

static void give_edges(const struct task* t, const struct block* b, int turn)
{
    if (t->worker > 0) {
        write_edge(t, edge_of(t), turn, LOW, b->in);
    }
    if (t->worker < t->workers - 1) {
        write_edge(t, edge_of(t), turn, HIGH, b->in + (b->rows - RADIUS) * b->ld);
    }
    push_edges(t);
}

static void take_edges(const struct task* t, const struct block* b, int turn)
{
    long bytes = RADIUS * (long)row_bytes(t);
    pull_edges(t, edge_of(t));
    if (t->worker > 0) {
        read_edge(t, edge_of(t), turn, t->worker - 1, HIGH, b->in - RADIUS * b->ld, bytes);
    }
    if (t->worker < t->workers - 1) {
        read_edge(t, edge_of(t), turn, t->worker + 1, LOW, b->in + b->rows * b->ld, bytes);
    }
}

FAASM_FUNC(start, 1)
{
    struct task t = input_task();
    struct block b = open_block(&t);
    stencil_start(b.out, b.in, b.rows, b.top, b.n);
    give_edges(&t, &b, 0);
    return 0;
}

FAASM_FUNC(repeat, 2)
{
    struct task t = input_task();
    struct block b = open_block(&t);
    int turn = t.step & 1;
    take_edges(&t, &b, turn);
    sweep(b.out, b.in, 0, b.rows, b.top, b.n);
    raise_rows(b.in, 0, RADIUS, b.n);
    raise_rows(b.in, b.rows - RADIUS, b.rows, b.n);
    give_edges(&t, &b, !turn);
    return 0;
}

FAASM_FUNC(add_up, 3)
{
    struct task t = input_task();
    struct block b = open_block(&t);
    struct outcome outcome = { stencil_sum(b.out, b.rows, b.top, b.n), 0 };
    faasmSetOutput(&outcome, sizeof outcome);
    return 0;
}

FAASM_MAIN_FUNC()
{
    long n = argument(argc, argv, 1, 256), repetitions = argument(argc, argv, 2, 10);
    if (n < LEAST_ROWS) {
        fprintf(stderr, "stencil: fewer than %d rows\n", LEAST_ROWS);
        return 1;
    }
    struct task t = { .n = (int32_t)n, .workers = workers_of(argc, argv, n / LEAST_ROWS) };
    int64_t slab = slab_of(&t);
    make_slabs(&t, slab);
    fan_out(1, t, slab);
    for (; t.step < STENCIL_WARM_UPS + repetitions; t.step++) {
        double before = now();
        fan_out(2, t, slab);
        if (t.step >= STENCIL_WARM_UPS) {
            sample("iteration", "ms", (now() - before) * 1e3);
        }
    }
    return stencil_verdict(n, repetitions, fan_out(3, t, slab).sum);
}
