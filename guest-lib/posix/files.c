/* Files: what WASI knows nothing of (permissions, owners, locks), temporary files, real paths. */
#include "posix.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* -1 with `error`, or with what is wrong with the path. */
static int refused_path(const char* path, int error)
{
    struct stat info;
    return stat(path, &info) != 0 ? -1 : refused(error);
}

WEAK int chmod(const char* path, mode_t mode UNUSED)
{
    return refused_path(path, EPERM);
}

WEAK int fchmod(int fd, mode_t mode UNUSED)
{
    return __mobula_refused_fd(fd, EPERM);
}

WEAK int fchmodat(int dir, const char* path, mode_t mode UNUSED, int flags UNUSED)
{
    struct stat info;
    return fstatat(dir, path, &info, 0) != 0 ? -1 : refused(EPERM);
}

static int unchanged(uid_t owner, gid_t group)
{
    return owner == (uid_t)-1 && group == (gid_t)-1;
}

WEAK int chown(const char* path, uid_t owner, gid_t group)
{
    return refused_path(path, EPERM) < 0 && errno == EPERM && unchanged(owner, group) ? 0 : -1;
}

WEAK int lchown(const char* path, uid_t owner, gid_t group)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        return -1;
    }
    return unchanged(owner, group) ? 0 : refused(EPERM);
}

WEAK int fchown(int fd, uid_t owner, gid_t group)
{
    return __mobula_refused_fd(fd, EPERM) < 0 && errno == EPERM && unchanged(owner, group) ? 0
                                                                                           : -1;
}

WEAK int fchownat(int dir, const char* path, uid_t owner, gid_t group, int flags UNUSED)
{
    struct stat info;
    if (fstatat(dir, path, &info, 0) != 0) {
        return -1;
    }
    return unchanged(owner, group) ? 0 : refused(EPERM);
}

/* The mask is kept, as nobody but the program looks at it. */
WEAK mode_t umask(mode_t mask)
{
    static mode_t kept = 022;
    const mode_t before = kept;
    kept = mask & 0777;
    return before;
}

WEAK int mkfifo(const char* path UNUSED, mode_t mode UNUSED)
{
    return refused(EPERM); /* as file systems say that have none */
}

WEAK int mknod(const char* path UNUSED, mode_t mode UNUSED, dev_t device UNUSED)
{
    return refused(EPERM);
}

WEAK int flock(int fd, int operation UNUSED)
{
    return __mobula_refused_fd(fd, ENOSYS);
}

WEAK int lockf(int fd, int command UNUSED, off_t size UNUSED)
{
    return __mobula_refused_fd(fd, ENOSYS);
}

WEAK int chroot(const char* path)
{
    return refused_path(path, EPERM);
}

WEAK int fchdir(int fd)
{
    return __mobula_refused_fd(fd, ENOSYS);
}

WEAK void sync(void)
{
}

WEAK int statvfs(const char* __restrict path, struct statvfs* __restrict info UNUSED)
{
    return refused_path(path, ENOSYS);
}

WEAK int fstatvfs(int fd, struct statvfs* info UNUSED)
{
    return __mobula_refused_fd(fd, ENOSYS);
}

/* ---------------------------------------------------------------- temporary files */

enum { TRIES = 100 };

/* Puts other letters in place of the last six, which have to be X at first; 0, or -1. */
static int new_name(char* name, int first)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    const size_t size = strlen(name);
    unsigned char random[6];
    if (size < 6 || (first && strcmp(name + size - 6, "XXXXXX") != 0)) {
        return refused(EINVAL);
    }
    if (getentropy(random, sizeof random) != 0) {
        return -1;
    }
    for (size_t i = 0; i < 6; i++) {
        name[size - 6 + i] = letters[random[i] % (sizeof letters - 1)];
    }
    return 0;
}

WEAK int mkostemp(char* name, int flags)
{
    for (int i = 0; i < TRIES && new_name(name, i == 0) == 0; i++) {
        const int fd = open(name, flags | O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0 || errno != EEXIST) {
            return fd;
        }
    }
    return -1;
}

WEAK int mkstemp(char* name)
{
    return mkostemp(name, 0);
}

WEAK char* mkdtemp(char* name)
{
    for (int i = 0; i < TRIES && new_name(name, i == 0) == 0; i++) {
        if (mkdir(name, 0700) == 0) {
            return name;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    return NULL;
}

WEAK char* mktemp(char* name)
{
    struct stat info;
    for (int i = 0; i < TRIES && new_name(name, i == 0) == 0; i++) {
        if (lstat(name, &info) != 0 && errno == ENOENT) {
            return name;
        }
    }
    name[0] = '\0';
    return name;
}

WEAK char* tmpnam(char* name)
{
    static char own[L_tmpnam];
    char* const text = name != NULL ? name : own;
    strcpy(text, P_tmpdir "/tmp-XXXXXX");
    return mktemp(text)[0] != '\0' ? text : NULL;
}

WEAK FILE* tmpfile(void)
{
    char name[] = P_tmpdir "/tmp-XXXXXX";
    const int fd = mkstemp(name);
    FILE* file;
    if (fd < 0) {
        return NULL;
    }
    unlink(name);
    file = fdopen(fd, "w+");
    if (file == NULL) {
        close(fd);
    }
    return file;
}

/* ---------------------------------------------------------------- real paths */

enum { LINKS = 40 };

/* Takes the first component off `rest` and appends it to `done`; -1 when the path gets too long. */
static int step(char* done, char* rest)
{
    const size_t skip = strspn(rest, "/");
    const size_t size = strcspn(rest + skip, "/");
    const char* name = rest + skip;
    const size_t at = strlen(done);
    if (size == 2 && strncmp(name, "..", 2) == 0) {
        char* slash = strrchr(done, '/');
        *(slash != NULL ? slash : done) = '\0';
    } else if (size > 1 || (size == 1 && name[0] != '.')) {
        if (at + size + 2 > PATH_MAX) {
            return refused(ENAMETOOLONG);
        }
        done[at] = '/';
        memcpy(done + at + 1, name, size);
        done[at + 1 + size] = '\0';
    }
    memmove(rest, name + size, strlen(name + size) + 1);
    return 0;
}

/* When `done` is a link: puts what it points to in front of `rest`; 1 if so, -1 if that fails. */
static int follow(char* done, char* rest)
{
    char target[PATH_MAX];
    const ssize_t n = readlink(done, target, sizeof target - 1);
    const size_t size = strlen(rest);
    if (n < 0) {
        return 0; /* no link */
    }
    if ((size_t)n + size + 2 > PATH_MAX) {
        return refused(ENAMETOOLONG);
    }
    memmove(rest + n, rest, size + 1);
    memcpy(rest, target, (size_t)n);
    *(target[0] == '/' ? done : strrchr(done, '/')) = '\0';
    return 1;
}

WEAK char* realpath(const char* __restrict path, char* __restrict resolved)
{
    char done[PATH_MAX] = "", rest[PATH_MAX];
    struct stat info;
    int links = 0, followed = 0;
    if (path == NULL || path[0] == '\0' || strlen(path) >= sizeof rest) {
        errno = path == NULL ? EINVAL : path[0] == '\0' ? ENOENT : ENAMETOOLONG;
        return NULL;
    }
    strcpy(rest, path);
    if (path[0] != '/' && getcwd(done, sizeof done) == NULL) {
        return NULL;
    }
    if (strcmp(done, "/") == 0) {
        done[0] = '\0';
    }
    while (rest[strspn(rest, "/")] != '\0') {
        if (step(done, rest) != 0) {
            return NULL;
        }
        followed = done[0] != '\0' ? follow(done, rest) : 0;
        links += followed;
        if (followed < 0 || links > LINKS) {
            errno = followed < 0 ? errno : ELOOP;
            return NULL;
        }
    }
    if (done[0] == '\0') {
        strcpy(done, "/");
    }
    if (lstat(done, &info) != 0) {
        return NULL;
    }
    return resolved != NULL ? strcpy(resolved, done) : strdup(done);
}
