/* The host, limits, the clock, the log, terminals, shared objects. */
#include "posix.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <syslog.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* As uname has it. */
WEAK int gethostname(char* name, size_t size)
{
    struct utsname host;
    size_t length;
    if (uname(&host) != 0) {
        return -1;
    }
    length = strlen(host.nodename);
    if (length >= size) {
        return refused(ENAMETOOLONG);
    }
    memcpy(name, host.nodename, length + 1);
    return 0;
}

WEAK int sethostname(const char* name UNUSED, size_t size UNUSED)
{
    return refused(EPERM);
}

WEAK int getpagesize(void)
{
    return 65536;
}

WEAK int getdtablesize(void)
{
    return 1024;
}

WEAK int getrlimit(int resource UNUSED, struct rlimit* limit UNUSED)
{
    return refused(ENOSYS);
}

WEAK int setrlimit(int resource UNUSED, const struct rlimit* limit UNUSED)
{
    return refused(ENOSYS);
}

WEAK int settimeofday(const struct timeval* time UNUSED, const struct timezone* zone UNUSED)
{
    return refused(EPERM);
}

WEAK int clock_settime(clockid_t clock UNUSED, const struct timespec* time UNUSED)
{
    return refused(EPERM);
}

/* There is no zone but UTC. */
WEAK void tzset(void)
{
}

WEAK ssize_t getrandom(void* bytes, size_t size, unsigned flags UNUSED)
{
    size_t done = 0;
    while (done < size) {
        const size_t n = size - done < 256 ? size - done : 256;
        if (getentropy((char*)bytes + done, n) != 0) {
            return -1;
        }
        done += n;
    }
    return (ssize_t)size;
}

/* ---------------------------------------------------------------- the log */

static const char* log_name = "guest";
static int log_mask = 0xFF;

WEAK void openlog(const char* name, int options UNUSED, int facility UNUSED)
{
    log_name = name != NULL ? name : "guest";
}

WEAK void closelog(void)
{
}

WEAK int setlogmask(int mask)
{
    const int before = log_mask;
    log_mask = mask != 0 ? mask : log_mask;
    return before;
}

WEAK void syslog(int priority, const char* format, ...)
{
    va_list args;
    if ((log_mask >> (priority & 7) & 1) == 0) {
        return;
    }
    va_start(args, format);
    fprintf(stderr, "%s: ", log_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* ---------------------------------------------------------------- terminals */

WEAK int tcgetattr(int fd, struct termios* modes UNUSED)
{
    return __mobula_refused_fd(fd, ENOTTY);
}

WEAK int tcsetattr(int fd, int when UNUSED, const struct termios* modes UNUSED)
{
    return __mobula_refused_fd(fd, ENOTTY);
}

WEAK pid_t tcgetpgrp(int fd)
{
    return __mobula_refused_fd(fd, ENOTTY);
}

WEAK int tcsetpgrp(int fd, pid_t group UNUSED)
{
    return __mobula_refused_fd(fd, ENOTTY);
}

WEAK char* ttyname(int fd)
{
    __mobula_refused_fd(fd, ENOTTY);
    return NULL;
}

WEAK int ttyname_r(int fd, char* name UNUSED, size_t size UNUSED)
{
    __mobula_refused_fd(fd, ENOTTY);
    return errno;
}

/* ---------------------------------------------------------------- shared objects */

static char* load_error;

WEAK void* dlopen(const char* path UNUSED, int flags UNUSED)
{
    load_error = (char*)"a WebAssembly module cannot load libraries";
    return NULL;
}

WEAK void* dlsym(void* __restrict handle UNUSED, const char* __restrict name UNUSED)
{
    load_error = (char*)"a WebAssembly module has no symbols to look up";
    return NULL;
}

WEAK int dlclose(void* handle UNUSED)
{
    load_error = (char*)"no library was loaded";
    return -1;
}

WEAK char* dlerror(void)
{
    char* const said = load_error;
    load_error = NULL;
    return said;
}
