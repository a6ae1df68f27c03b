/* metg: metg PATTERN POINTS. The grid of metg.h with a chained call for each task. What a task needs
 * reaches it as its input, and its value is its output. */
#include <faasm/faasm.h>

#include "metg.h"

enum { MOST_POINTS = 4096 };

struct request {
    int64_t work;
    uint64_t needed;
    int64_t point;
};

FAASM_FUNC(point, 1)
{
    struct request r;
    faasmGetInput(BYTES(&r), sizeof r);
    uint64_t value = task((long)r.work, r.needed, (long)r.point);
    faasmSetOutput(&value, sizeof value);
    return 0;
}

static unsigned int ids[2][MOST_POINTS];
static uint64_t values[2][MOST_POINTS];

static void await(int row, long i)
{
    if (faasmAwaitCallOutput(ids[row][i], BYTES(&values[row][i]), sizeof(uint64_t)) != 0) {
        abort();
    }
}

/* A task is chained as soon as what it needs has ended: of the row before, `done` points have. */
static double grid(int pattern, long work, long rows, long points, uint64_t* check)
{
    double start = now();
    for (long t = 0; t < rows; t++) {
        int row = (int)(t & 1), before = 1 - row;
        long done = t == 0 ? points : 0;
        if (t == 0) {
            memset(values[before], 0, sizeof values[before]);
        }
        for (long i = 0; i < points; i++) {
            long until = pattern == STENCIL && i + 2 < points ? i + 2 : points;
            while (done < until) {
                await(before, done++);
            }
            struct request r = { work, needed(pattern, values[before], points, i), i };
            ids[row][i] = faasmChainThisInput(1, BYTES(&r), sizeof r);
        }
    }
    int last = (int)((rows - 1) & 1);
    uint64_t sum = 0;
    for (long i = 0; i < points; i++) {
        await(last, i);
        sum += values[last][i];
    }
    double took = now() - start;
    *check = *check * 31 + sum;
    return took;
}

FAASM_MAIN_FUNC()
{
    const char* name = argc > 1 ? argv[1] : "trivial";
    int pattern = pattern_of(name);
    long points = argument(argc, argv, 2, 4);
    if (pattern < 0 || points < 1 || points > MOST_POINTS) {
        return 2;
    }
    static double seconds[LENGTHS][TRIES];
    double steps = steps_in_us();
    uint64_t check = 0, ignored = 0;
    grid(pattern, 0, 100, points, &ignored);
    for (int try = 0; try < TRIES; try++) {
        for (int k = 0; k < LENGTHS; k++) {
            seconds[k][try] = grid(pattern, (long)(lengths[k] * steps), rows_of(k), points, &check);
        }
    }
    report(name, seconds, points);
    printf("check %llu\n", (unsigned long long)check);
    return 0;
}
