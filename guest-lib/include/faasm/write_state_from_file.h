/* faasmWriteStateFromFile, which needs no host function: the guest reads its own files. Included by
 * core.h. */
#ifndef FAASM_WRITE_STATE_FROM_FILE_H
#define FAASM_WRITE_STATE_FROM_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads the next len bytes of a file, which has to have that many; 0, or -1 with errno. */
static inline int faasmReadFully(int fd, uint8_t* bytes, long len)
{
    long done = 0;
    while (done < len) {
        ssize_t n = read(fd, bytes + done, (size_t)(len - done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno; /* the file has become shorter */
            return -1;
        }
        done += (long)n;
    }
    return 0;
}

/* A value that has the file's length, or none yet, is filled piece by piece: no second copy of a
 * large file. Only a whole-value write can give a value another length. */
static inline int faasmFillFromFile(const char* key, int fd, long total)
{
    const long known = __faasm_read_state(key, (uint8_t*)0, 0);
    const int whole = total == 0 || (known != 0 && known != total);
    const long limit = whole || total < (1L << 18) ? total : (1L << 18);
    uint8_t* bytes = (uint8_t*)malloc(limit > 0 ? (size_t)limit : 1);
    int result = bytes != 0 ? 0 : -1;
    long at = 0;
    if (result == 0 && whole) {
        result = faasmReadFully(fd, bytes, total);
        if (result == 0) {
            __faasm_write_state(key, bytes, total);
        }
    }
    while (result == 0 && !whole && at < total) {
        const long n = total - at < limit ? total - at : limit;
        result = faasmReadFully(fd, bytes, n);
        if (result == 0) {
            __faasm_write_state_offset(key, total, at, bytes, n);
        }
        at += n;
    }
    free(bytes);
    return result;
}

__attribute__((weak)) unsigned long faasmWriteStateFromFile(const char* key, const char* path)
{
    struct stat info;
    int result = -1;
    int saved;
    const int fd = open(path, O_RDONLY);
    if (fd < 0) {
        return (unsigned long)-1;
    }
    if (fstat(fd, &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            errno = EISDIR;
        } else if (info.st_size > INT32_MAX) {
            errno = EFBIG; /* a length is a signed 32-bit number for the host */
        } else {
            result = faasmFillFromFile(key, fd, (long)info.st_size);
        }
    }
    saved = errno;
    close(fd);
    errno = saved;
    return result == 0 ? (unsigned long)info.st_size : (unsigned long)-1;
}

#ifdef __cplusplus
}
#endif

#endif
