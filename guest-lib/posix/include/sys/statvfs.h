/* What a file system has left, which WASI cannot tell. */
#ifndef MOBULA_SYS_STATVFS_H
#define MOBULA_SYS_STATVFS_H

#include <sys/types.h>

struct statvfs {
    unsigned long f_bsize, f_frsize;
    unsigned long long f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail;
    unsigned long f_fsid, f_flag, f_namemax;
};

#ifdef __cplusplus
extern "C" {
#endif

int statvfs(const char* __restrict path, struct statvfs* __restrict info);
int fstatvfs(int fd, struct statvfs* info);

#ifdef __cplusplus
}
#endif

#endif
