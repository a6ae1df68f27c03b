/* wasi-libc's header of this name, whose place this takes (mobula cc puts this directory first).
 *
 * It declares errno as thread-local and defines it as an ordinary variable, which is the same only
 * as long as the compiler has no atomics and so no threads. Here it is declared as what it is.
 */
#ifndef FAASM_LIBC_ERRNO_H
#define FAASM_LIBC_ERRNO_H

#ifdef __cplusplus
extern "C" {
#endif

extern int __mobula_errno __asm__("errno");

#ifdef __cplusplus
}
#endif

#define errno __mobula_errno

#endif
