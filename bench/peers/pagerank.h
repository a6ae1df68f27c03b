/* PageRank by pulling over compressed rows, for native programs.
 *
 * What a vertex gives to each vertex that it leads to is what is stored: rank / edges out. A vertex that leads
 * nowhere gives its rank to all alike; nobody reads what it "gives", so its place has its rank. */
#ifndef BENCH_PAGERANK_H
#define BENCH_PAGERANK_H

#include "graph.h"

#include "../guests/samples.h"

#define DAMPING 0.85
#define WARM_UP 2

/* Rows of the vertices from lo to below hi: the edges into vertex lo + k end at ends[k]. */
struct rows {
    uint64_t lo, hi;
    uint32_t *ends, *sources, *out;
};

/* Fills the rows of vertices lo to below hi; edge 0 is the first into vertex first. */
static void fill(const struct graph* g, uint32_t n, struct rows rows, uint64_t first, uint64_t lo, uint64_t hi)
{
    uint32_t at = (uint32_t)(edges_before(g, lo) - edges_before(g, first));
    for (uint64_t i = lo; i < hi; i++) {
        uint32_t copy = (uint32_t)(i / g->vertices), v = (uint32_t)(i % g->vertices);
        for (uint32_t e = g->starts[v]; e < g->starts[v + 1]; e++) {
            rows.sources[at++] = (copy + shift(e, n)) % n * g->vertices + g->sources[e];
        }
        rows.ends[i - first] = at;
        rows.out[i - first] = g->out[v];
    }
}

/* Ranks to begin with: a slope that adds up to 1, so that copies differ and a wrong neighbour shows. */
static inline double begin(uint64_t i, uint64_t all)
{
    return 2.0 * (double)(i + 1) / ((double)all * (double)(all + 1));
}

static inline double given(double rank, uint32_t out)
{
    return rank / (out == 0 ? 1.0 : (double)out);
}

/* What vertex i has, times a weight of its own. */
static inline double weighted(double gives, uint32_t out, uint64_t i, double* sum)
{
    double rank = gives * (out == 0 ? 1.0 : (double)out);
    *sum += rank;
    return rank * (1.0 + (double)(i % 1021) / 1021.0);
}

/* One step for some rows, whose first edge is `at`; returns the ranks of those that lead nowhere. */
static double advance(const double* restrict before, double* restrict after, const uint32_t* restrict ends,
                      const uint32_t* restrict sources, const uint32_t* restrict out, uint64_t count,
                      uint32_t at, double base)
{
    double lost = 0;
    for (uint64_t k = 0; k < count; k++) {
        double sum = 0;
        for (uint32_t end = ends[k]; at != end; at++) {
            sum += before[sources[at]];
        }
        double rank = base + DAMPING * sum;
        lost += out[k] == 0 ? rank : 0;
        after[k] = given(rank, out[k]);
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
