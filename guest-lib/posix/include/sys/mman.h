/* Mappings as lax as Linux's; see guest-lib/posix/memory.c. */
#ifndef MOBULA_SYS_MMAN_H
#define MOBULA_SYS_MMAN_H

#include_next <sys/mman.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The libc's own emulation, which refuses more, has the plain names. */
void* mmap(void* address, size_t size, int protection, int flags, int fd,
           off_t offset) __asm__("__mobula_mmap");
int munmap(void* address, size_t size) __asm__("__mobula_munmap");
int mprotect(void* address, size_t size, int protection) __asm__("__mobula_mprotect");

#ifdef __cplusplus
}
#endif

#endif
