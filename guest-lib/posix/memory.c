/* mmap and its relatives over plain memory; as lax as Linux.
 *
 *   small mappings   from the allocator, cleared
 *   large ones       new pages of memory, which are zero without being touched; given back ones are
 *                    kept for the next of their size
 *
 * A file is read in when it is mapped: what others write to it later is not seen, and what is
 * stored into the mapping does not reach the file. Protection is not enforced. */
#include "posix.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 65536, GRANULE = 4096, LARGE = 256 << 10 };

struct mapping {
    char *lo, *hi;   /* what is still mapped; the end of what was asked for */
    char* base;      /* all of it: whole pages */
    size_t size;
    int grown, free; /* made by growing the memory; given back */
    int anonymous;
    struct mapping* next;
};

static struct mapping* mappings;

static char* grow(size_t pages)
{
    const size_t at = __builtin_wasm_memory_grow(0, pages);
    return at == SIZE_MAX ? NULL : (char*)(at * PAGE);
}

/* A mapping of that size, all zeros, or NULL. */
static struct mapping* new_mapping(size_t size, size_t asked)
{
    struct mapping* found = mappings;
    while (found != NULL && !(found->free && found->size == size)) {
        found = found->next;
    }
    if (found != NULL) {
        memset(found->base, 0, size);
    } else {
        void* base = NULL;
        found = (struct mapping*)calloc(1, sizeof *found);
        if (found == NULL) {
            return NULL;
        }
        found->grown = size >= LARGE;
        if (found->grown) {
            base = grow(size / PAGE);
        } else if (posix_memalign(&base, PAGE, size) == 0) {
            memset(base, 0, size);
        }
        if (base == NULL) {
            free(found);
            return NULL;
        }
        found->base = (char*)base;
        found->size = size;
        found->next = mappings;
        mappings = found;
    }
    found->free = 0;
    found->lo = found->base;
    found->hi = found->base + (asked + GRANULE - 1) / GRANULE * GRANULE;
    return found;
}

static void give_back(struct mapping* mapping)
{
    struct mapping** link = &mappings;
    if (mapping->grown) {
        mapping->free = 1;
        return;
    }
    while (*link != mapping) {
        link = &(*link)->next;
    }
    *link = mapping->next;
    free(mapping->base);
    free(mapping);
}

/* The mapping that has this address, or NULL. */
static struct mapping* mapping_at(const char* at)
{
    struct mapping* found = mappings;
    while (found != NULL && (found->free || at < found->lo || at >= found->hi)) {
        found = found->next;
    }
    return found;
}

/* Reads the file in; 0, or -1 with errno. */
static int read_in(char* to, size_t size, int fd, off_t offset)
{
    while (size > 0) {
        const ssize_t n = pread(fd, to, size, offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? 0 : -1;
        }
        to += n;
        offset += n;
        size -= (size_t)n;
    }
    return 0;
}

WEAK void* mmap(void* address, size_t size, int protection UNUSED, int flags, int fd, off_t offset)
{
    struct mapping* mapping;
    struct stat info;
    const int anonymous = (flags & MAP_ANONYMOUS) != 0;
    const size_t whole = (size + PAGE - 1) / PAGE * PAGE;
    (void)address;
    errno = 0;
    if (size == 0 || offset % GRANULE != 0) {
        errno = EINVAL;
    } else if ((flags & MAP_FIXED) != 0 || whole < size) {
        errno = ENOMEM; /* no place can be asked for */
    } else if (!anonymous && fstat(fd, &info) == 0 && !S_ISREG(info.st_mode)) {
        errno = ENODEV;
    }
    if (errno != 0) {
        return MAP_FAILED;
    }
    mapping = new_mapping(whole, size);
    if (mapping == NULL) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    mapping->anonymous = anonymous;
    if (!anonymous && read_in(mapping->base, size, fd, offset) != 0) {
        const int error = errno;
        give_back(mapping);
        errno = error;
        return MAP_FAILED;
    }
    return mapping->base;
}

/* Takes from the front or the back of a mapping; a hole stays until all is unmapped. */
WEAK int munmap(void* address, size_t size)
{
    char* at = (char*)address;
    char* const end = at + (size + GRANULE - 1) / GRANULE * GRANULE;
    struct mapping* mapping = mapping_at(at);
    if (size == 0 || (uintptr_t)address % GRANULE != 0) {
        return refused(EINVAL);
    }
    if (mapping == NULL) {
        return 0;
    }
    if (at == mapping->lo) {
        mapping->lo = end < mapping->hi ? end : mapping->hi;
    } else if (end >= mapping->hi) {
        mapping->hi = at;
    }
    if (mapping->lo >= mapping->hi) {
        give_back(mapping);
    }
    return 0;
}

WEAK void* mremap(void* address, size_t old_size, size_t size, int flags, ...)
{
    struct mapping* mapping = mapping_at((char*)address);
    char* const end = (char*)address + (size + GRANULE - 1) / GRANULE * GRANULE;
    void* moved;
    if (mapping == NULL || size == 0) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    if (size <= old_size || (end > (char*)address && end <= mapping->base + mapping->size)) {
        mapping->hi = end > mapping->hi ? end : mapping->hi;
        return address;
    }
    if ((flags & MREMAP_MAYMOVE) == 0) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    moved = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (moved != MAP_FAILED) {
        memcpy(moved, address, old_size);
        munmap(address, old_size);
    }
    return moved;
}

WEAK int mprotect(void* address UNUSED, size_t size UNUSED, int protection UNUSED)
{
    return 0;
}

WEAK int msync(void* address UNUSED, size_t size UNUSED, int flags UNUSED)
{
    return 0;
}

/* Advice may be ignored, but what was dropped of an anonymous mapping reads as zeros. */
WEAK int madvise(void* address, size_t size, int advice)
{
    struct mapping* mapping = mapping_at((char*)address);
    if (advice == MADV_DONTNEED && mapping != NULL && mapping->anonymous) {
        const size_t room = (size_t)(mapping->hi - (char*)address);
        memset(address, 0, size < room ? size : room);
    }
    return 0;
}

WEAK int posix_madvise(void* address UNUSED, size_t size UNUSED, int advice UNUSED)
{
    return 0;
}

WEAK int mlock(const void* address UNUSED, size_t size UNUSED)
{
    return refused(ENOSYS);
}

WEAK int munlock(const void* address UNUSED, size_t size UNUSED)
{
    return refused(ENOSYS);
}

WEAK int mlockall(int flags UNUSED)
{
    return refused(ENOSYS);
}

WEAK int munlockall(void)
{
    return refused(ENOSYS);
}

WEAK int mincore(void* address UNUSED, size_t size UNUSED, unsigned char* there UNUSED)
{
    return refused(ENOSYS);
}

WEAK int shm_open(const char* name UNUSED, int flags UNUSED, mode_t mode UNUSED)
{
    return refused(ENOSYS);
}

WEAK int shm_unlink(const char* name UNUSED)
{
    return refused(ENOSYS);
}

WEAK int memfd_create(const char* name UNUSED, unsigned flags UNUSED)
{
    return refused(ENOSYS);
}
