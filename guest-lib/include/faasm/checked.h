/* Windows on state as arrays of T, with every number checked before it is used, and the way in
 * which the C++ helpers refuse: one line on stderr that names the function, the key and the
 * numbers, then a trap. Sizes are computed in 64 bits; `long` has 32 in wasm32 and 64 natively.
 */
#ifndef FAASM_CHECKED_H
#define FAASM_CHECKED_H

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <type_traits>

#include "faasm/core.h"

namespace faasm {

[[noreturn]] __attribute__((format(printf, 3, 4))) inline void refuse(const char* function,
                                                                      const char* key,
                                                                      const char* format, ...)
{
    va_list values;
    va_start(values, format);
    std::fprintf(stderr, "faasm::%s, key \"%s\": ", function, key);
    std::vfprintf(stderr, format, values);
    std::fprintf(stderr, "\n");
    va_end(values);
    std::abort();
}

/* The bytes of count elements of this size; refused when a length cannot say it. */
inline long stateBytes(const char* function, const char* key, int64_t count, int64_t size)
{
    const int64_t most = std::numeric_limits<long>::max();
    if (count < 0 || count > most / size) {
        refuse(function, key, "%lld elements of %lld bytes: a value has 0 to %lld bytes",
               static_cast<long long>(count), static_cast<long long>(size),
               static_cast<long long>(most));
    }
    return static_cast<long>(count * size);
}

/* rows * cols, both not negative. */
inline int64_t stateCells(const char* function, const char* key, int64_t rows, int64_t cols)
{
    const int64_t most = std::numeric_limits<int64_t>::max();
    if (rows < 0 || cols < 0 || (cols > 0 && rows > most / cols)) {
        refuse(function, key, "%lld rows and %lld columns make no matrix",
               static_cast<long long>(rows), static_cast<long long>(cols));
    }
    return rows * cols;
}

/* A value that is there has to have this length already; one that is not gets it now. */
inline void expectStateSize(const char* function, const char* key, long bytes)
{
    const size_t have = faasmReadStateSize(key);
    if (have != 0 && have != static_cast<size_t>(bytes)) {
        refuse(function, key, "the value has %zu bytes and %ld are asked for", have, bytes);
    }
}

/* The part first .. first + count of a value of `total` elements, as a window: the shared bytes. */
template<typename T>
T* stateWindow(const char* function, const char* key, int64_t total, int64_t first, int64_t count)
{
    static_assert(std::is_trivially_copyable<T>::value, "state holds plain bytes");
    static T nothing[1];
    const long bytes = stateBytes(function, key, total, sizeof(T));
    if (first < 0 || count < 0 || first > total || count > total - first) {
        refuse(function, key, "%lld elements from element %lld on, of %lld",
               static_cast<long long>(count), static_cast<long long>(first),
               static_cast<long long>(total));
    }
    expectStateSize(function, key, bytes);
    if (count == 0) {
        return nothing;
    }
    const long size = static_cast<long>(sizeof(T));
    uint8_t* at = count == total
                    ? faasmReadStatePtr(key, bytes)
                    : faasmReadStateOffsetPtr(key, bytes, static_cast<long>(first) * size,
                                              static_cast<long>(count) * size);
    return reinterpret_cast<T*>(at);
}

template<typename T>
T* stateWindow(const char* function, const char* key, int64_t total)
{
    return stateWindow<T>(function, key, total, 0, total);
}

} // namespace faasm

#endif
