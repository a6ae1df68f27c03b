/* What `expected` of spmv comes from: spmv N STEPS (warm-up included). Without a matrix: the operator on
 * the cube itself, point by point, in long double. Only x_0 knows that points have numbers.
 *
 * cc -O2 -o spmv bench/reference/spmv.c && ./spmv 24 22 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static long double first(uint64_t point, uint64_t all)
{
    int bits = 1;
    while (UINT64_C(1) << bits < all) {
        bits++;
    }
    uint64_t below = UINT64_C(1) << bits, at = point;
    do {
        at = at * 0x9e3779b97f4a7c15 % below;
        at ^= at >> (bits + 1) / 2;
        at = at * 0xd1342543de82ef95 % below;
        at ^= at >> (bits + 1) / 2;
    } while (at >= all);
    uint32_t hash = (uint32_t)(at * 2654435761u);
    hash = (hash ^ hash >> 16) * 2246822507u;
    return 0.5L + (hash >> 1) / 2147483648.0L;
}

int main(int argc, char** argv)
{
    const int64_t n = argc == 3 ? atoll(argv[1]) : 0, all = n * n * n;
    const int steps = argc == 3 ? atoi(argv[2]) : 0;
    long double *x = malloc((size_t)all * sizeof *x + 1), *y = malloc((size_t)all * sizeof *y + 1);
    long double squares = 0;
    for (int64_t q = 0; q < all; q++) {
        x[q] = first((uint64_t)q, (uint64_t)all);
    }
    for (int step = 0; step < steps; step++) {
        for (int64_t i = 0, q = 0; i < n; i++) {
            for (int64_t j = 0; j < n; j++) {
                for (int64_t k = 0; k < n; k++, q++) {
                    long double around = 0;
                    around += i > 0 ? x[q - n * n] : 0;
                    around += i + 1 < n ? x[q + n * n] : 0;
                    around += j > 0 ? x[q - n] : 0;
                    around += j + 1 < n ? x[q + n] : 0;
                    around += k > 0 ? x[q - 1] : 0;
                    around += k + 1 < n ? x[q + 1] : 0;
                    y[q] = (6.5L * x[q] - around) / 12.5L;
                    squares += y[q] * y[q];
                }
            }
        }
        long double* swap = x;
        x = y;
        y = swap;
    }
    printf("expected %.17Lg\n", squares / (long double)all);
    return 0;
}
