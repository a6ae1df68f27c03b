/* The group database: one group, number 0. */
#ifndef MOBULA_GRP_H
#define MOBULA_GRP_H

#include <stddef.h>
#include <sys/types.h>

struct group {
    char *gr_name, *gr_passwd;
    gid_t gr_gid;
    char** gr_mem;
};

#ifdef __cplusplus
extern "C" {
#endif

struct group* getgrgid(gid_t gid);
struct group* getgrnam(const char* name);
int setgroups(size_t count, const gid_t* list);
int initgroups(const char* user, gid_t group);

#ifdef __cplusplus
}
#endif

#endif
