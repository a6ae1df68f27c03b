/* spmv's peer with OpenMP threads: spmv_openmp N REPETITIONS. Multiplications with the matrix of spmv.h; ms
 * each. Each thread has rows of its own, written by it first. */
#include "graph.h"

#include "../guests/spmv.h"

#include <omp.h>

int main(int argc, char** argv)
{
    struct cube c = cube_of(argument(argc, argv, 1, 64));
    long steps = argument(argc, argv, 2, 20), half_way = (steps + WARM_UP) / 2;
    int threads = omp_get_max_threads();
    uint32_t *ends[threads], *columns[threads];
    double *values[threads], *x[2] = { pages(8 * (size_t)c.all), pages(8 * (size_t)c.all) };
    double squares = 0, half = 0, with_zeroth = 0;

#pragma omp parallel for schedule(static)
    for (int p = 0; p < threads; p++) {
        int64_t lo = c.all * p / threads, hi = c.all * (p + 1) / threads, count = nonzeros(&c, lo, hi);
        ends[p] = pages(4 * (size_t)(hi - lo));
        columns[p] = pages(4 * (size_t)count);
        values[p] = pages(8 * (size_t)count);
        fill(&c, lo, hi, ends[p], columns[p], values[p]);
        for (int64_t i = lo; i < hi; i++) {
            x[0][i] = begin(i);
            x[1][i] = 0;
        }
    }
    for (long step = 1; step <= steps + WARM_UP; step++) {
        double start = now(), square = 0;
        const double* from = x[(step - 1) % 2];
        double* to = x[step % 2];
#pragma omp parallel for schedule(static) reduction(+ : square)
        for (int p = 0; p < threads; p++) {
            int64_t lo = c.all * p / threads, hi = c.all * (p + 1) / threads;
            square += multiply(from, to + lo, ends[p], columns[p], values[p], hi - lo);
        }
        if (step > WARM_UP) {
            sample("iteration", "ms", (now() - start) * 1e3);
        }
        squares += square;
        half = step == half_way ? square : half;
    }
    with_zeroth = with_first(x[0], 0, c.all);
    return verdict(&c, squares, half, with_zeroth);
}
