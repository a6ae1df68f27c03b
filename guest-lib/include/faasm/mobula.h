/* What Mobula adds to Faasm's functions: parallel loops, placement, merging, windows given back.
 * Included by core.h. */
#ifndef FAASM_MOBULA_H
#define FAASM_MOBULA_H

#include <stdint.h>

#include "faasm/host_interface.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Element types and operations of merges; the numbers of mobula_guest::abi. */
enum { MOBULA_I32 = 0, MOBULA_I64 = 1, MOBULA_F32 = 2, MOBULA_F64 = 3 };
enum { MOBULA_SUM = 0, MOBULA_MIN = 1, MOBULA_MAX = 2 };

/* A parallel loop: calls entry idx for sub-ranges that together cover lo..hi once, each of at least
 * grain indices but the last, and as many as the runtime sees fit. One id for the whole; awaiting it
 * gives 0, or the first result that is not 0. Every call has the same input and no output. */
static inline unsigned int mobulaChainRange(int idx, int64_t lo, int64_t hi, int64_t grain,
                                            const uint8_t* input, long len)
{
    return __mobula_chain_range(idx, lo, hi, grain, input, len);
}

/* The sub-range of this call: indices from *lo to below *hi. Returns 1, or 0 (and an empty range)
 * when this call was not started by mobulaChainRange. */
static inline int mobulaGetRange(int64_t* lo, int64_t* hi)
{
    return __mobula_get_range(lo, hi);
}

/* As faasmChainThisInput, placed where the byte at this offset of the value is at home. */
static inline unsigned int mobulaChainAt(const char* key, int64_t offset, int idx,
                                         const uint8_t* input, long len)
{
    return __mobula_chain_at(key, offset, idx, input, len);
}

/* Waits until one of n calls has ended and returns its id, which is then awaited without waiting.
 * Ids that are 0 are passed over: put 0 in place of those that were awaited. */
static inline unsigned int mobulaAwaitAny(const unsigned int* ids, long n)
{
    return __mobula_await_any(ids, n);
}

/* Makes a value of len zeros; does nothing when it is there with this length. */
static inline void mobulaStateCreate(const char* key, long len)
{
    __mobula_state_create(key, len);
}

/* Removes a value. Refused while a call, this one included, has a window on it. */
static inline void mobulaStateDelete(const char* key)
{
    __mobula_state_delete(key);
}

/* Gives the address space of a window back. Every pointer into this window is void from here on. */
static inline void mobulaUnmap(void* window)
{
    __mobula_unmap(window);
}

/* Combines len bytes of elements with those at this offset of the value, each atomically: reductions
 * from private buffers, without locks, from any number of calls at once. */
static inline void mobulaMergeState(const char* key, long totalLen, long offset, const void* data,
                                    long len, int type, int op)
{
    __mobula_merge_state(key, totalLen, offset, (const uint8_t*)data, len, type, op);
}

/* Pushes by combining instead of overwriting: with MOBULA_SUM, home gains what this host's copy has
 * gained since it was pulled or pushed; with MOBULA_MIN and MOBULA_MAX it keeps the smaller or larger
 * of both. Calls on one host share one copy, and on the host where the value is at home that copy is
 * home itself: there they combine by atomics or mobulaMergeState. */
static inline void mobulaPushMerge(const char* key, int type, int op)
{
    __mobula_push_merge(key, type, op);
}

#ifdef __cplusplus
}
#endif

#endif
