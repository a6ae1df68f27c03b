/* What WASI's <stdlib.h> leaves out; answered by guest-lib/posix. */
#ifndef MOBULA_STDLIB_H
#define MOBULA_STDLIB_H

#include_next <stdlib.h>
#include <features.h>

#ifdef __cplusplus
extern "C" {
#endif

int system(const char* command);

#if defined(_POSIX_C_SOURCE) || defined(_XOPEN_SOURCE) || defined(_GNU_SOURCE) ||                 \
  defined(_BSD_SOURCE)
int mkstemp(char* name);
int mkostemp(char* name, int flags);
char* mkdtemp(char* name);
char* mktemp(char* name);
char* realpath(const char* __restrict path, char* __restrict resolved);
#endif

#ifdef __cplusplus
}
#endif

#endif
