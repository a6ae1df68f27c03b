/* What a function in C or C++ can ask of Mobula. Source-compatible with Faasm.
 *
 * Sizes and offsets are bytes. A call that is refused traps this call, with a message that names the
 * function, the key and the numbers; no other call is hurt. Entries are in entry.h.
 */
#ifndef FAASM_CORE_H
#define FAASM_CORE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "faasm/entry.h"
#include "faasm/host_interface.h"

#ifdef __cplusplus
#define BYTES(arr) reinterpret_cast<uint8_t*>(arr)
#define BYTES_CONST(arr) reinterpret_cast<const uint8_t*>(arr)
extern "C" {
#else
#define BYTES(arr) ((uint8_t*)(arr))
#define BYTES_CONST(arr) ((const uint8_t*)(arr))
#endif

/* ---------------------------------------------------------------- input, output, identity */

/* Bytes of input; 0 when there is none. */
static inline long faasmGetInputSize(void)
{
    return __faasm_read_input((uint8_t*)0, 0);
}

/* Copies at most len bytes of the input. */
static inline void faasmGetInput(uint8_t* buffer, long len)
{
    if (len > 0) {
        __faasm_read_input(buffer, len);
    }
}

/* Replaces the output that the caller gets; any bytes, NUL included. */
static inline void faasmSetOutput(const void* data, long len)
{
    __faasm_write_output((const uint8_t*)data, len);
}

/* Index of the entry that runs. */
static inline int faasmGetCurrentIdx(void)
{
    return __faasm_get_idx();
}

/* 1 when the flag is on for this run (mobula run --conf KEY=1), else 0. */
static inline unsigned int getConfFlag(const char* key)
{
    return __faasm_get_conf_flag(key);
}

/* ---------------------------------------------------------------- chaining */

/* Starts another function of the same user and returns its id at once. */
static inline unsigned int faasmChainFunctionInput(const char* name, const uint8_t* input, long len)
{
    return __faasm_chain_function(name, input, len);
}

static inline unsigned int faasmChainFunction(const char* name)
{
    return __faasm_chain_function(name, (const uint8_t*)0, 0);
}

/* The same under its later name. */
static inline unsigned int faasmChainNamed(const char* name, const uint8_t* input, long len)
{
    return __faasm_chain_function(name, input, len);
}

/* Starts entry idx of this module: the same code in a fresh memory. */
static inline unsigned int faasmChainThisInput(int idx, const uint8_t* input, long len)
{
    return __faasm_chain_this(idx, input, len);
}

static inline unsigned int faasmChainThis(int idx)
{
    return __faasm_chain_this(idx, (const uint8_t*)0, 0);
}

/* An entry given by its address. It needs no FAASM_FUNC; stdio is written out at its end. */
typedef int (*FaasmFuncPtr)(void);

static inline unsigned int faasmChain(FaasmFuncPtr function, const uint8_t* input, long len)
{
    return __faasm_chain_ptr(function, input, len);
}

/* Waits for a call that this call chained; what its entry returned, or a negative number when it
 * failed (the reason is on stderr). An id can be awaited once. */
static inline unsigned int faasmAwaitCall(unsigned int id)
{
    return (unsigned int)__faasm_await_call(id);
}

/* The same, and copies at most len bytes of its output. */
static inline unsigned int faasmAwaitCallOutput(unsigned int id, uint8_t* buffer, long len)
{
    return (unsigned int)__faasm_await_call_output(id, buffer, len);
}

/* Starts n calls with the same text as input and awaits them all: 0, or 1 when one failed. */
static inline unsigned int faasmChainBatch(FaasmFuncPtr function, const char* input, int n)
{
    unsigned int* ids = (unsigned int*)malloc((n > 0 ? (size_t)n : 1) * sizeof(unsigned int));
    unsigned int failed = 0;
    if (ids == 0) {
        abort();
    }
    for (int i = 0; i < n; i++) {
        ids[i] = faasmChain(function, (const uint8_t*)input, (long)strlen(input));
    }
    for (int i = 0; i < n; i++) {
        failed |= faasmAwaitCall(ids[i]) != 0;
    }
    free(ids);
    return failed;
}

/* ---------------------------------------------------------------- state
 *
 * A value is a named array of bytes of the user's, shared by all calls. Its first use fixes its
 * length. What nobody wrote reads as zeros. */

/* Copies the whole value, at most len bytes, and returns how many; zeros when there is none. */
static inline long faasmReadState(const char* key, uint8_t* buffer, long len)
{
    return len > 0 ? __faasm_read_state(key, buffer, len) : 0;
}

/* Length of the value; 0 if unknown. */
static inline size_t faasmReadStateSize(const char* key)
{
    return (size_t)__faasm_read_state(key, (uint8_t*)0, 0);
}

/* Replaces the whole value; another length resizes it if no window is open on it. */
static inline void faasmWriteState(const char* key, const uint8_t* data, long len)
{
    __faasm_write_state(key, data, len);
}

static inline void faasmReadStateOffset(const char* key, long totalLen, long offset, uint8_t* buffer,
                                        long len)
{
    __faasm_read_state_offset(key, totalLen, offset, buffer, len);
}

static inline void faasmWriteStateOffset(const char* key, long totalLen, long offset,
                                         const uint8_t* data, long len)
{
    __faasm_write_state_offset(key, totalLen, offset, data, len);
}

/* Windows: a pointer to the shared bytes themselves, readable and writable, no copy. */
static inline uint8_t* faasmReadStatePtr(const char* key, long totalLen)
{
    return __faasm_read_state_ptr(key, totalLen);
}

static inline uint8_t* faasmReadStateOffsetPtr(const char* key, long totalLen, long offset, long len)
{
    return __faasm_read_state_offset_ptr(key, totalLen, offset, len);
}

/* Say what a window's stores changed, so that a push sends it. */
static inline void faasmFlagStateDirty(const char* key, long totalLen)
{
    __faasm_flag_state_dirty(key, totalLen);
}

static inline void faasmFlagStateOffsetDirty(const char* key, long totalLen, long offset, long len)
{
    __faasm_flag_state_offset_dirty(key, totalLen, offset, len);
}

/* Sends what is dirty home; returns when home has it. */
static inline void faasmPushState(const char* key)
{
    __faasm_push_state(key);
}

/* The same for dirty bytes only, so that concurrent writers of one chunk do not overwrite each
 * other; with a mask, for the bytes whose mask bytes are set. The mask is zero afterwards. */
static inline void faasmPushStatePartial(const char* key)
{
    __faasm_push_state_partial(key);
}

static inline void faasmPushStatePartialMask(const char* key, const char* maskKey)
{
    __faasm_push_state_partial_mask(key, maskKey);
}

/* Makes later reads see what others have pushed. */
static inline void faasmPullState(const char* key, long len)
{
    __faasm_pull_state(key, len);
}

/* Append-only values: records in the order of their arrival. */
static inline void faasmAppendState(const char* key, const uint8_t* data, long len)
{
    __faasm_append_state(key, data, len);
}

/* The first nElems records, one after the other. */
static inline void faasmReadAppendedState(const char* key, uint8_t* buffer, long len, long nElems)
{
    __faasm_read_appended_state(key, buffer, len, nElems);
}

static inline void faasmClearAppendedState(const char* key)
{
    __faasm_clear_appended_state(key);
}

/* Locks: held by this call until it unlocks or ends. Waiting lets other calls run. */
static inline void faasmLockStateRead(const char* key)
{
    __faasm_lock_state_read(key);
}

static inline void faasmUnlockStateRead(const char* key)
{
    __faasm_unlock_state_read(key);
}

static inline void faasmLockStateWrite(const char* key)
{
    __faasm_lock_state_write(key);
}

static inline void faasmUnlockStateWrite(const char* key)
{
    __faasm_unlock_state_write(key);
}

/* One holder in the whole job. */
static inline void faasmLockStateGlobal(const char* key)
{
    __faasm_lock_state_global(key);
}

static inline void faasmUnlockStateGlobal(const char* key)
{
    __faasm_unlock_state_global(key);
}

/* Reads a file of the guest's file system (mobula run --dir) into a value of its size; returns its
 * bytes, or (unsigned long)-1 with errno set. */
unsigned long faasmWriteStateFromFile(const char* key, const char* path);

#ifdef __cplusplus
} /* extern "C" */

/* Allocates the output with malloc, with a NUL after it that its length does not count. */
static inline unsigned int faasmAwaitCallOutput(unsigned int id, char** output, int* len)
{
    uint32_t size = 0;
    int result = __mobula_await_output_size(id, &size);
    char* bytes = static_cast<char*>(malloc(size + 1));
    if (bytes == nullptr) {
        abort();
    }
    __mobula_take_output(id, reinterpret_cast<uint8_t*>(bytes), static_cast<long>(size));
    bytes[size] = '\0';
    *output = bytes;
    *len = static_cast<int>(size);
    return static_cast<unsigned int>(result);
}
#endif

#include "faasm/compat.h"
#include "faasm/mobula.h"
#include "faasm/write_state_from_file.h"

#endif
