// What every test guest uses: checks that say where they failed, and calls that have to be refused.
#pragma once

#include <faasm/faasm.h>

#include <cstdio>
#include <vector>

static int failures = 0;

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            std::printf("wrong at line %d: %s\n", __LINE__, #what);                                \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

// Whether entry idx, given this number, ends in a trap. What it says on stderr is checked by the
// `stderr` lines of the test. Natively a helper that refuses ends the program: not tried there.
inline bool refused(int idx, int number)
{
#if defined(__wasm__)
    const unsigned int id = faasmChainThisInput(idx, BYTES(&number), sizeof number);
    return static_cast<int>(faasmAwaitCall(id)) == -101;
#else
    return idx >= 0 && number >= 0;
#endif
}

inline int done(const char* name)
{
    if (failures == 0) {
        std::printf("%s: good\n", name);
    }
    return failures == 0 ? 0 : 1;
}
