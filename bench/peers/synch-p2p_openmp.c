/* Peer of synch-p2p: synch-p2p_openmp N REPETITIONS WORKERS. As the kernel of PRK with OpenMP: a strip of
 * columns for each thread, and a counter for each, in a line of the cache of its own, that says how many rows
 * it has done; its right neighbour waits for that. One array, row by row, first touched strip by strip. */
#define _GNU_SOURCE
#include <omp.h>
#include <stdatomic.h>

#include "../guests/synch-p2p.h"
#include "huge.h"

/* Rows that are handed over at once. */
enum { GROUP = 16, MOST_THREADS = 1024 };

static struct {
    _Alignas(64) atomic_long rows;
} done[MOST_THREADS];

static void strip(double* a, long n, long lo, long hi, long thread, long base)
{
    double edge[GROUP + 1];
    for (long row = 1; row < n; row += GROUP) {
        long rows = n - row < GROUP ? n - row : GROUP;
        while (thread > 0
               && atomic_load_explicit(&done[thread - 1].rows, memory_order_acquire) < base + row + rows) {
            __builtin_ia32_pause();
        }
        for (long r = 0; r <= rows; r++) {
            edge[r] = a[(row - 1 + r) * n + lo - 1];
        }
        sweep(a + row * n + lo, n, hi - lo, rows, edge);
        atomic_store_explicit(&done[thread].rows, base + row + rows, memory_order_release);
    }
}

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 1024);
    long repetitions = argument(argc, argv, 2, 10);
    if (n < 2) {
        return 2;
    }
    double* a = huge_alloc(sizeof(double) * (size_t)n * (size_t)n);
    int wrong = 0;
    double start = 0;
#pragma omp parallel
    {
        long thread = omp_get_thread_num(), threads = omp_get_num_threads();
        long lo = strip_start(n, thread, threads), hi = strip_start(n, thread + 1, threads);
        for (long i = 0; i < n; i++) {
            for (long j = thread == 0 ? 0 : lo; j < hi; j++) {
                a[i * n + j] = i == 0 ? (double)j : j == 0 ? (double)i : 0;
            }
        }
#pragma omp barrier
        for (long r = -WARM_UP; r < repetitions; r++) {
#pragma omp master
            start = now();
            strip(a, n, lo, hi, thread, (r + WARM_UP) * n);
#pragma omp barrier
#pragma omp master
            {
                if (r >= 0) {
                    sample("iteration", "ms", (now() - start) * 1e3);
                }
                wrong |= !right(a[n * n - 1], n, r + WARM_UP + 1);
                a[0] = -a[n * n - 1];
            }
        }
    }
    printf("check %.17g\n", a[n * n - 1]);
    return wrong;
}
