/* What the files of this directory have in common.
 *
 * They answer functions of POSIX that WASI has no way for, so that programs link, and learn at run
 * time from errno what there is not. All are weak: a program's own function of the name, or a later
 * libc's, takes their place. They are members of an archive: what a program does not call is not in
 * it. Where a libc has the function but does less, our header gives ours another symbol.
 *
 *   memory.c    mmap and its relatives
 *   break.c     brk, sbrk
 *   process.c   fork, exec, wait, pipes, descriptors, timers
 *   signals.c   sigaction, signal sets, kill
 *   users.c     one user, number 0
 *   files.c     permissions, locks, temporary files, realpath
 *   sockets.c   there are none, and no look-ups
 *   system.c    host, limits, log, terminals, libraries
 *   threads.c   one thread
 *   descriptors.c  whether a descriptor is open
 */
#ifndef MOBULA_POSIX_H
#define MOBULA_POSIX_H

#include <errno.h>

#define WEAK __attribute__((weak))
#define UNUSED __attribute__((unused))

/* Fails with that errno. */
static inline int refused(int error)
{
    errno = error;
    return -1;
}

/* -1 with EBADF when the descriptor is not open, else with `error`. */
int __mobula_refused_fd(int fd, int error);

#endif
