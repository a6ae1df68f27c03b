/* Peer of window-read and window-triad: window_native FILE [repetitions]. The same bytes, in shared
 * memory, read by a native program. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../guests/stream.h"

int main(int argc, char** argv)
{
    struct stat info;
    int file = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    if (file < 0 || fstat(file, &info) != 0) {
        perror("window_native");
        return 2;
    }
    size_t size = (size_t)info.st_size;
    /* As an arena: POSIX shared memory, allocated before it is touched, advised huge. */
    int shm = memfd_create("bytes", 0);
    if (shm < 0 || fallocate(shm, 0, 0, info.st_size) != 0) {
        perror("window_native: shared memory");
        return 2;
    }
    char* bytes = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, shm, 0);
    madvise(bytes, size, MADV_HUGEPAGE);
    for (size_t done = 0; done < size;) {
        ssize_t n = read(file, bytes + done, size - done);
        if (n <= 0) {
            perror("window_native: read");
            return 2;
        }
        done += (size_t)n;
    }
    measure((double*)bytes, (long)size, argument(argc, argv, 2, 10));
    return 0;
}
