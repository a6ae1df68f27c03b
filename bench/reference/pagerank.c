/* What `expected` of pagerank comes from: pagerank GRAPH.BIN N STEPS (warm-up included). Another method
 * than guests and peers: ranks are handed out over a list of edges, in an order of its own, in long
 * double.
 *
 * cc -O2 -o pagerank bench/reference/pagerank.c && ./pagerank target/data/wordnet/graph.bin 1 22
 *
 * It also computes PageRank of the real graph alone, from the sums over copies: n copies are a covering
 * of it, so the ranks of a vertex's copies add up to what it has there. Both must agree. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct edge {
    uint32_t from, to;
};

/* `steps` steps from `rank` on. */
static void power(const struct edge* edges, uint64_t m, const uint32_t* out, uint64_t all,
                  long double* rank, int steps)
{
    long double* next = malloc(all * sizeof *next);
    for (int step = 0; step < steps; step++) {
        long double lost = 0;
        for (uint64_t i = 0; i < all; i++) {
            next[i] = 0;
            lost += out[i] == 0 ? rank[i] : 0;
        }
        for (uint64_t e = m; e-- > 0;) {
            next[edges[e].to] += rank[edges[e].from] / out[edges[e].from];
        }
        for (uint64_t i = 0; i < all; i++) {
            rank[i] = (0.15L + 0.85L * lost) / all + 0.85L * next[i];
        }
    }
    free(next);
}

int main(int argc, char** argv)
{
    uint32_t head[4];
    FILE* file = argc == 4 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL || fread(head, 4, 4, file) != 4 || memcmp(head, "MOBGRAPH", 8) != 0) {
        fprintf(stderr, "pagerank GRAPH.BIN N STEPS\n");
        return 2;
    }
    uint64_t v = head[2], e = head[3], n = strtoull(argv[2], NULL, 10), all = v * n;
    int steps = atoi(argv[3]);
    uint32_t* file_has = malloc(4 * (2 * v + 1 + e));
    if (fread(file_has, 4, 2 * v + 1 + e, file) != 2 * v + 1 + e) {
        fprintf(stderr, "the graph is shorter than it says\n");
        return 2;
    }
    uint32_t *starts = file_has, *sources = starts + v + 1, *out = malloc(4 * all);
    struct edge *real = malloc(e * sizeof *real), *edges = malloc(e * n * sizeof *edges);
    long double *folded = calloc(v, sizeof *folded), *rank = malloc(all * sizeof *rank);
    for (uint64_t to = 0; to < v; to++) {
        for (uint32_t k = starts[to]; k < starts[to + 1]; k++) {
            uint64_t hash = k * UINT64_C(2654435761) % (UINT64_C(1) << 32);
            hash = (hash ^ hash >> 16) * 2246822507u % (UINT64_C(1) << 32);
            hash ^= hash >> 13;
            uint64_t shift = hash % 2 == 1 ? hash / 2 * n / (UINT64_C(1) << 31) : 0;
            real[k] = (struct edge) { sources[k], (uint32_t)to };
            for (uint64_t c = 0; c < n; c++) {
                edges[k * n + c] =
                    (struct edge) { (uint32_t)((c + shift) % n * v + sources[k]), (uint32_t)(c * v + to) };
            }
        }
    }
    memset(out, 0, 4 * all);
    for (uint64_t k = 0; k < e * n; k++) {
        out[edges[k].from]++;
    }
    for (uint64_t i = 0; i < all; i++) {
        rank[i] = 2.0L * (i + 1) / ((long double)all * (all + 1));
        folded[i % v] += rank[i];
    }
    power(edges, e * n, out, all, rank, steps);
    power(real, e, out, v, folded, steps);
    long double check = 0, sum = 0, worst = 0;
    for (uint64_t i = 0; i < all; i++) {
        check += rank[i] * (1 + (i % 1021) / 1021.0L);
        sum += rank[i];
        folded[i % v] -= rank[i];
    }
    for (uint64_t i = 0; i < v; i++) {
        worst = fmaxl(worst, fabsl(folded[i]));
    }
    printf("expected %.17Lg   (ranks add up to %.17Lg; farthest from the real graph's %.2Lg)\n", check, sum,
           worst);
    return fabsl(sum - 1) < 1e-14L && worst < 1e-15L ? 0 : 1;
}
