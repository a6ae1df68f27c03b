/* pagerank's peer with OpenMP threads: pagerank_openmp N STEPS. PageRank of N copies of the graph in
 * BENCH_DATA; ms a step. Each thread has rows of its own, written by it first. */
#include "pagerank.h"

#include <omp.h>

int main(int argc, char** argv)
{
    uint32_t n = (uint32_t)argument(argc, argv, 1, 1);
    long steps = argument(argc, argv, 2, 20);
    struct graph g = graph_read();
    uint64_t all = (uint64_t)g.vertices * n, edges = (uint64_t)g.edges * n;
    struct rows rows = { pages(4 * all), pages(4 * edges), pages(8 * all) };
    double *before = pages(8 * all), *after = pages(8 * all), lost = 0, sum = 0, check = 0;
    uint64_t threads = (uint64_t)omp_get_max_threads(), lonely[threads];
    uint32_t* dangling = pages(4 * all);

#pragma omp parallel for schedule(static) reduction(+ : lost)
    for (uint64_t p = 0; p < threads; p++) {
        uint64_t lo = all * p / threads, hi = all * (p + 1) / threads;
        lonely[p] = fill(&g, n, rows, dangling + lo, 0, lo, hi);
        for (uint64_t i = lo; i < hi; i++) {
            before[i] = begin(i, all) * rows.shares[i];
            after[i] = 0;
        }
        lost += lost_of(before, dangling + lo, lonely[p]);
    }
    for (long step = -WARM_UP; step < steps; step++) {
        double start = now(), base = base_of(lost, all);
        lost = 0;
#pragma omp parallel for schedule(static) reduction(+ : lost)
        for (uint64_t p = 0; p < threads; p++) {
            uint64_t lo = all * p / threads, hi = all * (p + 1) / threads;
            advance(before, after + lo, rows.ends + lo, rows.sources, rows.shares + lo, hi - lo,
                    lo == 0 ? 0 : rows.ends[lo - 1], base);
            lost += lost_of(after, dangling + lo, lonely[p]);
        }
        double* swap = before;
        before = after;
        after = swap;
        if (step >= 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
    }
    for (uint64_t i = 0; i < all; i++) {
        check += weighted(before[i], rows.shares[i], i, &sum);
    }
    return verdict(sum, check);
}
