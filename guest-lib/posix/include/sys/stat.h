/* What WASI's <sys/stat.h> leaves out: permissions, which it does not have. */
#ifndef MOBULA_SYS_STAT_H
#define MOBULA_SYS_STAT_H

#include_next <sys/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Newer libcs have these with other errors. */
int chmod(const char* path, mode_t mode) __asm__("__mobula_chmod");
int fchmod(int fd, mode_t mode) __asm__("__mobula_fchmod");
int fchmodat(int dir, const char* path, mode_t mode, int flags) __asm__("__mobula_fchmodat");
mode_t umask(mode_t mask);
int mkfifo(const char* path, mode_t mode);
int mknod(const char* path, mode_t mode, dev_t device);

#ifdef __cplusplus
}
#endif

#endif
