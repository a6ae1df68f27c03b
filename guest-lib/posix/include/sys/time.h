/* What WASI's <sys/time.h> leaves out: timers that send signals, setting the clock. */
#ifndef MOBULA_SYS_TIME_H
#define MOBULA_SYS_TIME_H

#include_next <sys/time.h>

#ifndef ITIMER_REAL
#define ITIMER_REAL 0
#define ITIMER_VIRTUAL 1
#define ITIMER_PROF 2
struct itimerval {
    struct timeval it_interval, it_value;
};
#endif

#ifdef __cplusplus
extern "C" {
#endif

int getitimer(int which, struct itimerval* value);
int setitimer(int which, const struct itimerval* __restrict value,
              struct itimerval* __restrict before);
int settimeofday(const struct timeval* time, const struct timezone* zone);

#ifdef __cplusplus
}
#endif

#endif
