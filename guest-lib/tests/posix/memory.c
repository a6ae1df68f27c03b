// Anonymous mappings, as lax as Linux; the program break.
#define _GNU_SOURCE // mremap
#include "check.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LARGE = 8 << 20 };

static char* map(size_t size, int flags)
{
    char* at = (char*)mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);
    CHECK(at != (char*)MAP_FAILED && ((uintptr_t)at & 0xFFFF) == 0);
    for (size_t i = 0; i < size; i += 997) {
        CHECK(at[i] == 0);
    }
    memset(at, 0x5A, size);
    return at;
}

int main(void)
{
    const int kinds[] = { MAP_ANONYMOUS, MAP_ANONYMOUS | MAP_PRIVATE, MAP_ANONYMOUS | MAP_SHARED,
                          MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE };
    for (int i = 0; i < 4; i++) {
        char* small = map(100, kinds[i]);
        char* large = map(LARGE, kinds[i]);
        CHECK(mprotect(small, 100, PROT_NONE) == 0 && small[99] == 0x5A);
        CHECK(madvise(large, LARGE, MADV_DONTNEED) == 0 && large[LARGE - 1] == 0);
        CHECK(madvise(small, 100, MADV_WILLNEED) == 0 && msync(small, 100, MS_ASYNC) == 0);
        CHECK(munmap(large, LARGE) == 0 && munmap(small, 100) == 0);
    }
    // Large mappings that were given back are used again: this would not fit otherwise.
    for (int i = 0; i < 1000; i++) {
        CHECK(munmap(map(LARGE, MAP_ANONYMOUS | MAP_PRIVATE), LARGE) == 0);
    }
    // Trimming to an alignment, as allocators do.
    char* whole = map(4 * 65536, MAP_ANONYMOUS | MAP_PRIVATE);
    CHECK(munmap(whole, 65536) == 0 && munmap(whole + 3 * 65536, 65536) == 0);
    CHECK(whole[65536] == 0x5A && munmap(whole + 65536, 2 * 65536) == 0);
    char* moved = map(1000, MAP_ANONYMOUS | MAP_PRIVATE);
    moved = (char*)mremap(moved, 1000, 300000, MREMAP_MAYMOVE);
    CHECK(moved != (char*)MAP_FAILED && moved[999] == 0x5A && moved[299999] == 0);
    CHECK(munmap(moved, 300000) == 0);
    errno = 0;
    CHECK(mmap(NULL, 0, PROT_READ, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0) == MAP_FAILED);
    CHECK(errno == EINVAL);
    errno = 0;
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
    errno = 0;
    CHECK(mmap(NULL, SIZE_MAX - 9, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    CHECK(errno == ENOMEM);
    REFUSED(munmap((void*)1, 4096), EINVAL);
    REFUSED(mlock(whole, 1), ENOSYS);
    REFUSED(shm_open("/shared", 0, 0), ENOSYS);

    char* start = (char*)sbrk(0);
    CHECK(sbrk(10) == start && (char*)sbrk(4096) == start + 10);
    memset(start, 1, 4106);
    CHECK(brk(start + 300000) == 0 && sbrk(0) == start + 300000 && start[299999] == 0);
    CHECK(brk(start + 10) == 0 && sbrk(0) == start + 10);
    CHECK(sbrk(100) == start + 10 && start[50] == 0 && start[9] == 1);
    REFUSED((intptr_t)sbrk(INTPTR_MAX), ENOMEM);
    REFUSED(brk(NULL), ENOMEM);
    void* volatile block = malloc(100000);
    CHECK(block != NULL);
    free(block);
    puts("memory ok");
    return 0;
}
