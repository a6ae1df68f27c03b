/* synch-p2p N REPETITIONS WORKERS: the wavefront of synch-p2p.h with a chained call for each block.
 *
 * Who hands what to whom: a strip is a part of the value `grid` of its own, and calls for its blocks are
 * placed where its middle is at home (mobulaChainAt), so the row above is always in the same memory. The
 * edge comes as the call's input, and the next one leaves as its output: that is right across hosts, and
 * costs a copy of a few hundred bytes on one. Main starts a block as soon as the block above and the one to
 * the left have ended; there is no barrier between steps. When a strip is whole it is pushed, of which only
 * what is not at home travels: next to nothing.
 *
 * STRIPS for each worker, so that one has work while main hears of the other's end. Blocks have about GRAIN
 * points: less is more parallelism, and more calls. */
#include <faasm/faasm.h>

#include "synch-p2p.h"

enum { STRIPS = 2, MOST_STRIPS = 512, GRAIN = 64 << 10 };

struct block {
    long n, strip, strips;
    long row, rows;
    double origin;
    double edge[MOST_ROWS + 1];
};

static unsigned int ids[MOST_STRIPS];
static double edges[MOST_STRIPS][MOST_ROWS + 1];

static long bytes_of(long points)
{
    return points * (long)sizeof(double);
}

/* A strip and how many columns it has. */
static double* strip_of(const struct block* b, long* columns, long* offset)
{
    long first = strip_start(b->n, b->strip, b->strips);
    *columns = strip_start(b->n, b->strip + 1, b->strips) - first;
    *offset = (first - 1) * b->n;
    return (double*)faasmReadStateOffsetPtr("grid", bytes_of(b->n * (b->n - 1)), bytes_of(*offset),
                                            bytes_of(*columns * b->n));
}

/* Nobody else reads a strip while it is worked on: it is pushed once it is whole. */
static void written(const struct block* b, long offset, long points, int whole)
{
    faasmFlagStateOffsetDirty("grid", bytes_of(b->n * (b->n - 1)), bytes_of(offset), bytes_of(points));
    if (whole) {
        faasmPushState("grid");
    }
}

FAASM_FUNC(fill, 1)
{
    struct block b;
    long columns = 0, offset = 0;
    faasmGetInput(BYTES(&b), sizeof b);
    double* strip = strip_of(&b, &columns, &offset);
    memset(strip, 0, (size_t)bytes_of(columns * b.n));
    for (long j = 0; j < columns; j++) {
        strip[j] = (double)(strip_start(b.n, b.strip, b.strips) + j);
    }
    written(&b, offset, columns * b.n, 1);
    return 0;
}

FAASM_FUNC(step, 2)
{
    struct block b;
    long columns = 0, offset = 0;
    faasmGetInput(BYTES(&b), sizeof b);
    double* strip = strip_of(&b, &columns, &offset);
    if (b.strip == 0) {
        for (long r = 0; r <= b.rows; r++) {
            b.edge[r] = (double)(b.row - 1 + r);
        }
        b.edge[0] = b.row == 1 ? b.origin : b.edge[0];
    }
    sweep(strip + b.row * columns, columns, columns, b.rows, b.edge);
    written(&b, offset + b.row * columns, b.rows * columns, b.row + b.rows == b.n);
    faasmSetOutput(b.edge, bytes_of(b.rows + 1));
    return 0;
}

/* The middle of a strip: where most of it is at home. */
static long place(long n, long strip, long strips)
{
    return bytes_of((strip_start(n, strip, strips) + strip_start(n, strip + 1, strips) - 2) / 2 * n);
}

/* Waits for the block that a strip is busy with, if any, and keeps its edge. */
static void await(long strip)
{
    if (ids[strip] != 0 && faasmAwaitCallOutput(ids[strip], BYTES(edges[strip]), sizeof edges[strip]) != 0) {
        exit(1);
    }
    ids[strip] = 0;
}

/* From step to step a strip goes down by a band, one behind its left neighbour, whose edge of the step before
 * is there once that has been awaited. */
static double iteration(long n, long strips, long rows, double origin)
{
    struct block b = { .n = n, .strips = strips, .origin = origin };
    long bands = (n - 1 + rows - 1) / rows;
    for (long step = 0; step < bands + strips; step++) {
        for (long s = 0; s < strips; s++) {
            long band = step - s;
            await(s);
            if (band < 0 || band >= bands) {
                continue;
            }
            b.strip = s;
            b.row = 1 + band * rows;
            b.rows = n - b.row < rows ? n - b.row : rows;
            long size = (long)offsetof(struct block, edge);
            if (s > 0) {
                memcpy(b.edge, edges[s - 1], (size_t)bytes_of(b.rows + 1));
                size += bytes_of(b.rows + 1);
            }
            ids[s] = mobulaChainAt("grid", place(n, s, strips), 2, BYTES(&b), size);
        }
    }
    return edges[strips - 1][n - 1 - (bands - 1) * rows];
}

FAASM_MAIN_FUNC()
{
    long n = argument(argc, argv, 1, 1024);
    long repetitions = argument(argc, argv, 2, 10);
    long workers = argument(argc, argv, 3, 1);
    long strips = workers * STRIPS < n - 1 ? workers * STRIPS : n - 1;
    if (n < 2 || n > 16000 || strips < 1 || strips > MOST_STRIPS) {
        fprintf(stderr, "synch-p2p: no such size\n");
        return 2;
    }
    long rows = GRAIN * strips / n / 4 * 4;
    /* At least as many bands as fill the pipeline well. */
    long most = (n - 1) / (8 * strips) / 4 * 4;
    rows = rows > most ? most : rows;
    rows = rows < 4 ? 4 : rows > MOST_ROWS ? MOST_ROWS : rows;
    mobulaStateCreate("grid", bytes_of(n * (n - 1)));
    for (long s = 0; s < strips; s++) {
        struct block b = { .n = n, .strip = s, .strips = strips };
        ids[s] = mobulaChainAt("grid", place(n, s, strips), 1, BYTES(&b), sizeof b);
    }
    for (long s = 0; s < strips; s++) {
        await(s);
    }
    double corner = 0;
    for (long r = -WARM_UP; r < repetitions; r++) {
        double start = now();
        corner = iteration(n, strips, rows, -corner);
        if (r >= 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
        if (!right(corner, n, r + WARM_UP + 1)) {
            return 1;
        }
    }
    printf("check %.17g\n", corner);
    return 0;
}
