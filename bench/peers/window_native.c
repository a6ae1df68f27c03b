/* Peer of window-read and window-triad: window_native FILE [repetitions]. The same bytes, in shared
 * memory, read by a native program. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../guests/samples.h"
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
    double* p = (double*)bytes;
    long repetitions = argument(argc, argv, 2, 10);
    long n = (long)(size / sizeof(double) / 12 * 4);
    double check = 0;
    for (long r = -1; r < repetitions; r++) {
        double start = now();
        check += sum(p, 3 * n);
        double middle = now();
        triad(p, p + n, p + 2 * n, n);
        double end = now();
        if (r >= 0) {
            double moved = 3.0 * (double)n * sizeof(double);
            sample("read", "GB/s", moved / (middle - start) * 1e-9);
            sample("triad", "GB/s", moved / (end - middle) * 1e-9);
        }
    }
    printf("check %.17g\n", check);
    return 0;
}
