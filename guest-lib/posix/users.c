/* Users and groups: one of each, number 0. */
#include "posix.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

WEAK uid_t getuid(void)
{
    return 0;
}

WEAK uid_t geteuid(void)
{
    return 0;
}

WEAK gid_t getgid(void)
{
    return 0;
}

WEAK gid_t getegid(void)
{
    return 0;
}

WEAK int getgroups(int size UNUSED, gid_t list[] UNUSED)
{
    return 0;
}

/* Staying who one is does no harm; somebody else one cannot be. */
static int become(unsigned number)
{
    return number == 0 || number == (unsigned)-1 ? 0 : refused(EPERM);
}

WEAK int setuid(uid_t uid)
{
    return become(uid);
}

WEAK int seteuid(uid_t uid)
{
    return become(uid);
}

WEAK int setgid(gid_t gid)
{
    return become(gid);
}

WEAK int setegid(gid_t gid)
{
    return become(gid);
}

WEAK int setreuid(uid_t real, uid_t effective)
{
    return become(real) == 0 ? become(effective) : -1;
}

WEAK int setregid(gid_t real, gid_t effective)
{
    return become(real) == 0 ? become(effective) : -1;
}

WEAK int setgroups(size_t count, const gid_t* list UNUSED)
{
    return count == 0 ? 0 : refused(EPERM);
}

WEAK int initgroups(const char* user UNUSED, gid_t group UNUSED)
{
    return refused(EPERM);
}

static char* from_environment(const char* name, const char* otherwise)
{
    char* set = getenv(name);
    return set != NULL && set[0] != '\0' ? set : (char*)otherwise;
}

static void fill(struct passwd* entry)
{
    memset(entry, 0, sizeof *entry);
    entry->pw_name = from_environment("USER", "root");
    entry->pw_passwd = entry->pw_gecos = (char*)"";
    entry->pw_dir = from_environment("HOME", "/");
    entry->pw_shell = (char*)"";
}

static struct passwd the_user;

WEAK struct passwd* getpwuid(uid_t uid)
{
    fill(&the_user);
    return uid == 0 ? &the_user : NULL;
}

WEAK struct passwd* getpwnam(const char* name)
{
    fill(&the_user);
    return strcmp(name, the_user.pw_name) == 0 ? &the_user : NULL;
}

/* The strings live in the environment: the buffer is not needed. */
WEAK int getpwuid_r(uid_t uid, struct passwd* entry, char* buffer UNUSED, size_t size UNUSED,
                    struct passwd** result)
{
    fill(entry);
    *result = uid == 0 ? entry : NULL;
    return 0;
}

WEAK int getpwnam_r(const char* name, struct passwd* entry, char* buffer UNUSED,
                    size_t size UNUSED, struct passwd** result)
{
    fill(entry);
    *result = strcmp(name, entry->pw_name) == 0 ? entry : NULL;
    return 0;
}

static char* no_members[1];
static struct group the_group;

WEAK struct group* getgrgid(gid_t gid)
{
    the_group.gr_name = (char*)"root";
    the_group.gr_passwd = (char*)"";
    the_group.gr_mem = no_members;
    return gid == 0 ? &the_group : NULL;
}

WEAK struct group* getgrnam(const char* name)
{
    return strcmp(name, "root") == 0 ? getgrgid(0) : NULL;
}

/* Nobody has logged in at a terminal. */
WEAK char* getlogin(void)
{
    errno = ENOTTY;
    return NULL;
}

WEAK int getlogin_r(char* name UNUSED, size_t size UNUSED)
{
    return ENOTTY;
}
