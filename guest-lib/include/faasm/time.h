/* Time of day, and timing of parts of a function.
 *
 * FAASM_PROF_START(name) ... FAASM_PROF_END(name) print "TIME: name MILLISECONDS" (elapsed, not CPU
 * time). In wasm they are empty unless it is compiled with -DWASM_PROF=1.
 */
#ifndef FAASM_TIME_H
#define FAASM_TIME_H

#include <stdio.h>
#include <time.h>

namespace faasm {

inline double getSecondsSinceEpoch()
{
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/* Of a clock that is never set; its zero means nothing. */
inline double getMonotonicMillis()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

} // namespace faasm

#if !defined(__wasm__) || (defined(WASM_PROF) && WASM_PROF)
#define FAASM_PROF_START(profVar) const double profVar = faasm::getMonotonicMillis();
#define FAASM_PROF_END(profVar)                                                                    \
    printf("TIME: %s %f\n", #profVar, faasm::getMonotonicMillis() - profVar);
#else
#define FAASM_PROF_START(profVar)
#define FAASM_PROF_END(profVar)
#endif

#define PROF_START(profVar) FAASM_PROF_START(profVar)
#define PROF_END(profVar) FAASM_PROF_END(profVar)

#endif
