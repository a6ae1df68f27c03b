/* The graph of pagerank for native programs: graph.bin (bench/data/README.md) as n copies of it.
 *
 * Edge e of the real graph, from u to v, becomes n edges: into copy c of v from copy (c + shift(e)) mod n
 * of u. For every other edge the shift is 0, else a fixed pseudo-random number below n. So each vertex
 * keeps the number of its edges in and out, and half of the edges cross; n = 1 is the real graph. */
#ifndef BENCH_GRAPH_H
#define BENCH_GRAPH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The file. */
struct graph {
    uint32_t vertices, edges;
    uint32_t *starts, *sources, *out;
};

static inline struct graph graph_read(void)
{
    struct graph g;
    char path[4096], magic[8];
    uint32_t sizes[2];
    const char* data = getenv("BENCH_DATA");
    snprintf(path, sizeof path, "%s/graph.bin", data != NULL ? data : ".");
    FILE* file = fopen(path, "rb");
    if (file == NULL || fread(magic, 8, 1, file) != 1 || memcmp(magic, "MOBGRAPH", 8) != 0 ||
        fread(sizes, 4, 2, file) != 2) {
        fprintf(stderr, "%s: no graph (BENCH_DATA is its directory)\n", path);
        exit(2);
    }
    size_t numbers = 2 * (size_t)sizes[0] + 1 + sizes[1];
    uint32_t* all = malloc(4 * numbers);
    if (all == NULL || fread(all, 4, numbers, file) != numbers || fgetc(file) != EOF) {
        fprintf(stderr, "%s: not as long as it says\n", path);
        exit(2);
    }
    fclose(file);
    g.vertices = sizes[0];
    g.edges = sizes[1];
    g.starts = all;
    g.sources = g.starts + g.vertices + 1;
    g.out = g.sources + g.edges;
    for (uint32_t e = 0; e < g.edges; e++) {
        if (g.sources[e] >= g.vertices) {
            fprintf(stderr, "%s: an edge from %u\n", path, (unsigned)g.sources[e]);
            exit(2);
        }
    }
    return g;
}

static inline uint32_t shift(uint32_t edge, uint32_t n)
{
    uint32_t hash = edge * 2654435761u;
    hash = (hash ^ hash >> 16) * 2246822507u;
    hash ^= hash >> 13;
    return hash & 1 ? (uint32_t)((uint64_t)(hash >> 1) * n >> 31) : 0;
}

/* Edges into the vertices of n copies that come before vertex i. */
static inline uint64_t edges_before(const struct graph* g, uint64_t i)
{
    return i / g->vertices * g->edges + g->starts[i % g->vertices];
}

/* Memory of whole huge pages, not touched: it is where who writes it first is. */
static inline void* pages(size_t bytes)
{
    size_t huge = (size_t)2 << 20;
    void* memory = aligned_alloc(huge, (bytes + huge) / huge * huge);
    if (memory == NULL) {
        fprintf(stderr, "no memory for %zu bytes\n", bytes);
        exit(2);
    }
    madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

#endif
