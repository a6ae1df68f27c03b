/* cg: cg N ITERATIONS WORKERS. Conjugate gradients on a stencil of 27 points (cg.h), matrix and vectors in
 * state. Prints the time of each iteration.
 *
 * A worker has the matrix' rows of some planes of points, its part of the vectors, and of p a plane more on
 * either side. An iteration is two calls a worker, since it has two sums that all need:
 *
 *   multiply   p = r + beta p, q = A p                         gives p q
 *   update     x += alpha p, r -= alpha q, edges of r given    gives r r
 *
 * What multiply needs of its neighbours' p it makes itself from their r, as they do, which saves a third
 * call.
 */
#include "slabs.h"

#include "cg.h"

/* A worker's slab: matrix, vectors; an edge more behind r, since edges are copied in whole chunks. */
struct block {
    long first, rows, plane;
    struct matrix matrix;
    double *x, *q, *p, *low, *high, *r;
};

static int64_t plane_of(const struct task* t)
{
    return (int64_t)t->n * t->n;
}

static int64_t most_rows(const struct task* t)
{
    return largest_part(t->n, t->workers) * plane_of(t);
}

static long edge_of(const struct task* t)
{
    return edge_bytes(plane_of(t) * (int64_t)sizeof(double));
}

static int64_t slab_of(const struct task* t)
{
    int64_t doubles = (ROW_ENTRIES + 4) * most_rows(t) + 4 * plane_of(t);
    int64_t numbers = (ROW_ENTRIES + 1) * most_rows(t) + 2;
    return slab_bytes(doubles * (int64_t)sizeof(double) + numbers * (int64_t)sizeof(int32_t) + edge_of(t));
}

static struct block open_block(const struct task* t)
{
    struct range planes = range_of(t, t->n);
    struct block b;
    long most = (long)most_rows(t);
    b.plane = (long)plane_of(t);
    b.first = planes.first * b.plane;
    b.rows = (planes.end - planes.first) * b.plane;
    b.matrix.values = (double*)open_slab(t, slab_of(t));
    b.x = b.matrix.values + ROW_ENTRIES * most;
    b.q = b.x + most;
    /* Planes of the neighbours lie around p; low and high are of their r. */
    b.p = b.q + most + b.plane;
    b.low = b.p + most + b.plane;
    b.high = b.low + b.plane;
    b.r = b.high + b.plane;
    /* Numbers last, and before them room for an edge. */
    b.matrix.columns = (int32_t*)((uint8_t*)(b.r + most) + edge_of(t));
    b.matrix.starts = b.matrix.columns + ROW_ENTRIES * most;
    return b;
}

static void give_edges(const struct task* t, const struct block* b, int turn)
{
    if (t->worker > 0) {
        write_edge(t, edge_of(t), turn, LOW, b->r);
    }
    if (t->worker < t->workers - 1) {
        write_edge(t, edge_of(t), turn, HIGH, b->r + b->rows - b->plane);
    }
    push_edges(t);
}

/* p of the neighbours at the planes that border on ours. */
static void neighbours(const struct task* t, const struct block* b, int turn, double beta)
{
    long bytes = b->plane * (long)sizeof(double);
    pull_edges(t, edge_of(t));
    if (t->worker > 0) {
        read_edge(t, edge_of(t), turn, t->worker - 1, HIGH, b->low, bytes);
        turn_to(b->p - b->plane, b->low, beta, b->plane);
    }
    if (t->worker < t->workers - 1) {
        read_edge(t, edge_of(t), turn, t->worker + 1, LOW, b->high, bytes);
        turn_to(b->p + b->rows, b->high, beta, b->plane);
    }
}

static int give_sum(double sum)
{
    struct outcome outcome = { sum, 0 };
    faasmSetOutput(&outcome, sizeof outcome);
    return 0;
}

/* x = 0, r = b, p = 0, so that the first p is r with any beta. */
FAASM_FUNC(start, 1)
{
    struct task t = input_task();
    struct block b = open_block(&t);
    struct range planes = range_of(&t, t.n);
    build(b.matrix, b.r, planes.first, planes.end, planes.first, t.n);
    memset(b.x, 0, sizeof(double) * (size_t)b.rows);
    memset(b.p - b.plane, 0, sizeof(double) * (size_t)(b.rows + 2 * b.plane));
    give_edges(&t, &b, 0);
    return give_sum(square(b.r, b.rows));
}

FAASM_FUNC(step_multiply, 2)
{
    struct task t = input_task();
    struct block b = open_block(&t);
    neighbours(&t, &b, t.step & 1, t.factor[0]);
    turn_to(b.p, b.r, t.factor[0], b.rows);
    return give_sum(multiply(&b.matrix, b.q, b.p, b.p, b.rows));
}

FAASM_FUNC(step_update, 3)
{
    struct task t = input_task();
    struct block b = open_block(&t);
    double sum = update(b.x, b.r, b.p, b.q, t.factor[0], b.rows);
    give_edges(&t, &b, !(t.step & 1));
    return give_sum(sum);
}

FAASM_FUNC(compare, 4)
{
    struct task t = input_task();
    struct block b = open_block(&t);
    double weighted = 0, errors = 0;
    judge(b.x, b.first, b.rows, &weighted, &errors);
    return give_sum(t.step == 0 ? weighted : errors);
}

FAASM_MAIN_FUNC()
{
    long n = argument(argc, argv, 1, 16), iterations = argument(argc, argv, 2, 10);
    struct task t = { .n = (int32_t)n, .workers = workers_of(argc, argv, n) };
    int64_t slab = slab_of(&t);
    double beta = 0;
    make_slabs(&t, slab);
    double residual = fan_out(1, t, slab).sum;
    for (; t.step < CG_WARM_UPS + iterations; t.step++) {
        double before = now(), old = residual;
        t.factor[0] = beta;
        double pq = fan_out(2, t, slab).sum;
        t.factor[0] = quotient(old, pq);
        residual = fan_out(3, t, slab).sum;
        beta = quotient(residual, old);
        if (t.step >= CG_WARM_UPS) {
            sample("iteration", "ms", (now() - before) * 1e3);
        }
    }
    t.step = 0;
    double weighted = fan_out(4, t, slab).sum;
    t.step = 1;
    return cg_verdict(n, residual, weighted, fan_out(4, t, slab).sum);
}
