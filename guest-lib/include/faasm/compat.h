/* What Faasm's headers have declared at some time and core.h has no better place for. Included by
 * core.h.
 *
 * C++ overloads: the state functions of 2019, whose last parameter says whether not to wait
 * (async); buffers of char; a command line for a chained function.
 */
#ifndef FAASM_COMPAT_H
#define FAASM_COMPAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
#include <type_traits>

extern "C" {
#endif

/* A call that runs has no backtrace to show; a trap prints one by itself. Says so on stderr. */
static inline void faasmBacktrace(const int depth)
{
    fprintf(stderr, "faasmBacktrace(%d): only a trap has a backtrace here\n", depth);
}

/* Which Python function this call is to run: none, an empty text. The caller frees it. */
static inline char* faasmGetPythonUser(void)
{
    return (char*)calloc(1, 1);
}

static inline char* faasmGetPythonFunc(void)
{
    return (char*)calloc(1, 1);
}

static inline char* faasmGetPythonEntry(void)
{
    return (char*)calloc(1, 1);
}

#ifdef __cplusplus
} /* extern "C" */

/* A template, so that a null pointer still means the other one. */
template<typename Char>
typename std::enable_if<std::is_same<Char, char>::value, unsigned int>::type
faasmAwaitCallOutput(unsigned int id, Char* buffer, long len)
{
    return faasmAwaitCallOutput(id, reinterpret_cast<uint8_t*>(buffer), len);
}

/* A chained call has no command line: only an empty one is taken. */
static inline unsigned int faasmChainNamed(const char* name, const char* cmdline,
                                           const uint8_t* input, long len)
{
    if (cmdline != nullptr && *cmdline != '\0') {
        fprintf(stderr,
                "faasmChainNamed(\"%s\"): a chained call has no command line (\"%s\"); give it as "
                "input\n",
                name, cmdline);
        abort();
    }
    return faasmChainNamed(name, input, len);
}

/* Not async: what others have pushed is fetched before a read, and a write is pushed at once. */
static inline void faasmReadState(const char* key, uint8_t* buffer, long len, bool async)
{
    if (!async && faasmReadStateSize(key) == static_cast<size_t>(len)) {
        faasmPullState(key, len);
    }
    faasmReadState(key, buffer, len);
}

static inline void faasmReadStateOffset(const char* key, long totalLen, long offset,
                                        uint8_t* buffer, long len, bool async)
{
    if (!async) {
        faasmPullState(key, totalLen);
    }
    faasmReadStateOffset(key, totalLen, offset, buffer, len);
}

static inline uint8_t* faasmReadStatePtr(const char* key, long totalLen, bool async)
{
    if (!async) {
        faasmPullState(key, totalLen);
    }
    return faasmReadStatePtr(key, totalLen);
}

static inline uint8_t* faasmReadStateOffsetPtr(const char* key, long totalLen, long offset,
                                               long len, bool async)
{
    if (!async) {
        faasmPullState(key, totalLen);
    }
    return faasmReadStateOffsetPtr(key, totalLen, offset, len);
}

static inline void faasmWriteState(const char* key, const uint8_t* data, long len, bool async)
{
    faasmWriteState(key, data, len);
    if (!async) {
        faasmPushState(key);
    }
}

static inline void faasmWriteStateOffset(const char* key, long totalLen, long offset,
                                         const uint8_t* data, long len, bool async)
{
    faasmWriteStateOffset(key, totalLen, offset, data, len);
    if (!async) {
        faasmPushStatePartial(key);
    }
}
#endif

#endif
