/* Shared objects, which a module cannot load. */
#ifndef MOBULA_DLFCN_H
#define MOBULA_DLFCN_H

#if __has_include(<__wasi_snapshot.h>) && __has_include_next(<dlfcn.h>)
#include_next <dlfcn.h>
#else

#define RTLD_LAZY 1
#define RTLD_NOW 2
#define RTLD_GLOBAL 256
#define RTLD_LOCAL 0
#define RTLD_DEFAULT ((void*)0)
#define RTLD_NEXT ((void*)-1)

#ifdef __cplusplus
extern "C" {
#endif

void* dlopen(const char* path, int flags);
void* dlsym(void* __restrict handle, const char* __restrict name);
int dlclose(void* handle);
char* dlerror(void);

#ifdef __cplusplus
}
#endif

#endif

#endif
