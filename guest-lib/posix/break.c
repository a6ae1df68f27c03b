/* The program break: memory of its own, so that the libc's allocator is not disturbed. It can grow
 * as long as nobody else has grown the memory since. */
#include "posix.h"

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

enum { PAGE = 65536 };

static struct {
    uintptr_t start, now, end;
} space;

static int extend(uintptr_t to)
{
    const size_t pages = (to - space.end + PAGE - 1) / PAGE;
    size_t at;
    if (to <= space.end) {
        return 0;
    }
    if (space.end != 0 && __builtin_wasm_memory_size(0) * (uintptr_t)PAGE != space.end) {
        return refused(ENOMEM);
    }
    at = __builtin_wasm_memory_grow(0, pages);
    if (at == SIZE_MAX) {
        return refused(ENOMEM);
    }
    if (space.end == 0) {
        space.start = space.now = space.end = at * PAGE;
    }
    space.end += pages * PAGE;
    return 0;
}

/* A first piece, large enough for what usually is asked for. */
static int begin(void)
{
    return space.end != 0 ? 0 : extend(16 * PAGE);
}

WEAK void* sbrk(intptr_t by)
{
    const uintptr_t before = begin() == 0 ? space.now : 0;
    if (before == 0 || (by > 0 && before + (uintptr_t)by < before) ||
        (by < 0 && before - space.start < (uintptr_t)-by) ||
        extend(before + (uintptr_t)by) != 0) {
        errno = ENOMEM;
        return (void*)-1;
    }
    if (by < 0) {
        __builtin_memset((void*)(before + (uintptr_t)by), 0, (size_t)-by);
    }
    space.now = before + (uintptr_t)by;
    return (void*)before;
}

WEAK int brk(void* end)
{
    if (begin() != 0 || (uintptr_t)end < space.start) {
        return refused(ENOMEM);
    }
    return sbrk((intptr_t)((uintptr_t)end - space.now)) == (void*)-1 ? -1 : 0;
}
