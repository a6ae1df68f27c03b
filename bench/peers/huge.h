/* Memory for peers: zeroed by whoever touches it first, aligned to huge pages and advised to be of them. */
#ifndef BENCH_HUGE_H
#define BENCH_HUGE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static inline void* huge_alloc(size_t bytes)
{
    const size_t huge = (size_t)2 << 20;
    size_t size = (bytes + huge - 1) / huge * huge;
    /* One huge page more, so that an aligned start is within. */
    char* memory = mmap(NULL, size + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("memory");
        exit(1);
    }
    memory += (huge - (size_t)memory % huge) % huge;
    madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

#endif
