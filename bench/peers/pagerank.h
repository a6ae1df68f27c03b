/* PageRank by pulling over compressed rows, for native programs.
 *
 * What a vertex gives to each vertex that it leads to is what is stored: rank * share, where share is 1 /
 * edges out. A vertex that leads nowhere gives its rank to all alike; nobody reads what it "gives", so
 * its share is 1 and its place has its rank. Such vertices are listed. */
#ifndef BENCH_PAGERANK_H
#define BENCH_PAGERANK_H

#include "graph.h"

#include "../guests/samples.h"

#define DAMPING 0.85
#define WARM_UP 2

/* Rows of consecutive vertices: the edges into the k-th end at ends[k]. */
struct rows {
    uint32_t *ends, *sources;
    double* shares;
};

/* Fills the rows of vertices lo to below hi; row 0 is of vertex first. Lists those that lead nowhere, as
 * numbers of rows, and returns how many they are. */
static uint64_t fill(const struct graph* g, uint32_t n, struct rows rows, uint32_t* dangling,
                     uint64_t first, uint64_t lo, uint64_t hi)
{
    uint32_t at = (uint32_t)(edges_before(g, lo) - edges_before(g, first));
    uint64_t lonely = 0;
    for (uint64_t i = lo; i < hi; i++) {
        uint32_t copy = (uint32_t)(i / g->vertices), v = (uint32_t)(i % g->vertices);
        for (uint32_t e = g->starts[v]; e < g->starts[v + 1]; e++) {
            rows.sources[at++] = (copy + shift(e, n)) % n * g->vertices + g->sources[e];
        }
        rows.ends[i - first] = at;
        rows.shares[i - first] = 1.0 / (g->out[v] == 0 ? 1.0 : (double)g->out[v]);
        if (g->out[v] == 0) {
            dangling[lonely++] = (uint32_t)(i - first);
        }
    }
    return lonely;
}

/* Ranks to begin with: a slope that adds up to 1, so that copies differ and a wrong neighbour shows. */
static inline double begin(uint64_t i, uint64_t all)
{
    return 2.0 * (double)(i + 1) / ((double)all * (double)(all + 1));
}

/* What vertex i has, times a weight of its own. */
static inline double weighted(double gives, double share, uint64_t i, double* sum)
{
    double rank = gives / share;
    *sum += rank;
    return rank * (1.0 + (double)(i % 1021) / 1021.0);
}

/* One step for some rows, whose first edge is `at`. */
static void advance(const double* restrict before, double* restrict after, const uint32_t* restrict ends,
                    const uint32_t* restrict sources, const double* restrict shares, uint64_t count,
                    uint32_t at, double base)
{
    for (uint64_t k = 0; k < count; k++) {
        double sum = 0;
        for (uint32_t end = ends[k]; at != end; at++) {
            sum += before[sources[at]];
        }
        after[k] = (base + DAMPING * sum) * shares[k];
    }
}

/* Ranks of the vertices that lead nowhere. */
static double lost_of(const double* gives, const uint32_t* dangling, uint64_t count)
{
    double lost = 0;
    for (uint64_t k = 0; k < count; k++) {
        lost += gives[dangling[k]];
    }
    return lost;
}

/* What each vertex gets whatever leads to it. */
static inline double base_of(double lost, uint64_t all)
{
    return (1 - DAMPING + DAMPING * lost) / (double)all;
}

/* Whether all ranks add up to 1; the weighted sum of them is printed. */
static int verdict(double sum, double check)
{
    printf("check %.17g\n", check);
    if (!(sum > 1 - 1e-9 && sum < 1 + 1e-9)) {
        fprintf(stderr, "pagerank: ranks add up to %.17g\n", sum);
        return 1;
    }
    return 0;
}

#endif
