/* Starting programs, which a module cannot. */
#ifndef MOBULA_SPAWN_H
#define MOBULA_SPAWN_H

#include <sys/types.h>

typedef struct {
    int unused;
} posix_spawn_file_actions_t;
typedef struct {
    int unused;
} posix_spawnattr_t;

#ifdef __cplusplus
extern "C" {
#endif

int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const argv[], char* const envp[]);
int posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const argv[], char* const envp[]);

#ifdef __cplusplus
}
#endif

#endif
