/* Processes: there is one, and it cannot make others. */
#include "posix.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

WEAK pid_t fork(void)
{
    return refused(ENOSYS);
}

WEAK pid_t vfork(void)
{
    return refused(ENOSYS);
}

WEAK int execve(const char* path UNUSED, char* const argv[] UNUSED, char* const envp[] UNUSED)
{
    return refused(ENOSYS);
}

WEAK int execv(const char* path UNUSED, char* const argv[] UNUSED)
{
    return refused(ENOSYS);
}

WEAK int execvp(const char* file UNUSED, char* const argv[] UNUSED)
{
    return refused(ENOSYS);
}

WEAK int execvpe(const char* file UNUSED, char* const argv[] UNUSED, char* const envp[] UNUSED)
{
    return refused(ENOSYS);
}

WEAK int fexecve(int fd, char* const argv[] UNUSED, char* const envp[] UNUSED)
{
    return __mobula_refused_fd(fd, ENOSYS);
}

WEAK int execl(const char* path UNUSED, const char* arg UNUSED, ...)
{
    return refused(ENOSYS);
}

WEAK int execlp(const char* file UNUSED, const char* arg UNUSED, ...)
{
    return refused(ENOSYS);
}

WEAK int execle(const char* path UNUSED, const char* arg UNUSED, ...)
{
    return refused(ENOSYS);
}

WEAK int posix_spawn(pid_t* pid UNUSED, const char* path UNUSED,
                     const posix_spawn_file_actions_t* actions UNUSED,
                     const posix_spawnattr_t* attributes UNUSED, char* const argv[] UNUSED,
                     char* const envp[] UNUSED)
{
    return ENOSYS; /* returned, not stored */
}

WEAK int posix_spawnp(pid_t* pid UNUSED, const char* file UNUSED,
                      const posix_spawn_file_actions_t* actions UNUSED,
                      const posix_spawnattr_t* attributes UNUSED, char* const argv[] UNUSED,
                      char* const envp[] UNUSED)
{
    return ENOSYS;
}

WEAK pid_t wait(int* status UNUSED)
{
    return refused(ECHILD);
}

WEAK pid_t waitpid(pid_t pid UNUSED, int* status UNUSED, int options UNUSED)
{
    return refused(ECHILD);
}

/* Without a command: whether there is a shell. */
WEAK int system(const char* command)
{
    return command == NULL ? 0 : refused(ENOSYS);
}

WEAK FILE* popen(const char* command UNUSED, const char* mode UNUSED)
{
    errno = ENOSYS;
    return NULL;
}

WEAK int pclose(FILE* stream UNUSED)
{
    return refused(ECHILD);
}

WEAK int pipe(int fds[2] UNUSED)
{
    return refused(ENOSYS);
}

WEAK int pipe2(int fds[2] UNUSED, int flags UNUSED)
{
    return refused(ENOSYS);
}

WEAK int dup(int fd)
{
    return __mobula_refused_fd(fd, ENOSYS);
}

WEAK int dup2(int fd, int to)
{
    if (__mobula_refused_fd(fd, ENOSYS) < 0 && errno == ENOSYS && fd == to) {
        return fd;
    }
    return -1;
}

WEAK int dup3(int fd, int to, int flags UNUSED)
{
    return fd == to ? refused(EINVAL) : __mobula_refused_fd(fd, ENOSYS);
}

WEAK pid_t getppid(void)
{
    return 0; /* as where the parent is outside of the container */
}

WEAK pid_t getpgrp(void)
{
    return getpid();
}

WEAK pid_t getpgid(pid_t pid)
{
    return pid == 0 || pid == getpid() ? getpid() : refused(ESRCH);
}

WEAK pid_t getsid(pid_t pid)
{
    return pid == 0 || pid == getpid() ? getpid() : refused(ESRCH);
}

/* Whoever leads a group cannot leave it. */
WEAK int setpgid(pid_t pid, pid_t group UNUSED)
{
    return refused(pid == 0 || pid == getpid() ? EPERM : ESRCH);
}

WEAK pid_t setsid(void)
{
    return refused(EPERM);
}

WEAK int daemon(int no_chdir UNUSED, int no_close UNUSED)
{
    return refused(ENOSYS);
}

WEAK int nice(int by)
{
    return by == 0 ? 0 : refused(EPERM);
}

WEAK int getpriority(int which UNUSED, unsigned who UNUSED)
{
    return 0;
}

WEAK int setpriority(int which UNUSED, unsigned who UNUSED, int priority)
{
    return priority == 0 ? 0 : refused(EPERM);
}

/* No signal can come: 0 is "no alarm was set before", and errno says why none is set now. */
WEAK unsigned alarm(unsigned seconds)
{
    errno = seconds > 0 ? ENOSYS : errno;
    return 0;
}

WEAK int pause(void)
{
    return refused(ENOSYS);
}

WEAK int getitimer(int which UNUSED, struct itimerval* value UNUSED)
{
    return refused(ENOSYS);
}

WEAK int setitimer(int which UNUSED, const struct itimerval* __restrict value UNUSED,
                   struct itimerval* __restrict before UNUSED)
{
    return refused(ENOSYS);
}
