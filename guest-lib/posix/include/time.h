/* What WASI's <time.h> leaves out: zones other than UTC, setting the clock. */
#ifndef MOBULA_TIME_H
#define MOBULA_TIME_H

#include_next <time.h>
#include <features.h>

#if defined(_POSIX_C_SOURCE) || defined(_XOPEN_SOURCE) || defined(_GNU_SOURCE) ||                 \
  defined(_BSD_SOURCE)
#ifdef __cplusplus
extern "C" {
#endif

void tzset(void);
int clock_settime(clockid_t clock, const struct timespec* time);

#ifdef __cplusplus
}
#endif
#endif

#endif
