/* Peer of apsp: apsp_openmp N REPETITIONS WORKERS. The same blocks, in parallel loops within one region. */
#define _GNU_SOURCE
#include <omp.h>

#include "../guests/apsp.h"
#include "huge.h"

static int32_t* cells;
static long blocks;

static int32_t* block(long row, long column)
{
    return cells + (row * blocks + column) * CELLS;
}

static int32_t found(long i, long j)
{
    return block(i / BLOCK, j / BLOCK)[i % BLOCK * BLOCK + j % BLOCK];
}

static double iteration(int graph, long n)
{
#pragma omp parallel for schedule(static)
    for (long i = 0; i < blocks; i++) {
        for (long j = 0; j < blocks; j++) {
            fill_block(block(i, j), graph, n, i, j);
        }
    }
    double start = now();
#pragma omp parallel
    for (long k = 0; k < blocks; k++) {
#pragma omp single
        close_block(block(k, k));
#pragma omp for schedule(static)
        for (long x = 0; x < 2 * blocks; x++) {
            long i = x / 2;
            if (i != k && x % 2 == 0) {
                relax(block(k, i), block(k, k), block(k, i));
            } else if (i != k) {
                relax(block(i, k), block(i, k), block(k, k));
            }
        }
#pragma omp for collapse(2) schedule(static)
        for (long i = 0; i < blocks; i++) {
            for (long j = 0; j < blocks; j++) {
                if (i != k && j != k) {
                    relax(block(i, j), block(i, k), block(k, j));
                }
            }
        }
    }
    return now() - start;
}

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 512);
    long repetitions = argument(argc, argv, 2, 5);
    blocks = (n + BLOCK - 1) / BLOCK;
    cells = huge_alloc(sizeof(int32_t) * CELLS * (size_t)(blocks * blocks));
    for (long r = -WARM_UP; r < repetitions; r++) {
        int graph = r == -WARM_UP ? RING : RANDOM;
        double took = iteration(graph, n);
        if (r >= 0) {
            sample("iteration", "ms", took * 1e3);
        }
        if ((graph == RING || r + 1 == repetitions) && wrong_distances(graph, n, found) != 0) {
            return 1;
        }
    }
    printf("check %.17g\n", sum_of_distances(n, found));
    return 0;
}
