/* What WASI's <stdio.h> leaves out; answered by guest-lib/posix. */
#ifndef MOBULA_STDIO_H
#define MOBULA_STDIO_H

#include_next <stdio.h>
#include <features.h>

#ifndef L_tmpnam
#define L_tmpnam 20
#define TMP_MAX 10000
#endif
#ifndef P_tmpdir
#define P_tmpdir "/tmp"
#endif

#ifdef __cplusplus
extern "C" {
#endif

FILE* tmpfile(void);
char* tmpnam(char* name);

#if defined(_POSIX_C_SOURCE) || defined(_XOPEN_SOURCE) || defined(_GNU_SOURCE) ||                 \
  defined(_BSD_SOURCE)
FILE* popen(const char* command, const char* mode);
int pclose(FILE* stream);
#endif

#ifdef __cplusplus
}
#endif

#endif
