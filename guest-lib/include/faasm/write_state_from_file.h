/* faasmWriteStateFromFile, which needs no host function: the guest reads its own files into a
 * window. Included by core.h. */
#ifndef FAASM_WRITE_STATE_FROM_FILE_H
#define FAASM_WRITE_STATE_FROM_FILE_H

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

__attribute__((weak)) long faasmWriteStateFromFile(const char* key, const char* path)
{
    struct stat info;
    long done = 0;
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &info) != 0) {
        close(fd);
        return -1;
    }
    long total = (long)info.st_size;
    /* A whole-value write, so that a value of another length is resized as usual. */
    uint8_t* bytes = (uint8_t*)malloc(total > 0 ? (size_t)total : 1);
    while (bytes != 0 && done < total) {
        ssize_t n = read(fd, bytes + done, (size_t)(total - done));
        if (n <= 0) {
            break;
        }
        done += (long)n;
    }
    close(fd);
    if (bytes == 0 || done < total) {
        free(bytes);
        return -1;
    }
    __faasm_write_state(key, bytes, total);
    free(bytes);
    return total;
}

#ifdef __cplusplus
}
#endif

#endif
