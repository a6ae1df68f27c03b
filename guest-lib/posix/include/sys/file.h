/* Locks on files, which WASI does not have. */
#ifndef MOBULA_SYS_FILE_H
#define MOBULA_SYS_FILE_H

#if __has_include_next(<sys/file.h>)
#include_next <sys/file.h>
#else
#define LOCK_SH 1
#define LOCK_EX 2
#define LOCK_NB 4
#define LOCK_UN 8
#endif

#ifdef __cplusplus
extern "C" {
#endif

int flock(int fd, int operation);

#ifdef __cplusplus
}
#endif

#endif
