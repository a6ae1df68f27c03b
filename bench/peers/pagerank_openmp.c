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
    struct rows rows = { 0, all, pages(4 * all), pages(4 * edges), pages(4 * all) };
    double *before = pages(8 * all), *after = pages(8 * all), lost = 0, sum = 0, check = 0;
    uint64_t threads = (uint64_t)omp_get_max_threads();

#pragma omp parallel for schedule(static) reduction(+ : lost)
    for (uint64_t p = 0; p < threads; p++) {
        uint64_t lo = all * p / threads, hi = all * (p + 1) / threads;
        fill(&g, n, rows, 0, lo, hi);
        for (uint64_t i = lo; i < hi; i++) {
            lost += rows.out[i] == 0 ? begin(i, all) : 0;
            before[i] = given(begin(i, all), rows.out[i]);
            after[i] = 0;
        }
    }
    for (long step = -WARM_UP; step < steps; step++) {
        double start = now(), base = base_of(lost, all);
        lost = 0;
#pragma omp parallel for schedule(static) reduction(+ : lost)
        for (uint64_t p = 0; p < threads; p++) {
            uint64_t lo = all * p / threads, hi = all * (p + 1) / threads;
            lost += advance(before, after + lo, rows.ends + lo, rows.sources, rows.out + lo, hi - lo,
                            lo == 0 ? 0 : rows.ends[lo - 1], base);
        }
        double* swap = before;
        before = after;
        after = swap;
        if (step >= 0) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
    }
    for (uint64_t i = 0; i < all; i++) {
        check += weighted(before[i], rows.out[i], i, &sum);
    }
    return verdict(sum, check);
}
