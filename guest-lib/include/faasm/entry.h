/* The entries of a function. Included by core.h.
 *
 * FAASM_MAIN_FUNC() { ... }       main: entry 0
 * FAASM_FUNC(name, idx) { ... }   another entry, chained by faasmChainThis(idx); name() is an
 *                                 ordinary function too
 * FAASM_ZYGOTE() { ... }          proto-function: runs once; every call starts from what it left
 *
 * Each returns int; 0 is success. In a sandbox every call starts in a fresh memory, so what stdio
 * still buffers is written out at its end. In a native build (guest-lib/native) calls are threads
 * of one program and share its memory; FAASM_NATIVE is defined there.
 */
#ifndef FAASM_ENTRY_H
#define FAASM_ENTRY_H

#include <stdlib.h>

#ifdef __cplusplus
#define FAASM_C_LINKAGE extern "C"
#else
#define FAASM_C_LINKAGE extern
#endif

#define FAASM_TEXT_(x) #x
#define FAASM_TEXT(x) FAASM_TEXT_(x)
#define FAASM_JOIN_(a, b) a##b
#define FAASM_JOIN(a, b) FAASM_JOIN_(a, b)

#if defined(__wasm__)

#define FAASM_EXPORT(name) __attribute__((used, visibility("default"), export_name(name)))

FAASM_C_LINKAGE void __wasm_call_ctors(void);
FAASM_C_LINKAGE void __wasm_call_dtors(void);
/* Defined exactly where libc's stdio can have something buffered. */
FAASM_C_LINKAGE void __stdio_exit(void) __attribute__((weak));

static inline int faasmLeave(int result)
{
    if (__stdio_exit) {
        __stdio_exit();
    }
    return result;
}

/* Whether the constructors have run: by __mobula_init, by _initialize of a reactor or by _start. */
FAASM_C_LINKAGE __attribute__((weak)) int __mobula_constructed;
int __mobula_constructed = 0;

/* The first of the constructors, whoever runs them. The allocator takes all memory up to its
 * present end as heap when it is first used: use it now, before windows lie there. */
__attribute__((constructor(101))) static void faasmConstructed(void)
{
    if (!__mobula_constructed) {
        void* volatile first = malloc(1);
        free(first);
        __mobula_constructed = 1;
    }
}

FAASM_C_LINKAGE __attribute__((weak)) FAASM_EXPORT("__mobula_init") void __mobula_init(void);
void __mobula_init(void)
{
    if (!__mobula_constructed) {
        __wasm_call_ctors();
    }
}

/* As after any main: atexit handlers and destructors of globals run, then stdio is written out. */
FAASM_C_LINKAGE __attribute__((weak)) FAASM_EXPORT("__mobula_main") int __mobula_main(void);
int __mobula_main(void)
{
    int result;
    /* libc's way to main, whatever its parameters. In assembly, because a declaration of
     * __main_void beside an `int main(void)` makes clang rename the symbol by which libc finds that
     * main. */
    __asm__ volatile(".functype __main_void () -> (i32)\n\tcall __main_void\n\tlocal.set %0"
                     : "=r"(result)
                     :
                     : "memory");
    __wasm_call_dtors();
    return result;
}

/* How the host calls an entry that was given by its address (faasmChain). */
FAASM_C_LINKAGE __attribute__((weak)) FAASM_EXPORT("__mobula_call_pointer") int
__mobula_call_pointer(int (*function)(void));
int __mobula_call_pointer(int (*function)(void))
{
    return faasmLeave(function());
}

#define FAASM_MAIN_FUNC()                                                                          \
    int main(int argc __attribute__((unused)), char** argv __attribute__((unused)))

#define FAASM_FUNC(name, idx)                                                                      \
    int name(void);                                                                                \
    FAASM_C_LINKAGE FAASM_EXPORT("_faasm_func_" FAASM_TEXT(idx)) int FAASM_JOIN(                   \
      _faasm_entry_, idx)(void);                                                                   \
    int FAASM_JOIN(_faasm_entry_, idx)(void)                                                       \
    {                                                                                              \
        return faasmLeave(name());                                                                 \
    }                                                                                              \
    int name(void)

#define FAASM_ZYGOTE()                                                                             \
    static int _faasm_zygote_body(void);                                                           \
    FAASM_C_LINKAGE FAASM_EXPORT("_faasm_zygote") int _faasm_zygote(void);                         \
    int _faasm_zygote(void)                                                                        \
    {                                                                                              \
        return faasmLeave(_faasm_zygote_body());                                                   \
    }                                                                                              \
    static int _faasm_zygote_body(void)

#else /* native */

#ifndef FAASM_NATIVE
#define FAASM_NATIVE 1
#endif

#define FAASM_HIDDEN __attribute__((visibility("hidden")))

/* Tells the executable or shared object apart that something is in; every one has its own. */
FAASM_C_LINKAGE FAASM_HIDDEN void* __dso_handle;

/* Of mobula_native.c; called by constructor functions before main, or while dlopen loads. */
FAASM_C_LINKAGE void __mobula_native_entry(const void* object, int idx, int (*function)(void));
FAASM_C_LINKAGE void __mobula_native_main_entry(const void* object, int (*function)(int, char**));
FAASM_C_LINKAGE void __mobula_native_zygote(const void* object, int (*function)(void));
FAASM_C_LINKAGE int __mobula_native_main(int argc, char** argv);

#define FAASM_MAIN_FUNC()                                                                          \
    static int _faasm_main_body(int argc, char** argv);                                            \
    __attribute__((constructor)) static void _faasm_main_register(void)                            \
    {                                                                                              \
        __mobula_native_main_entry(&__dso_handle, _faasm_main_body);                               \
    }                                                                                              \
    int main(int argc, char** argv)                                                                \
    {                                                                                              \
        return __mobula_native_main(argc, argv);                                                   \
    }                                                                                              \
    static int _faasm_main_body(int argc __attribute__((unused)),                                  \
                                char** argv __attribute__((unused)))

/* Hidden, so that equal names in the executable and in a shared object stay two functions. */
#define FAASM_FUNC(name, idx)                                                                      \
    FAASM_HIDDEN int name(void);                                                                   \
    FAASM_C_LINKAGE FAASM_HIDDEN int FAASM_JOIN(_faasm_entry_, idx)(void);                         \
    int FAASM_JOIN(_faasm_entry_, idx)(void)                                                       \
    {                                                                                              \
        return name();                                                                             \
    }                                                                                              \
    __attribute__((constructor)) static void FAASM_JOIN(_faasm_register_, idx)(void)               \
    {                                                                                              \
        __mobula_native_entry(&__dso_handle, idx, FAASM_JOIN(_faasm_entry_, idx));                 \
    }                                                                                              \
    int name(void)

#define FAASM_ZYGOTE()                                                                             \
    static int _faasm_zygote_body(void);                                                           \
    __attribute__((constructor)) static void _faasm_zygote_register(void)                          \
    {                                                                                              \
        __mobula_native_zygote(&__dso_handle, _faasm_zygote_body);                                 \
    }                                                                                              \
    static int _faasm_zygote_body(void)

#endif

#endif
