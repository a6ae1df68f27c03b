/* Peer of reduce: reduce_openmp N REPETITIONS WORKERS. A vector for each thread, and each thread adds its
 * share of the elements of all vectors to the total. */
#define _GNU_SOURCE
#include <omp.h>

#include "../guests/reduce.h"
#include "huge.h"

/* Elements that stay in the cache while the vectors are added. */
enum { PIECE = 1024 };

static void add(double* __restrict total, const double* __restrict vectors, long length, long count)
{
    const double* x = vectors;
    for (long w = 0; w < count; w++, x += length) {
        for (long i = 0; i < PIECE; i++) {
            total[i] += x[i];
        }
    }
}

static void add_some(double* total, const double* vectors, long length, long count, long some)
{
    for (long i = 0; i < some; i++) {
        for (long w = 0; w < count; w++) {
            total[i] += vectors[w * length + i];
        }
    }
}

int main(int argc, char** argv)
{
    long n = argument(argc, argv, 1, 1 << 20);
    long repetitions = argument(argc, argv, 2, 10);
    long threads = omp_get_max_threads(), length = length_of(n, threads);
    if (length < 2) {
        return 2;
    }
    double* vectors = huge_alloc(sizeof(double) * (size_t)(length * threads));
    double* total = huge_alloc(sizeof(double) * (size_t)length);
    double start = 0;
#pragma omp parallel
    {
        long me = omp_get_thread_num();
        long pieces = length / PIECE, lo = pieces * me / threads * PIECE;
        long hi = pieces * (me + 1) / threads * PIECE;
        long rest = me + 1 == threads ? length - hi : 0;
        for (long i = lo; i < hi + rest; i++) {
            total[i] = 0;
        }
        for (long r = -WARM_UP; r < repetitions; r++) {
#pragma omp barrier
#pragma omp master
            start = now();
            if (r == -WARM_UP) {
                fill(vectors + length * me, length, me, threads);
            } else {
                grow(vectors + length * me, length);
            }
#pragma omp barrier
            for (long i = lo; i < hi; i += PIECE) {
                add(total + i, vectors + i, length, threads);
            }
            add_some(total + hi, vectors + hi, length, threads, rest);
#pragma omp barrier
#pragma omp master
            if (r >= 0) {
                sample("iteration", "ms", (now() - start) * 1e3);
            }
        }
    }
    double mean = mean_of(total, length, threads, repetitions + WARM_UP);
    printf("check %.17g\n", mean);
    return isnan(mean);
}
