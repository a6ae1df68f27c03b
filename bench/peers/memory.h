/* Memory of the peers: aligned, with huge pages where the machine has them, and untouched, so that the first
 * thread that writes to a page decides where it is. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stdlib.h>
#include <sys/mman.h>

static inline void* huge(size_t bytes)
{
    const size_t page = (size_t)2 << 20;
    size_t whole = (bytes + page - 1) / page * page;
    void* memory = aligned_alloc(page, whole > 0 ? whole : page);
    if (memory == NULL) {
        abort();
    }
    madvise(memory, whole, MADV_HUGEPAGE);
    return memory;
}

#endif
