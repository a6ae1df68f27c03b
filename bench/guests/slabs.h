/* What guests on grids and long vectors share: state that is divided among workers once and stays where it
 * is.
 *
 *   value "slabs"   ┌ worker 0 ─────┬ worker 1 ─────┬ …      slabs of equal size, 1 MiB at least, in chunks,
 *                   │ arrays, edges │ arrays, edges │        so that ranks have equal blocks of them at home
 *                   └───────────────┴───────────────┴ …
 *   value "edges"   ┌ worker 0: turn 0: low, high; turn 1: low, high ┬ worker 1 …
 *
 * An iteration chains one call a worker, each to where its slab is at home (mobulaChainAt). A call opens one
 * window, on its slab, which stays mapped for the next iteration; on several hosts a slab never travels.
 * What neighbours need is copied to "edges", which no call has a window on: then a pull only forgets, a read
 * fetches the one chunk that it wants, and an edge that fills its chunks is written without being fetched.
 * Across hosts one message an edge is what is left; on one host it is a copy of some rows.
 *
 * Two turns, so that edges of the next iteration are written while neighbours read those of this one.
 */
#ifndef BENCH_SLABS_H
#define BENCH_SLABS_H

#include <faasm/faasm.h>

#include "samples.h"

enum { CHUNK_BYTES = 64 << 10, LEAST_CHUNKS = 16, MOST_WORKERS = 1024 };
enum { LOW = 0, HIGH = 1 };

/* What each call is told. A fresh memory knows nothing, so all of it travels with the call. */
struct task {
    int32_t n;
    int32_t workers;
    int32_t worker;
    int32_t step;
    double factor[2];
};

/* What each call gives back: one number that is added up over workers, and one of which the largest counts. */
struct outcome {
    double sum;
    double most;
};

/* A part of `count` rows (planes, elements): those of a worker. */
struct range {
    long first, end;
};

static inline struct range range_of(const struct task* t, long count)
{
    int64_t first = (int64_t)count * t->worker / t->workers;
    int64_t end = (int64_t)count * (t->worker + 1) / t->workers;
    struct range range = { (long)first, (long)end };
    return range;
}

/* The most that one worker gets of `count`. */
static inline int64_t largest_part(long count, int workers)
{
    return (count + workers - 1) / workers;
}

static inline int64_t whole_chunks(int64_t bytes)
{
    return (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES;
}

/* Lengths of values are 31 bits. */
static inline long length_of(int64_t bytes)
{
    if (bytes > INT32_MAX) {
        fprintf(stderr, "%lld bytes of state: a value has at most 2 GiB\n", (long long)bytes);
        exit(1);
    }
    return (long)bytes;
}

/* Bytes of a slab that holds so many. */
static inline int64_t slab_bytes(int64_t used)
{
    int64_t bytes = whole_chunks(used);
    return bytes < LEAST_CHUNKS * CHUNK_BYTES ? LEAST_CHUNKS * CHUNK_BYTES : bytes;
}

/* The window on a worker's slab. */
static inline uint8_t* open_slab(const struct task* t, int64_t slab)
{
    long total = length_of(slab * t->workers);
    return faasmReadStateOffsetPtr("slabs", total, (long)(slab * t->worker), (long)slab);
}

/* ---------------------------------------------------------------- edges */

/* An edge of so many bytes, in whole chunks. Its source has to be readable that far. */
static inline long edge_bytes(int64_t bytes)
{
    return (long)whole_chunks(bytes);
}

static inline long edge_area(long edge)
{
    return (long)slab_bytes(4 * (int64_t)edge);
}

static inline void write_edge(const struct task* t, long edge, int turn, int side, const void* from)
{
    long area = edge_area(edge);
    long at = t->worker * area + (turn * 2 + side) * edge;
    faasmWriteStateOffset("edges", length_of((int64_t)area * t->workers), at, BYTES_CONST(from), edge);
}

/* The edge of another worker; `bytes` of it. */
static inline void read_edge(const struct task* t, long edge, int turn, int worker, int side, void* to,
                             long bytes)
{
    long area = edge_area(edge);
    long at = worker * area + (turn * 2 + side) * edge;
    faasmReadStateOffset("edges", length_of((int64_t)area * t->workers), at, BYTES(to), bytes);
}

static inline void push_edges(const struct task* t)
{
    if (t->workers > 1) {
        faasmPushState("edges");
    }
}

static inline void pull_edges(const struct task* t, long edge)
{
    if (t->workers > 1) {
        faasmPullState("edges", length_of((int64_t)edge_area(edge) * t->workers));
    }
}

/* ---------------------------------------------------------------- fan-out */

/* No more workers than there are parts, and than ids. */
static inline int workers_of(int argc, char** argv, long most)
{
    long workers = argument(argc, argv, 3, 1);
    most = most < MOST_WORKERS ? most : MOST_WORKERS;
    return (int)(workers < 1 ? 1 : workers > most ? most : workers);
}

static inline struct task input_task(void)
{
    struct task t;
    faasmGetInput(BYTES(&t), sizeof t);
    return t;
}

/* A call for each worker, where its slab is; what they return together. */
static inline struct outcome fan_out(int entry, struct task t, int64_t slab)
{
    static unsigned int ids[MOST_WORKERS];
    struct outcome all = { 0, 0 };
    for (t.worker = 0; t.worker < t.workers; t.worker++) {
        ids[t.worker] = mobulaChainAt("slabs", slab * t.worker, entry, BYTES_CONST(&t), sizeof t);
    }
    for (int k = 0; k < t.workers; k++) {
        struct outcome one = { 0, 0 };
        if (faasmAwaitCallOutput(ids[k], BYTES(&one), sizeof one) != 0) {
            fprintf(stderr, "worker %d failed\n", k);
            exit(1);
        }
        all.sum += one.sum;
        all.most = one.most > all.most ? one.most : all.most;
    }
    return all;
}

static inline void make_slabs(const struct task* t, int64_t slab)
{
    mobulaStateCreate("slabs", length_of(slab * t->workers));
}

#endif
