/* apsp N REPETITIONS WORKERS: blocked Floyd-Warshall (apsp.h) with a chained call for every block: calls of
 * 10 to 20 us, thousands an iteration. The first of the iterations that warm up is on the ring, the others
 * and all that are measured are on the random graph.
 *
 * A row of blocks is a panel, which begins at a chunk of the value `distances`; all its calls are placed
 * where it is at home, so that a panel is only ever written on one host, and columns of blocks need not
 * travel. What does is panel k in phase 3 of step k. Before, no other host has looked at it in this
 * iteration: all pull in step 0, and from then on look at panel k alone, after it was pushed behind phase 2.
 * So no further pull is needed, each of which would fetch again what a sibling has just fetched. Block (k,
 * k), which phase 2 needs earlier, is copied to a chunk of its own of the value `closed`. The answer is
 * looked at by a call, because main's windows would stay open, and a pull brings open windows up to date at
 * once. */
#include <faasm/faasm.h>

#include "apsp.h"

enum { MOST_BLOCKS = 128, CHUNK = 64 << 10, BLOCK_BYTES = CELLS * 4 };

enum entry { FILL = 1, CLOSE, LEFT, RIGHT, REST, PUSH, VERIFY };

struct task {
    int blocks, k, row, column;
    int graph, n;
};

static unsigned int ids[MOST_BLOCKS * MOST_BLOCKS];

static long panel_bytes(int blocks)
{
    return (blocks * BLOCK_BYTES + CHUNK - 1) / CHUNK * CHUNK;
}

static int32_t* panel(int blocks, int row)
{
    long bytes = panel_bytes(blocks);
    return (int32_t*)faasmReadStateOffsetPtr("distances", bytes * blocks, bytes * row, bytes);
}

static void written(const struct task* t)
{
    long bytes = panel_bytes(t->blocks);
    faasmFlagStateOffsetDirty("distances", bytes * t->blocks, bytes * t->row + (long)t->column * BLOCK_BYTES,
                              BLOCK_BYTES);
}

/* Block (k, k), closed. */
static int32_t* closed_block(const struct task* t)
{
    long all = (long)t->blocks * CHUNK, offset = (long)t->k * CHUNK;
    return (int32_t*)faasmReadStateOffsetPtr("closed", all, offset, BLOCK_BYTES);
}

static struct task begin(void)
{
    struct task t;
    faasmGetInput(BYTES(&t), sizeof t);
    if (t.k == 0) {
        faasmPullState("distances", panel_bytes(t.blocks) * t.blocks);
        faasmPullState("closed", (long)t.blocks * CHUNK);
    }
    return t;
}

/* A row of blocks of the graph. */
FAASM_FUNC(fill, 1)
{
    struct task t;
    faasmGetInput(BYTES(&t), sizeof t);
    int32_t* to = panel(t.blocks, t.row);
    for (t.column = 0; t.column < t.blocks; t.column++) {
        fill_block(to + t.column * CELLS, t.graph, t.n, t.row, t.column);
        written(&t);
    }
    faasmPushState("distances");
    return 0;
}

FAASM_FUNC(closing, 2)
{
    struct task t = begin();
    int32_t* c = panel(t.blocks, t.row) + t.column * CELLS;
    close_block(c);
    written(&t);
    memcpy(closed_block(&t), c, BLOCK_BYTES);
    faasmFlagStateOffsetDirty("closed", (long)t.blocks * CHUNK, (long)t.k * CHUNK, BLOCK_BYTES);
    faasmPushState("closed");
    return 0;
}

/* (k, j) */
FAASM_FUNC(left, 3)
{
    struct task t = begin();
    int32_t* row = panel(t.blocks, t.row);
    relax(row + t.column * CELLS, row + t.k * CELLS, row + t.column * CELLS);
    written(&t);
    return 0;
}

/* (i, k) */
FAASM_FUNC(rightwards, 4)
{
    struct task t = begin();
    int32_t* c = panel(t.blocks, t.row) + t.column * CELLS;
    relax(c, c, closed_block(&t));
    written(&t);
    return 0;
}

/* (i, j) */
FAASM_FUNC(rest, 5)
{
    struct task t = begin();
    int32_t* row = panel(t.blocks, t.row);
    relax(row + t.column * CELLS, row + t.k * CELLS, panel(t.blocks, t.k) + t.column * CELLS);
    written(&t);
    return 0;
}

/* What the host of a panel has written to it. One push for many tasks, because it looks at all that the host
 * has: across hosts that takes milliseconds. */
FAASM_FUNC(push, 6)
{
    faasmPushState("distances");
    return 0;
}

static const int32_t* answer[MOST_BLOCKS];

static int32_t found(long i, long j)
{
    return answer[i / BLOCK][j / BLOCK * CELLS + i % BLOCK * BLOCK + j % BLOCK];
}

/* Compares the distances; their sum is the output. */
FAASM_FUNC(verify, 7)
{
    struct task t;
    faasmGetInput(BYTES(&t), sizeof t);
    faasmPullState("distances", panel_bytes(t.blocks) * t.blocks);
    for (int row = 0; row < t.blocks; row++) {
        answer[row] = panel(t.blocks, row);
    }
    double sum = sum_of_distances(t.n, found);
    faasmSetOutput(&sum, sizeof sum);
    return wrong_distances(t.graph, t.n, found) != 0;
}

static unsigned int chain(int entry, struct task t, int row, int column)
{
    t.row = row;
    t.column = column;
    return mobulaChainAt("distances", (int64_t)panel_bytes(t.blocks) * row, entry, BYTES(&t), sizeof t);
}

static void await(int count)
{
    unsigned int failed = 0;
    for (int i = 0; i < count; i++) {
        failed |= faasmAwaitCall(ids[i]);
    }
    if (failed) {
        exit(1);
    }
}

static void step(struct task t)
{
    int count = 0;
    ids[0] = chain(CLOSE, t, t.k, t.k);
    await(1);
    for (int i = 0; i < t.blocks; i++) {
        if (i != t.k) {
            ids[count++] = chain(LEFT, t, t.k, i);
            ids[count++] = chain(RIGHT, t, i, t.k);
        }
    }
    await(count);
    ids[0] = chain(PUSH, t, t.k, 0);
    await(1);
    count = 0;
    for (int i = 0; i < t.blocks; i++) {
        for (int j = 0; j < t.blocks; j++) {
            if (i != t.k && j != t.k) {
                ids[count++] = chain(REST, t, i, j);
            }
        }
    }
    await(count);
}

static double iteration(int graph, int n, int blocks)
{
    struct task t = { .blocks = blocks, .graph = graph, .n = n };
    for (int row = 0; row < blocks; row++) {
        ids[row] = chain(FILL, t, row, 0);
    }
    await(blocks);
    double start = now();
    for (t.k = 0; t.k < blocks; t.k++) {
        step(t);
    }
    return now() - start;
}

FAASM_MAIN_FUNC()
{
    long n = argument(argc, argv, 1, 512);
    long repetitions = argument(argc, argv, 2, 5);
    if (n < 2 || n > MOST_BLOCKS * BLOCK) {
        fprintf(stderr, "apsp: no such size\n");
        return 2;
    }
    int blocks = (int)((n + BLOCK - 1) / BLOCK);
    mobulaStateCreate("distances", panel_bytes(blocks) * blocks);
    mobulaStateCreate("closed", (long)blocks * CHUNK);
    double sum = 0;
    for (long r = -WARM_UP; r < repetitions; r++) {
        int graph = r == -WARM_UP ? RING : RANDOM;
        double took = iteration(graph, (int)n, blocks);
        if (r >= 0) {
            sample("iteration", "ms", took * 1e3);
        }
        if (graph == RING || r + 1 == repetitions) {
            struct task t = { .blocks = blocks, .graph = graph, .n = (int)n };
            for (int row = 0; row < blocks; row++) {
                ids[row] = chain(PUSH, t, row, 0);
            }
            await(blocks);
            unsigned int id = faasmChainThisInput(VERIFY, BYTES(&t), sizeof t);
            if (faasmAwaitCallOutput(id, BYTES(&sum), sizeof sum) != 0) {
                return 1;
            }
        }
    }
    printf("check %.17g\n", sum);
    return 0;
}
