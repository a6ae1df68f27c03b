/* spmv: spmv N REPETITIONS WORKERS. Multiplications with the matrix of spmv.h; ms each.
 *
 * Each of WORKERS calls has a block of rows and its matrix in values of its own. It runs where its part
 * of the product is at home, so that its push moves nothing but what shares a chunk with a neighbour. Of
 * the calls of one host the first fetches what other hosts have computed: all of it once a step, as
 * MPI_Allgatherv does. */
#include <faasm/faasm.h>

#include "spmv.h"

enum { CHUNK = 64 * 1024 / sizeof(double) };

/* What a call works on; the step that it makes. */
struct part {
    int64_t n, lo, hi;
    int32_t number, step, nonzeros;
};

static const char* vector_of(int step)
{
    return step % 2 == 0 ? "even" : "odd";
}

/* This call's part of a vector. */
static double* own(const struct part* p, int64_t all, int step)
{
    return (double*)faasmReadStateOffsetPtr(vector_of(step), (long)(8 * all), (long)(8 * p->lo),
                                            (long)(8 * (p->hi - p->lo)));
}

static void push_own(const struct part* p, int64_t all, int step)
{
    faasmFlagStateOffsetDirty(vector_of(step), (long)(8 * all), (long)(8 * p->lo),
                              (long)(8 * (p->hi - p->lo)));
    faasmPushStatePartial(vector_of(step));
}

struct matrix {
    uint32_t *ends, *columns;
    double* values;
};

static char key[32];

static const char* matrix_key(const char* what, const struct part* p)
{
    snprintf(key, sizeof key, "%s-%d", what, (int)p->number);
    return key;
}

static struct matrix matrix(const struct part* p)
{
    struct matrix m;
    m.ends = (uint32_t*)faasmReadStatePtr(matrix_key("ends", p), (long)(4 * (p->hi - p->lo)));
    m.columns = (uint32_t*)faasmReadStatePtr(matrix_key("columns", p), 4L * p->nonzeros);
    m.values = (double*)faasmReadStatePtr(matrix_key("values", p), 8L * p->nonzeros);
    return m;
}

static void push_matrix(const struct part* p, const char* what, long bytes)
{
    faasmFlagStateDirty(matrix_key(what, p), bytes);
    faasmPushState(key);
}

static struct part input(void)
{
    struct part p;
    faasmGetInput(BYTES(&p), sizeof p);
    return p;
}

/* The matrix of a part, and its part of x_0. The output is the number of non-zeros. */
FAASM_FUNC(build, 1)
{
    struct part p = input();
    struct cube c = cube_of(p.n);
    p.nonzeros = (int32_t)nonzeros(&c, p.lo, p.hi);
    struct matrix m = matrix(&p);
    fill(&c, p.lo, p.hi, m.ends, m.columns, m.values);
    push_matrix(&p, "ends", (long)(4 * (p.hi - p.lo)));
    push_matrix(&p, "columns", 4L * p.nonzeros);
    push_matrix(&p, "values", 8L * p.nonzeros);
    double* x = own(&p, c.all, 0);
    for (int64_t i = p.lo; i < p.hi; i++) {
        x[i - p.lo] = begin(i);
    }
    push_own(&p, c.all, 0);
    faasmSetOutput(&p.nonzeros, sizeof p.nonzeros);
    return 0;
}

/* Once on each host that steps will run on: `fetched`, which is never pushed or pulled afterwards, gets a
 * copy of the host's own. */
FAASM_FUNC(meet, 2)
{
    return *(volatile int32_t*)faasmReadStatePtr("fetched", 4) != 0;
}

/* The vector before a step, with what other hosts pushed. The first call of a host to come here fetches it,
 * and the others wait for it; nobody else has opened it by then. */
static const double* whole(const struct part* p, int64_t all)
{
    const char* from = vector_of(p->step - 1);
    faasmLockStateWrite("fetched");
    volatile int32_t* fetched = (volatile int32_t*)faasmReadStatePtr("fetched", 4);
    const double* x = (const double*)faasmReadStatePtr(from, (long)(8 * all));
    if (*fetched < p->step) {
        faasmPullState(from, (long)(8 * all));
        *fetched = p->step;
    }
    faasmUnlockStateWrite("fetched");
    return x;
}

/* A step for a part. The output is its part of the square. */
FAASM_FUNC(advance, 3)
{
    const struct part p = input();
    const struct cube c = cube_of(p.n);
    const double* x = whole(&p, c.all);
    const struct matrix m = matrix(&p);
    const double square = multiply(x, own(&p, c.all, p.step), m.ends, m.columns, m.values, p.hi - p.lo);
    push_own(&p, c.all, p.step);
    faasmSetOutput(&square, sizeof square);
    return 0;
}

FAASM_FUNC(zeroth, 4)
{
    const struct part p = input();
    const struct cube c = cube_of(p.n);
    faasmPullState(vector_of(0), (long)(8 * c.all));
    const double sum = with_first(own(&p, c.all, 0), p.lo, p.hi);
    faasmSetOutput(&sum, sizeof sum);
    return 0;
}

/* One call for each part, where its part of that step's vector is at home; adds up their outputs. Ends the
 * program when one fails. */
static double on_all(struct part* parts, int count, int step, int entry)
{
    unsigned int ids[count];
    double sum = 0, one = 0;
    for (int p = 0; p < count; p++) {
        parts[p].step = step;
        ids[p] = mobulaChainAt(vector_of(step), 8 * parts[p].lo, entry, BYTES(&parts[p]), sizeof *parts);
    }
    for (int p = 0; p < count; p++) {
        if (faasmAwaitCallOutput(ids[p], entry == 1 ? BYTES(&parts[p].nonzeros) : BYTES(&one),
                                 entry == 1 ? sizeof parts[p].nonzeros : sizeof one) != 0) {
            fprintf(stderr, "spmv: call %d of entry %d failed\n", p, entry);
            exit(1);
        }
        sum += one;
    }
    return sum;
}

int main(int argc, char** argv)
{
    const struct cube c = cube_of(argument(argc, argv, 1, 64));
    const int steps = (int)argument(argc, argv, 2, 20), workers = (int)argument(argc, argv, 3, 1);
    const int64_t each = ((c.all + CHUNK - 1) / CHUNK + workers - 1) / workers * CHUNK;
    const int count = (int)((c.all + each - 1) / each), half_way = (steps + WARM_UP) / 2;
    struct part* parts = calloc((size_t)count, sizeof *parts);
    double squares = 0, half = 0;
    mobulaStateCreate("even", (long)(8 * c.all));
    mobulaStateCreate("odd", (long)(8 * c.all));
    for (int p = 0; p < count; p++) {
        const int64_t lo = each * p, hi = lo + each < c.all ? lo + each : c.all;
        parts[p] = (struct part) { c.n, lo, hi, p, 0, 0 };
    }
    on_all(parts, count, 0, 1);
    on_all(parts, count, 0, 2);
    on_all(parts, count, 1, 2);
    for (int step = 1; step <= steps + WARM_UP; step++) {
        const double start = now(), square = on_all(parts, count, step, 3);
        if (step > WARM_UP) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
        squares += square;
        half = step == half_way ? square : half;
    }
    return verdict(&c, squares, half, on_all(parts, count, 0, 4));
}
