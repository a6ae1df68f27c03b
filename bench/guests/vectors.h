/* Vectors of the width that WebAssembly has, and loops in the shape in which they stay fast.
 *
 * What compiles a module to machine code neither unrolls nor rewrites address arithmetic, so a loop has to
 * come to it as it shall run: a pointer for each stream, which moves once a step, and constant distances from
 * it, which cost nothing. clang likes to make one index of all pointers; then every access needs an addition
 * of its own, as many again as loads. MOVES hides from it what a pointer has to do with the others. No
 * distance may be negative: those need an addition, too.
 */
#ifndef BENCH_VECTORS_H
#define BENCH_VECTORS_H

typedef double v2 __attribute__((vector_size(16), aligned(8), may_alias));

#define MOVES(pointer) __asm__("" : "+r"(pointer))

static inline v2 at(const double* p, long k)
{
    return *(const v2*)(p + k);
}

static inline void put(double* p, long k, v2 v)
{
    *(v2*)(p + k) = v;
}

#endif
