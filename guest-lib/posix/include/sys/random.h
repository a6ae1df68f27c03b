/* What WASI's <sys/random.h> leaves out. */
#ifndef MOBULA_SYS_RANDOM_H
#define MOBULA_SYS_RANDOM_H

#include_next <sys/random.h>
#include <sys/types.h>

#ifndef GRND_NONBLOCK
#define GRND_NONBLOCK 1
#define GRND_RANDOM 2
#endif

#ifdef __cplusplus
extern "C" {
#endif

ssize_t getrandom(void* bytes, size_t size, unsigned flags);

#ifdef __cplusplus
}
#endif

#endif
