/* apsp: what guest and peer share. Shortest paths between all pairs of n points, blocked Floyd-Warshall over
 * blocks of BLOCK x BLOCK distances of 32 bits. For each block k of the diagonal:
 *
 *   1. close (k, k): Floyd-Warshall within the block
 *   2. relax (k, j) by (k, k) from the left, (i, k) by (k, k) from the right      2 (blocks - 1) tasks
 *   3. relax (i, j) by (i, k) and (k, j)                                          (blocks - 1)² tasks
 *
 * relax is c = min(c, a + b) as a matrix product. It may be done in place where c is a or b, because (k, k)
 * is closed and a distance that is already better is still one of a path.
 *
 * Two graphs with known answers. A ring with edges of 1 in both directions: min(|i - j|, n - |i - j|). And
 * one with pseudo-random edges, about DEGREE from each point, beside a ring in one direction, so that all
 * can be reached; there all distances from some points are compared with Dijkstra's.
 */
#ifndef BENCH_APSP_H
#define BENCH_APSP_H

#include <stdint.h>
#include <string.h>

#include "samples.h"

enum { BLOCK = 64, CELLS = BLOCK * BLOCK, DEGREE = 8, SOURCES = 4, WARM_UP = 2 };

/* No path; twice as far still fits. */
#define FAR (INT32_C(1) << 29)

/* Vectors as wide as the machine's. */
#if defined(__wasm__)
#include <wasm_simd128.h>
enum { LANES = 4 };
#define SMALLER(x, y) ((vec)wasm_i32x4_min((v128_t)(x), (v128_t)(y)))
#elif defined(__AVX512F__)
#include <immintrin.h>
enum { LANES = 16 };
#define SMALLER(x, y) ((vec)_mm512_min_epi32((__m512i)(x), (__m512i)(y)))
#elif defined(__AVX2__)
#include <immintrin.h>
enum { LANES = 8 };
#define SMALLER(x, y) ((vec)_mm256_min_epi32((__m256i)(x), (__m256i)(y)))
#else
enum { LANES = 4 };
#define SMALLER(x, y) smaller(x, y)
#endif

typedef int32_t vec __attribute__((vector_size(4 * LANES), may_alias));

#if !defined(__wasm__) && !defined(__AVX2__)
static inline vec smaller(vec x, vec y)
{
    vec less = x < y;
    return (x & less) | (y & ~less);
}
#endif

/* c = min(c, a + b) for two rows of c and STRIP vectors of them, which stay in registers. */
enum { STRIP = 4 };

static inline void two_rows(int32_t* c, const int32_t* a, const int32_t* b)
{
    vec* upper = (vec*)c;
    vec* lower = (vec*)(c + BLOCK);
    vec u0 = upper[0], u1 = upper[1], u2 = upper[2], u3 = upper[3];
    vec l0 = lower[0], l1 = lower[1], l2 = lower[2], l3 = lower[3];
    for (const int32_t* end = a + BLOCK; a != end; a++, b += BLOCK) {
        const vec* row = (const vec*)b;
        const vec none = { 0 };
        vec x = none + a[0], y = none + a[BLOCK];
        u0 = SMALLER(u0, x + row[0]);
        l0 = SMALLER(l0, y + row[0]);
        u1 = SMALLER(u1, x + row[1]);
        l1 = SMALLER(l1, y + row[1]);
        u2 = SMALLER(u2, x + row[2]);
        l2 = SMALLER(l2, y + row[2]);
        u3 = SMALLER(u3, x + row[3]);
        l3 = SMALLER(l3, y + row[3]);
    }
    upper[0] = u0;
    upper[1] = u1;
    upper[2] = u2;
    upper[3] = u3;
    lower[0] = l0;
    lower[1] = l1;
    lower[2] = l2;
    lower[3] = l3;
}

static inline void relax(int32_t* c, const int32_t* a, const int32_t* b)
{
    for (long i = 0; i < BLOCK; i += 2) {
        for (long j = 0; j < BLOCK; j += STRIP * LANES) {
            two_rows(c + i * BLOCK + j, a + i * BLOCK, b + j);
        }
    }
}

static inline void close_block(int32_t* c)
{
    for (long k = 0; k < BLOCK; k++) {
        const vec* by = (const vec*)(c + k * BLOCK);
        vec* row = (vec*)c;
        for (long i = 0; i < BLOCK; i++, row += BLOCK / LANES) {
            const vec none = { 0 };
            vec x = none + c[i * BLOCK + k];
            for (long j = 0; j < BLOCK / LANES; j++) {
                row[j] = SMALLER(row[j], x + by[j]);
            }
        }
    }
}

/* ---------------------------------------------------------------- the graphs */

enum graph { RING, RANDOM };

/* A number that looks random, the same everywhere (the finaliser of SplitMix64). */
static inline uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Length of the edge from i to j; FAR if there is none. */
static inline int32_t edge(int graph, long n, long i, long j)
{
    if (i == j) {
        return 0;
    }
    long ahead = j > i ? j - i : j - i + n;
    if (graph == RING) {
        return ahead == 1 || ahead == n - 1 ? 1 : FAR;
    }
    uint64_t x = mix((uint64_t)i * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)j);
    if (ahead == 1 || x % (uint64_t)n < DEGREE) {
        return 1 + (int32_t)((x >> 40) % 100);
    }
    return FAR;
}

/* A block of a graph; points beyond n have no edges. */
static inline void fill_block(int32_t* c, int graph, long n, long row, long column)
{
    for (long i = row * BLOCK; i < (row + 1) * BLOCK; i++) {
        for (long j = column * BLOCK; j < (column + 1) * BLOCK; j++) {
            *c++ = i < n && j < n ? edge(graph, n, i, j) : i == j ? 0 : FAR;
        }
    }
}

/* Dijkstra's distances from a point, with nothing but edge(). */
static inline void dijkstra(int graph, long n, long from, int32_t* distance)
{
    char* done = calloc((size_t)n, 1);
    for (long i = 0; i < n; i++) {
        distance[i] = i == from ? 0 : FAR;
    }
    for (long round = 0; round < n; round++) {
        long next = -1;
        for (long i = 0; i < n; i++) {
            next = !done[i] && (next < 0 || distance[i] < distance[next]) ? i : next;
        }
        done[next] = 1;
        for (long j = 0; j < n; j++) {
            int32_t way = distance[next] + edge(graph, n, next, j);
            distance[j] = way < distance[j] ? way : distance[j];
        }
    }
    free(done);
}

/* Where a program keeps the distance from i to j. */
typedef int32_t distances(long i, long j);

/* The ring's in closed form, the other graph's from some points by Dijkstra. */
static inline long wrong_distances(int graph, long n, distances* found)
{
    long wrong = 0;
    if (graph == RING) {
        for (long i = 0; i < n; i++) {
            for (long j = 0; j < n; j++) {
                long way = i > j ? i - j : j - i;
                wrong += found(i, j) != (way < n - way ? way : n - way);
            }
        }
    } else {
        int32_t* distance = malloc(sizeof(int32_t) * (size_t)n);
        for (long s = 0; s < SOURCES; s++) {
            long from = n * s / SOURCES;
            dijkstra(graph, n, from, distance);
            for (long j = 0; j < n; j++) {
                wrong += found(from, j) != distance[j];
            }
        }
        free(distance);
    }
    if (wrong != 0) {
        fprintf(stderr, "apsp: %ld distances of the %s are wrong\n", wrong,
                graph == RING ? "ring" : "random graph");
    }
    return wrong;
}

static inline double sum_of_distances(long n, distances* found)
{
    double sum = 0;
    for (long i = 0; i < n; i++) {
        for (long j = 0; j < n; j++) {
            sum += found(i, j);
        }
    }
    return sum;
}

#endif
