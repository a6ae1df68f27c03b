/* Random numbers, the same from the same seed on every machine, in wasm and natively.
 *
 * The generator is seeded from the system at its first use in a call, so that calls differ.
 * seedRandom() seeds it by hand. A proto-function that uses it leaves it seeded in the snapshot,
 * and then every call starts with the same numbers: seed again in the call.
 */
#ifndef FAASM_RANDOM_H
#define FAASM_RANDOM_H

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>

namespace faasm {

inline std::mt19937& randomGenerator()
{
#if defined(__wasm__)
    static std::mt19937 generator(std::random_device{}());
#else
    static thread_local std::mt19937 generator(std::random_device{}());
#endif
    return generator;
}

inline void seedRandom(unsigned int seed)
{
    randomGenerator().seed(seed);
}

/* Uniform below n, which is not 0. Not std::uniform_int_distribution: libraries differ in it. */
inline uint32_t randomBelow(uint32_t n)
{
    std::mt19937& generator = randomGenerator();
    const uint32_t unfair = (UINT32_MAX % n + 1) % n;
    uint32_t value;
    do {
        value = static_cast<uint32_t>(generator());
    } while (value > UINT32_MAX - unfair);
    return value % n;
}

/* Uniform from iStart to iEnd, both included; iStart when iEnd is not larger. */
inline int randomInteger(int iStart, int iEnd)
{
    if (iEnd <= iStart) {
        return iStart;
    }
    const uint32_t span = static_cast<uint32_t>(iEnd) - static_cast<uint32_t>(iStart);
    const uint32_t step = span == UINT32_MAX ? static_cast<uint32_t>(randomGenerator()())
                                             : randomBelow(span + 1);
    return static_cast<int>(static_cast<uint32_t>(iStart) + step);
}

/* Uniform from 0 to below 1. */
inline float randomFloat()
{
    return static_cast<float>(randomGenerator()() >> 8) * (1.0f / 16777216.0f);
}

inline double randomDouble()
{
    const uint64_t high = randomGenerator()() >> 5;
    const uint64_t low = randomGenerator()() >> 6;
    return static_cast<double>((high << 26) | low) * (1.0 / 9007199254740992.0);
}

inline void shuffleArray(int* arrayIn, size_t arrayLen)
{
    for (size_t left = arrayLen; left > 1; left--) {
        std::swap(arrayIn[left - 1], arrayIn[randomBelow(static_cast<uint32_t>(left))]);
    }
}

/* 0 .. rangeLen - 1 in random order. The caller frees it with delete[]. */
inline int* randomIntRange(int rangeLen)
{
    const size_t len = rangeLen > 0 ? static_cast<size_t>(rangeLen) : 0;
    int* range = new int[len > 0 ? len : 1]();
    for (size_t i = 0; i < len; i++) {
        range[i] = static_cast<int>(i);
    }
    shuffleArray(range, len);
    return range;
}

/* Digits but 0, and letters. */
inline std::string randomString(int len)
{
    const char characters[] = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::string text;
    for (int i = 0; i < len; i++) {
        text += characters[randomBelow(sizeof characters - 1)];
    }
    return text;
}

} // namespace faasm

#endif
