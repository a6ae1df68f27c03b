// HOGWILD stochastic gradient descent for logistic regression: the algorithm, and the layout of
// the data. The guest (sgd.cpp, in the sandbox) and the native peer (bench/peers/sgd_openmp.cpp)
// include this file word for word, so that a comparison of the two compares nothing else.
//
//   file / state value     0                64 KiB           64 KiB + 128 * rows
//                          |- Header, zeros -|- Row 0 - Row 1 - ... -|
//
// Everything is little-endian. 512 rows are one chunk of state (64 KiB), so that ranges of whole
// chunks make windows that share no page. The writer is bench/src/data/layout.rs.
//
// What is minimised, over the training rows i:
//
//   mean_i log(1 + exp(-y_i x_i.w)) + lambda / 2 |w|^2      (y = 1 for late, -1 for in time)
//
// HOGWILD: all workers read and write one array of weights, without locks. On few features, of
// which some occur in every row, workers that write each row's step there spend their time on
// moving cache lines: measured, two threads were half as fast as one. So a worker takes its steps
// on a copy and adds what changed to the shared array every `stretch` rows, lock-free as before:
// an addition that meets another one on the same line at the same instant may get lost, which
// the algorithm bears like all noise. Vectors may be torn between lanes, never within one.
#pragma once

#ifdef __FAST_MATH__
#error "no -ffast-math: exp_nonpositive() rounds by adding a large number, which it would remove"
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sgd {

constexpr int kDense = 16;
constexpr int kSparse = 31;
constexpr uint32_t kMaxFeatures = 16384;
constexpr uint32_t kRowBytes = 128;
constexpr uint32_t kGroup = 8; // rows whose margins come from the same weights; see step()
constexpr uint32_t kDataOffset = 64 * 1024;
constexpr uint32_t kRowsPerChunk = 64 * 1024 / kRowBytes;

// Cranelift runs the loads of a straight piece of code first and the sums last, so that an
// unrolled loop of sums over a row's weights spills them all. Native compilers unroll it; g++ must
// be told to (-funroll-loops, a quarter faster in the peer).
#ifdef __wasm__
#define SGD_SUM_LOOP _Pragma("clang loop unroll(disable)")
#else
#define SGD_SUM_LOOP
#endif

// The widest vectors of the target; wasm has four lanes.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Vec __attribute__((vector_size(4 * kLanes)));

struct Header {
    char magic[8];          // "MOBSGD01"
    uint32_t rows;
    uint32_t features;      // weights; a multiple of 16
    uint32_t dense;         // kDense
    uint32_t sparse;        // kSparse
    uint32_t rowBytes;      // kRowBytes
    uint32_t dataOffset;    // kDataOffset
    uint32_t positives;     // rows with label 1
};

struct Row {
    float dense[kDense];    // standardised numbers; dense[j] belongs to weight j; dense[0] is 1
    uint16_t slot[kSparse]; // byte offsets of weights whose features are 1 in this row
    uint16_t label;         // 1: more than 15 minutes late
};
static_assert(sizeof(Row) == kRowBytes, "a row is two cache lines");

// Returns what is wrong with a header, or nullptr.
inline const char* headerError(const Header& h, uint64_t bytes)
{
    if (std::memcmp(h.magic, "MOBSGD01", 8) != 0) return "not a data set of layout MOBSGD01";
    if (h.dense != kDense || h.sparse != kSparse || h.rowBytes != kRowBytes ||
        h.dataOffset != kDataOffset)
        return "rows of another shape";
    if (h.features == 0 || h.features % 16 != 0 || h.features > kMaxFeatures)
        return "bad feature count";
    if (bytes != kDataOffset + uint64_t(h.rows) * kRowBytes) return "size does not fit the rows";
    return nullptr;
}

// ---- weights -------------------------------------------------------------------------------

inline float weight(const float* w, uint16_t slot)
{
    return *reinterpret_cast<const float*>(reinterpret_cast<const char*>(w) + slot);
}

inline float* weightAt(float* w, uint16_t slot)
{
    return reinterpret_cast<float*>(reinterpret_cast<char*>(w) + slot);
}

inline Vec load(const float* p)
{
    Vec v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }

inline Vec broadcast(float f) { return f - Vec{}; }

// c + a * b and c - a * b, in one instruction where the machine has it. Native compilers contract
// the plain form; for wasm it must be asked for (relaxed: fused or not, as the host can).
inline Vec multiplyAdd(Vec a, Vec b, Vec c)
{
#ifdef __wasm_relaxed_simd__
    return __builtin_wasm_relaxed_madd_f32x4(a, b, c);
#else
    return c + a * b;
#endif
}

inline Vec negMultiplyAdd(Vec a, Vec b, Vec c)
{
#ifdef __wasm_relaxed_simd__
    return __builtin_wasm_relaxed_nmadd_f32x4(a, b, c);
#else
    return c - a * b;
#endif
}

// The product of a row's dense part and the first weights.
inline float dot(const float* x, const float* w)
{
    Vec v = load(x) * load(w);
    for (int j = kLanes; j < kDense; j += kLanes) v = multiplyAdd(load(x + j), load(w + j), v);
    typedef float Vec4 __attribute__((vector_size(16)));
    Vec4 part[kLanes / 4], sum = {};
    std::memcpy(part, &v, sizeof v);
    for (int i = 0; i < kLanes / 4; i++) sum += part[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// Keeps compilers from expressing one row's addresses by another's: with a row's own address
// every slot is a load at a constant offset, which is shorter code, in wasm above all.
inline const Row* opaque(const Row* p)
{
    __asm__("" : "+r"(p));
    return p;
}

// ---- elementary functions, the same on every machine ----------------------------------------

// e^x for x <= 0; relative error below 1.2e-7. Below -87 it stays at e^-87. Cephes' polynomial.
inline float exp_nonpositive(float x)
{
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer in the low bits
    x = x < -87.0f ? -87.0f : x;
    float shifted = x * 1.44269504f + magic;
    float n = shifted - magic;
    float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    uint32_t bits, exponent;
    std::memcpy(&exponent, &shifted, 4);
    std::memcpy(&bits, &p, 4);
    bits += exponent << 23;
    std::memcpy(&p, &bits, 4);
    return p;
}

// log(1 + e) for 0 <= e <= 1, as 2 artanh(e / (2 + e)); relative error below 3e-8.
inline double log1p_unit(float e)
{
    double s = double(e) / (2.0 + double(e));
    double q = s * s;
    double p = 1.0 / 13;
    p = p * q + 1.0 / 11;
    p = p * q + 1.0 / 9;
    p = p * q + 1.0 / 7;
    p = p * q + 1.0 / 5;
    p = p * q + 1.0 / 3;
    return 2.0 * s * (p * q + 1.0);
}

// 1 / (1 + e^-m)
inline float sigmoid(float m)
{
    float e = exp_nonpositive(m < 0 ? m : -m);
    return (m < 0 ? e : 1.0f) / (1.0f + e);
}

// ---- training --------------------------------------------------------------------------------

inline float margin(const Row& row, const float* w)
{
    static_assert(kSparse % 6 == 1, "one weight, then six at a time");
    const uint16_t* slot = row.slot;
    float a = weight(w, slot[0]), b = 0, c = 0;
    SGD_SUM_LOOP
    for (int k = 1; k < kSparse; k += 6) {
        a += weight(w, slot[k]) + weight(w, slot[k + 1]);
        b += weight(w, slot[k + 2]) + weight(w, slot[k + 3]);
        c += weight(w, slot[k + 4]) + weight(w, slot[k + 5]);
    }
    return dot(row.dense, w) + (a + b + c);
}

// A worker's own copy of the weights, and the shared ones as it last saw them.
struct Worker {
    alignas(64) float own[kMaxFeatures];
    alignas(64) float seen[kMaxFeatures];
};

// Starts a worker from the shared weights.
inline void begin(Worker& me, const float* shared, uint32_t features)
{
    for (uint32_t j = 0; j < features; j += kLanes) {
        const Vec v = load(shared + j);
        store(me.own + j, v);
        store(me.seen + j, v);
    }
}

// Adds what this worker changed to the shared weights and takes over what others changed. The
// ridge of the rows since the last exchange is applied here, to all weights at once. The barrier
// is for compilers: others write the array too, so that what was loaded before is not known now.
inline void share(Worker& me, float* shared, uint32_t features, float keep)
{
    __asm__ volatile("" ::: "memory");
    for (uint32_t j = 0; j < features; j += kLanes) {
        const Vec all = load(shared + j) + (load(me.own + j) * keep - load(me.seen + j));
        store(shared + j, all);
        store(me.own + j, all);
        store(me.seen + j, all);
    }
}

// Steps for N rows whose margins are taken from the same weights. Small groups let a processor
// work on several rows at once, where single steps would each wait for the one before.
template <uint32_t N>
void step(const Row* rows, float* w, float eta)
{
    float g[N];
    for (uint32_t i = 0; i < N; i++) g[i] = margin(*opaque(rows + i), w);
    for (uint32_t i = 0; i < N; i++) g[i] = eta * (sigmoid(g[i]) - float(rows[i].label));
    for (int j = 0; j < kDense; j += kLanes) {
        Vec v = load(w + j);
        for (uint32_t i = 0; i < N; i++)
            v = negMultiplyAdd(load(rows[i].dense + j), broadcast(g[i]), v);
        store(w + j, v);
    }
    for (uint32_t i = 0; i < N; i++) {
        const Row* row = opaque(rows + i);
        for (int k = 0; k < kSparse; k++) *weightAt(w, row->slot[k]) -= g[i];
    }
}

// One pass over rows, one step per row, shared with the others after every `stretch` rows.
inline void train(const Row* rows, uint32_t n, float* shared, uint32_t features, Worker& me,
                  float eta, float lambda, uint32_t stretch)
{
    begin(me, shared, features);
    for (uint32_t r = 0; r < n;) {
        const uint32_t first = r, end = n - r < stretch ? n : r + stretch;
        for (; r + kGroup <= end; r += kGroup) step<kGroup>(rows + r, me.own, eta);
        for (; r < end; r++) step<1>(rows + r, me.own, eta);
        share(me, shared, features, 1.0f - eta * lambda * float(end - first));
    }
}

// Step of an epoch: falls linearly from lr to lr / epochs, so that the noise of the last
// epochs is small and the weights end close to the optimum.
inline float stepOf(int epoch, int epochs, float lr)
{
    return lr * float(epochs - epoch) / float(epochs);
}

// Ranges of rows that start at whole chunks, as even as that allows. A small set makes fewer.
struct Range {
    uint32_t lo, hi;
};

inline uint32_t chunksOf(uint32_t rows) { return (rows + kRowsPerChunk - 1) / kRowsPerChunk; }

inline int rangeCount(uint32_t rows, int wanted)
{
    const uint32_t chunks = chunksOf(rows);
    return chunks < uint32_t(wanted) ? int(chunks) : wanted;
}

inline Range rangeOf(uint32_t rows, int wanted, int b)
{
    const uint64_t chunks = chunksOf(rows), n = uint64_t(rangeCount(rows, wanted));
    const uint64_t lo = chunks * uint64_t(b) / n, hi = chunks * uint64_t(b + 1) / n;
    const uint64_t end = hi * kRowsPerChunk;
    return { uint32_t(lo * kRowsPerChunk), uint32_t(end < rows ? end : rows) };
}

// ---- evaluation ------------------------------------------------------------------------------

struct Totals {
    double loss = 0;        // sum of log losses, without the ridge
    uint64_t correct = 0;   // rows whose label is the more probable one
};

inline Totals sum(const Totals* parts, size_t n)
{
    Totals t;
    for (size_t i = 0; i < n; i++) {
        t.loss += parts[i].loss;
        t.correct += parts[i].correct;
    }
    return t;
}

// Half the ridge's sum of squares: what lambda multiplies.
inline double ridge(const float* w, uint32_t features)
{
    double s = 0;
    for (uint32_t j = 0; j < features; j++) s += double(w[j]) * double(w[j]);
    return s / 2;
}

// Adds up rows; keeps the margins when scores is given.
inline Totals evaluate(const Row* rows, size_t n, const float* w, float* scores)
{
    Totals t;
    for (size_t r = 0; r < n; r++) {
        const Row& row = rows[r];
        const float m = margin(row, w);
        const bool late = row.label != 0;
        const float against = late ? -m : m;
        const float e = exp_nonpositive(m < 0 ? m : -m);
        t.loss += log1p_unit(e) + double(against > 0 ? against : 0);
        t.correct += (m > 0) == late;
        if (scores) scores[r] = m;
    }
    return t;
}

// A score as an unsigned number of the same order, with the label in the lowest bit of 33:
// ties are found by comparing all but that bit.
inline uint64_t rankKey(float score, bool late)
{
    uint32_t bits;
    if (score == 0) score = 0; // -0 and 0 tie
    std::memcpy(&bits, &score, 4);
    bits ^= (bits >> 31) ? 0xffffffffu : 0x80000000u;
    return uint64_t(bits) << 1 | uint64_t(late);
}

// Area under the ROC curve, exact, ties counted half: the Mann-Whitney statistic over a radix
// sort. keys and scratch hold n elements each.
inline double auc(uint64_t* keys, uint64_t* scratch, size_t n)
{
    for (int shift = 0; shift < 33; shift += 11) {
        size_t start[2049] = { 0 };
        for (size_t i = 0; i < n; i++) start[(keys[i] >> shift & 2047) + 1]++;
        for (int b = 0; b < 2048; b++) start[b + 1] += start[b];
        for (size_t i = 0; i < n; i++) scratch[start[keys[i] >> shift & 2047]++] = keys[i];
        uint64_t* swap = keys;
        keys = scratch;
        scratch = swap;
    }
    uint64_t late = 0, onTime = 0, twice = 0; // pairs in the right order, counted twice
    for (size_t i = 0; i < n;) {
        uint64_t tiedLate = 0, tiedOnTime = 0;
        for (uint64_t score = keys[i] >> 1; i < n && keys[i] >> 1 == score; i++)
            (keys[i] & 1 ? tiedLate : tiedOnTime)++;
        twice += tiedLate * (2 * onTime + tiedOnTime);
        late += tiedLate;
        onTime += tiedOnTime;
    }
    return late && onTime ? double(twice) / (2.0 * double(late) * double(onTime)) : 0.5;
}

} // namespace sgd
