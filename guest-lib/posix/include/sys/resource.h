/* What WASI's <sys/resource.h> leaves out; limits cannot be asked for. */
#ifndef MOBULA_SYS_RESOURCE_H
#define MOBULA_SYS_RESOURCE_H

#include_next <sys/resource.h>
#include <sys/types.h>

#ifndef RLIM_INFINITY
typedef unsigned long long rlim_t;
struct rlimit {
    rlim_t rlim_cur, rlim_max;
};
#define RLIM_INFINITY (~0ULL)
#define RLIM_SAVED_CUR RLIM_INFINITY
#define RLIM_SAVED_MAX RLIM_INFINITY
#define RLIMIT_CPU 0
#define RLIMIT_FSIZE 1
#define RLIMIT_DATA 2
#define RLIMIT_STACK 3
#define RLIMIT_CORE 4
#define RLIMIT_RSS 5
#define RLIMIT_NPROC 6
#define RLIMIT_NOFILE 7
#define RLIMIT_MEMLOCK 8
#define RLIMIT_AS 9
#define PRIO_PROCESS 0
#define PRIO_PGRP 1
#define PRIO_USER 2
#endif

#ifdef __cplusplus
extern "C" {
#endif

int getrlimit(int resource, struct rlimit* limit);
int setrlimit(int resource, const struct rlimit* limit);
int getpriority(int which, unsigned who);
int setpriority(int which, unsigned who, int priority);

#ifdef __cplusplus
}
#endif

#endif
