/* jacobi: jacobi N STEPS WORKERS. Heat on a square plate of N x N points, jacobi.h says what is computed and
 * what the answer is. Prints the time of each step.
 *
 * A call a worker and step: it takes the rows of its neighbours that border on its own, relaxes its rows from
 * one array of its slab into the other, and gives its first and last one to its neighbours (slabs.h).
 */
#include "slabs.h"

#include "jacobi.h"

/* A worker's slab: two arrays, each with a row more above and below; an edge more behind, since edges are
 * copied in whole chunks. */
struct block {
    struct range rows;
    long n, ld;
    double* array[2];
};

static int64_t array_bytes(const struct task* t)
{
    return (largest_part(t->n, t->workers) + 2) * row_length(t->n) * (int64_t)sizeof(double);
}

static long edge_of(const struct task* t)
{
    return edge_bytes(row_length(t->n) * (int64_t)sizeof(double));
}

static int64_t slab_of(const struct task* t)
{
    return slab_bytes(2 * array_bytes(t) + edge_of(t));
}

static struct block open_block(const struct task* t)
{
    struct block b;
    uint8_t* slab = open_slab(t, slab_of(t));
    b.rows = range_of(t, t->n);
    b.n = t->n;
    b.ld = row_length(t->n);
    for (int k = 0; k < 2; k++) {
        /* The first point of the worker's first row. */
        b.array[k] = (double*)(slab + k * array_bytes(t)) + b.ld + 8;
    }
    return b;
}

static long count(const struct block* b)
{
    return b->rows.end - b->rows.first;
}

static void give_edges(const struct task* t, const struct block* b, int turn)
{
    if (t->worker > 0) {
        write_edge(t, edge_of(t), turn, LOW, b->array[turn]);
    }
    if (t->worker < t->workers - 1) {
        write_edge(t, edge_of(t), turn, HIGH, b->array[turn] + (count(b) - 1) * b->ld);
    }
    push_edges(t);
}

static void take_edges(const struct task* t, const struct block* b, int turn)
{
    long bytes = b->n * (long)sizeof(double);
    pull_edges(t, edge_of(t));
    if (t->worker > 0) {
        read_edge(t, edge_of(t), turn, t->worker - 1, HIGH, b->array[turn] - b->ld, bytes);
    }
    if (t->worker < t->workers - 1) {
        read_edge(t, edge_of(t), turn, t->worker + 1, LOW, b->array[turn] + count(b) * b->ld, bytes);
    }
}

FAASM_FUNC(start, 1)
{
    struct task t = input_task();
    struct block b = open_block(&t);
    double* wave = sines(b.n);
    memset(b.array[0] - b.ld - 8, 0, (size_t)(2 * array_bytes(&t)));
    for (long i = 0; i < count(&b); i++) {
        start_row(b.array[0] + i * b.ld, wave, b.rows.first + i, b.n);
    }
    give_edges(&t, &b, 0);
    return 0;
}

FAASM_FUNC(step, 2)
{
    struct task t = input_task();
    struct block b = open_block(&t);
    int turn = t.step & 1;
    take_edges(&t, &b, turn);
    relax_rows(b.array[!turn], b.array[turn], 0, count(&b), b.n);
    give_edges(&t, &b, !turn);
    return 0;
}

FAASM_FUNC(compare, 3)
{
    struct task t = input_task();
    struct block b = open_block(&t);
    struct outcome outcome = { 0, 0 };
    double* wave = sines(b.n);
    for (long i = 0; i < count(&b); i++) {
        compare_row(b.array[t.step & 1] + i * b.ld, wave, b.rows.first + i, b.n, t.factor[0], &outcome.sum,
                    &outcome.most);
    }
    faasmSetOutput(&outcome, sizeof outcome);
    return 0;
}

FAASM_MAIN_FUNC()
{
    long n = argument(argc, argv, 1, 256), steps = argument(argc, argv, 2, 10);
    struct task t = { .n = (int32_t)n, .workers = workers_of(argc, argv, n) };
    int64_t slab = slab_of(&t);
    make_slabs(&t, slab);
    fan_out(1, t, slab);
    for (; t.step < JACOBI_WARM_UPS + steps; t.step++) {
        double before = now();
        fan_out(2, t, slab);
        if (t.step >= JACOBI_WARM_UPS) {
            sample("iteration", "ms", (now() - before) * 1e3);
        }
    }
    t.factor[0] = amplitude_after(n, t.step);
    struct outcome outcome = fan_out(3, t, slab);
    return verdict(n, t.step, outcome.sum, outcome.most);
}
