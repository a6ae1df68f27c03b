/* Small helpers for state: masks for faasmPushStatePartialMask, zeroing, single integers. */
#ifndef FAASM_STATE_H
#define FAASM_STATE_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "faasm/checked.h"

#define BIT_MASK_8 0b11111111
#define BIT_MASK_32 0b11111111111111111111111111111111

namespace faasm {

/* Marks the double at this index in a mask: a value as long as the masked one, of which each byte
 * that is set lets the byte at the same place be pushed. */
inline void maskDouble(unsigned int* maskArray, unsigned long idx)
{
    static_assert(sizeof(double) == 2 * sizeof(unsigned int), "a double is two mask words");
    maskArray[2 * idx] = BIT_MASK_32;
    maskArray[2 * idx + 1] = BIT_MASK_32;
}

/* Makes the value stateLen zero bytes and pushes it. */
inline void zeroState(const char* key, size_t stateLen)
{
    const long len = stateBytes("zeroState", key, static_cast<int64_t>(stateLen), 1);
    const std::vector<uint8_t> zeros(stateLen > 0 ? stateLen : 1, 0);
    faasmWriteState(key, zeros.data(), len);
    faasmPushState(key);
}

/* One integer as a whole value of 4 bytes. No lock, no atomics: counter.h has those. */
inline void writeIntState(const char* key, int val)
{
    const int32_t value = val;
    faasmWriteState(key, BYTES_CONST(&value), sizeof value);
}

inline int readIntState(const char* key)
{
    int32_t value = 0;
    expectStateSize("readIntState", key, sizeof value);
    faasmReadState(key, BYTES(&value), sizeof value);
    return value;
}

} // namespace faasm

#endif
