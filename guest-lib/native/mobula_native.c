/* Runs a guest as an ordinary program: the host's side of faasm/host_interface.h in one process.
 *
 *   cc -O3 -Iguest-lib/include app.c guest-lib/native/mobula_native.c -rdynamic -lpthread -ldl
 *
 *  main thread ── main call ─ chain ─▶ queue ─▶ workers (pool.h)      keys ─▶ values (state.h)
 *                     └─ await: runs the child itself if it waits in the queue; else sleeps
 *
 * For debugging, and as the native baseline. What differs from the WebAssembly runtime: nothing is
 * isolated. Calls share globals and heap, a crash ends the program, buffers are not checked. What a
 * program asks of the host is checked as there and refused with the same words; a refusal ends that
 * call only, by a jump to its start, so that destructors of its objects do not run.
 *
 * One translation unit in the common part of C11 and C++, so that `g++ app.cpp mobula_native.c`
 * does as well. The parts build on those before them:
 *
 *   base.h     types, the running call, refusals
 *   state.h    keys, values, appended records
 *   merge.h    merging elements into a value
 *   modules.h  the executable and shared objects, their entries
 *   pool.h     queue, workers, ends of calls
 *   locks.h    locks on keys, the search for circles of waits
 *   calls.h    children and their ids, awaiting
 *   program.h  environment, start and end of the program
 *   host.h     the functions of host_interface.h
 *   blas.h     those of linear algebra
 *
 * Invariants: whatever is shared is guarded by a mutex named at its place; no mutex is held while
 * guest code runs, nor when a call is refused.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faasm/entry.h"
#include "faasm/host_interface.h"
#include "faasm/mobula.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "base.h"
#include "state.h"
#include "merge.h"
#include "modules.h"
#include "pool.h"
#include "locks.h"
#include "calls.h"
#include "program.h"
#include "host.h"
#include "blas.h"

#ifdef __cplusplus
}
#endif
