// Lloyd's k-means on the flights: what guest and peers share.
//
// A point is a row's 15 numbers behind the constant 1, one cache line of float32, so that a cluster's sum of
// points has their number in its first column. A step finds for each point the centre c with the least
// |c|^2 / 2 - x.c, in float32, vectorised over the centres, and adds the point to that cluster's sum: in
// float32 within a block of 1024 points, then in float64. Blocks are the same whatever the division into
// parts; the last bits of their sum are not.
#pragma once

#include "../../guest-lib/examples/sgd/sgd_core.h"

#include <cmath>

#ifdef __AVX__
#include <immintrin.h>
#endif
#ifdef __wasm__
#include <wasm_simd128.h>
#endif

namespace kmeans {

constexpr int kClusters = 8, kColumns = 16;
constexpr int64_t kBlock = 1024;            // points: 64 KiB, a chunk of state
constexpr int64_t kBlockBytes = 64 * 1024;

struct alignas(64) Point {
    float x[kColumns];                      // x[0] is 1
};

// Of each cluster the sum of its points; their number is in the first column.
struct Sums {
    double of[kClusters][kColumns];
};

// Centres as a step reads them, a lane for each: |c|^2 / 2, then the coordinates, negative.
struct alignas(64) Table {
    float of[kColumns][kClusters];
};

inline int64_t blocksOf(int64_t points) { return (points + kBlock - 1) / kBlock; }

inline int64_t pointsIn(int64_t block, int64_t points)
{
    const int64_t left = points - block * kBlock;
    return left < kBlock ? left : kBlock;
}

// ---- a step ----------------------------------------------------------------------------------

inline void add(float* sum, const Point& point)
{
    __asm__("" : "+r"(sum)); // one address, so that each vector is at a constant offset from it
    for (int j = 0; j < kColumns; j += sgd::kLanes)
        sgd::store(sum + j, sgd::load(sum + j) + sgd::load(point.x + j));
}

#if defined(__wasm__)

// Scores of points of which the columns before are in `scores`: four columns more. Registers do not hold the
// whole table, and Cranelift unrolls nothing and reads all that a piece of code needs before it computes: so
// these four columns of the table stay in registers, and scores, in the first cache, come and go.
struct Columns {
    v128_t low[4], high[4];

    explicit Columns(const float* c)
    {
        for (int k = 0; k < 4; k++) {
            low[k] = wasm_v128_load(c + k * kClusters);
            high[k] = wasm_v128_load(c + k * kClusters + 4);
        }
    }

    // From FIRST on: what the first column adds is the same for all points, whose first number is 1.
    template <int FIRST>
    void add(const float* x, v128_t* l, v128_t* h) const
    {
        const v128_t some = wasm_v128_load(x);
        const v128_t each[4] = {
            wasm_i32x4_shuffle(some, some, 0, 0, 0, 0), wasm_i32x4_shuffle(some, some, 1, 1, 1, 1),
            wasm_i32x4_shuffle(some, some, 2, 2, 2, 2), wasm_i32x4_shuffle(some, some, 3, 3, 3, 3)
        };
        for (int k = FIRST; k < 4; k++) {
            *l = wasm_f32x4_relaxed_madd(each[k], low[k], *l);
            *h = wasm_f32x4_relaxed_madd(each[k], high[k], *h);
        }
    }
};

inline int least(v128_t low, v128_t high)
{
    v128_t m = wasm_f32x4_relaxed_min(low, high);
    m = wasm_f32x4_relaxed_min(m, wasm_i32x4_shuffle(m, m, 2, 3, 0, 1));
    m = wasm_f32x4_relaxed_min(m, wasm_i32x4_shuffle(m, m, 1, 0, 3, 2));
    const uint32_t same = uint32_t(wasm_i32x4_bitmask(wasm_f32x4_eq(low, m))) |
                          uint32_t(wasm_i32x4_bitmask(wasm_f32x4_eq(high, m))) << 4;
    return __builtin_ctz(same | 1u << (kClusters - 1));
}

// Adds points to the sums of their clusters. Neighbours go to different sums, so that one need not wait for
// the other when they are in the same cluster.
inline void addPoints(const Table& table, const Point* points, int n, float sums[][kClusters][kColumns])
{
    // Only the first columns wait for memory: so few points that the processor has fetched the next ones when
    // it gets there.
    constexpr int kSome = 64;
    alignas(64) static float scores[kSome][kClusters];
    for (; n > 0; n -= kSome, points += kSome) {
        const int some = n < kSome ? n : kSome;
        float* const end = scores[some];
        {
            const Columns columns(table.of[0]);
            const float* x = points->x;
#pragma clang loop unroll_count(4)
            for (float* s = scores[0]; s != end; s += kClusters, x += kColumns) {
                v128_t low = columns.low[0], high = columns.high[0];
                columns.add<1>(x, &low, &high);
                wasm_v128_store(s, low);
                wasm_v128_store(s + 4, high);
            }
        }
        for (int j = 4; j < kColumns - 4; j += 4) {
            const Columns columns(table.of[j]);
            const float* x = points->x + j;
#pragma clang loop unroll_count(4)
            for (float* s = scores[0]; s != end; s += kClusters, x += kColumns) {
                v128_t low = wasm_v128_load(s), high = wasm_v128_load(s + 4);
                columns.add<0>(x, &low, &high);
                wasm_v128_store(s, low);
                wasm_v128_store(s + 4, high);
            }
        }
        const Columns columns(table.of[kColumns - 4]);
        const Point* p = points;
        float* s = scores[0];
        char* sum = reinterpret_cast<char*>(sums);
#pragma clang loop unroll_count(4)
        for (uint32_t which = 0; s != end; s += kClusters, p++, which ^= sizeof sums[0]) {
            v128_t low = wasm_v128_load(s), high = wasm_v128_load(s + 4);
            columns.add<0>(p->x + kColumns - 4, &low, &high);
            const uint32_t at = uint32_t(least(low, high)) * sizeof sums[0][0] + which;
            add(reinterpret_cast<float*>(sum + at), *p);
        }
    }
}

#else

#if defined(__AVX__)
typedef __m256 Scores[1];
#else
typedef float Scores[kClusters];
#endif

// Of each of N points all scores.
template <int N>
inline void scoresOf(const Table& table, const Point* points, Scores* scores)
{
#if defined(__AVX__)
    __m256 s[N];
    for (int i = 0; i < N; i++) s[i] = _mm256_load_ps(table.of[0]);
#pragma GCC unroll 16
    for (int j = 1; j < kColumns; j++) {
        const __m256 c = _mm256_load_ps(table.of[j]);
        for (int i = 0; i < N; i++) s[i] += _mm256_set1_ps(points[i].x[j]) * c;
    }
    for (int i = 0; i < N; i++) scores[i][0] = s[i];
#else
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < kClusters; k++) scores[i][k] = table.of[0][k];
        for (int j = 1; j < kColumns; j++)
            for (int k = 0; k < kClusters; k++) scores[i][k] += points[i].x[j] * table.of[j][k];
    }
#endif
}

// The first of the least scores.
inline int least(const Scores& s)
{
#if defined(__AVX__)
    __m256 m = _mm256_min_ps(s[0], _mm256_permute2f128_ps(s[0], s[0], 1));
    m = _mm256_min_ps(m, _mm256_permute_ps(m, 0x4e));
    m = _mm256_min_ps(m, _mm256_permute_ps(m, 0xb1));
    const int same = _mm256_movemask_ps(_mm256_cmp_ps(s[0], m, _CMP_EQ_OQ));
    return __builtin_ctz(unsigned(same) | 1u << (kClusters - 1));
#else
    int k = 0;
    for (int i = 1; i < kClusters; i++) k = s[i] < s[k] ? i : k;
    return k;
#endif
}

// Adds points to the sums of their clusters. Neighbours go to different sums, so that one need not wait for
// the other when they are in the same cluster.
inline void addPoints(const Table& table, const Point* p, int n, float sums[][kClusters][kColumns])
{
    constexpr int kTogether = 4;
    Scores scores[kTogether];
    int i = 0;
    for (; i + kTogether <= n; i += kTogether, p += kTogether) {
        scoresOf<kTogether>(table, p, scores);
        for (int t = 0; t < kTogether; t++) add(sums[t & 1][least(scores[t])], p[t]);
    }
    for (; i < n; i++, p++) {
        scoresOf<1>(table, p, scores);
        add(sums[i & 1][least(scores[0])], *p);
    }
}

#endif

// Adds the points of one block.
inline void addBlock(const Table& table, const Point* points, int64_t n, Sums* sums)
{
    alignas(64) float part[2][kClusters][kColumns] = {};
    addPoints(table, points, int(n), part);
    for (int k = 0; k < kClusters; k++)
        for (int j = 0; j < kColumns; j++) sums->of[k][j] += double(part[0][k][j]) + part[1][k][j];
}

// ---- between steps ---------------------------------------------------------------------------

// The points from `lo` to below `hi`: the rows in turn, from the first one again behind the last.
inline void fill(Point* points, const sgd::Row* rows, int64_t n)
{
    for (int64_t i = 0; i < n; i++) std::memcpy(points[i].x, rows[i].dense, sizeof points[i].x);
}

struct Centres {
    double of[kClusters][kColumns]; // the first column is not used
};

// Row of the k-th of the first centres: equally far from each other.
inline int64_t firstCentre(int k, int64_t points, int64_t rows)
{
    return (points < rows ? points : rows) / kClusters * k;
}

inline void setCentre(Centres* centres, int k, const sgd::Row& row)
{
    for (int j = 0; j < kColumns; j++) centres->of[k][j] = double(row.dense[j]);
}

inline Table tableOf(const Centres& centres)
{
    Table table;
    for (int k = 0; k < kClusters; k++) {
        double square = 0;
        for (int j = 1; j < kColumns; j++) {
            const double c = centres.of[k][j];
            square += c * c;
            table.of[j][k] = float(-c);
        }
        table.of[0][k] = float(square / 2);
    }
    return table;
}

// Moves centres to the means; a cluster without points keeps its. Returns how many points were counted.
inline double move(Centres* centres, const Sums& sums)
{
    double points = 0;
    for (int k = 0; k < kClusters; k++) {
        const double count = sums.of[k][0];
        points += count;
        for (int j = 1; j < kColumns && count > 0; j++) centres->of[k][j] = sums.of[k][j] / count;
    }
    return points;
}

inline void add(Sums* all, const Sums& part)
{
    for (int k = 0; k < kClusters; k++)
        for (int j = 0; j < kColumns; j++) all->of[k][j] += part.of[k][j];
}

// What all engines must agree on.
inline double checkOf(const Centres& centres)
{
    double sum = 0;
    for (int k = 0; k < kClusters; k++)
        for (int j = 1; j < kColumns; j++) sum += std::fabs(centres.of[k][j]);
    return sum;
}

} // namespace kmeans
