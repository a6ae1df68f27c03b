/* What WASI's <unistd.h> leaves out; answered by guest-lib/posix. */
#ifndef MOBULA_UNISTD_H
#define MOBULA_UNISTD_H

#include_next <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

int pipe(int fds[2]);
int pipe2(int fds[2], int flags);
int dup(int fd);
int dup2(int fd, int to);
int dup3(int fd, int to, int flags);
pid_t fork(void);
pid_t vfork(void);
int execve(const char* path, char* const argv[], char* const envp[]);
int execv(const char* path, char* const argv[]);
int execvp(const char* file, char* const argv[]);
int execvpe(const char* file, char* const argv[], char* const envp[]);
int fexecve(int fd, char* const argv[], char* const envp[]);
int execl(const char* path, const char* arg, ...);
int execlp(const char* file, const char* arg, ...);
int execle(const char* path, const char* arg, ...);
pid_t getppid(void);
pid_t getpgrp(void);
pid_t getpgid(pid_t pid);
int setpgid(pid_t pid, pid_t group);
pid_t setsid(void);
pid_t getsid(pid_t pid);
int daemon(int no_chdir, int no_close);
int nice(int by);
unsigned alarm(unsigned seconds);
int pause(void);

uid_t getuid(void);
uid_t geteuid(void);
gid_t getgid(void);
gid_t getegid(void);
int getgroups(int size, gid_t list[]);
int setuid(uid_t uid);
int seteuid(uid_t uid);
int setgid(gid_t gid);
int setegid(gid_t gid);
int setreuid(uid_t real, uid_t effective);
int setregid(gid_t real, gid_t effective);
char* getlogin(void);
int getlogin_r(char* name, size_t size);

int chown(const char* path, uid_t owner, gid_t group);
int fchown(int fd, uid_t owner, gid_t group);
int lchown(const char* path, uid_t owner, gid_t group);
int fchownat(int dir, const char* path, uid_t owner, gid_t group, int flags);
int chroot(const char* path);
int fchdir(int fd);
void sync(void);
int lockf(int fd, int command, off_t size);
#ifndef F_ULOCK
#define F_ULOCK 0
#define F_LOCK 1
#define F_TLOCK 2
#define F_TEST 3
#endif

char* ttyname(int fd);
int ttyname_r(int fd, char* name, size_t size);
pid_t tcgetpgrp(int fd);
int tcsetpgrp(int fd, pid_t group);

int gethostname(char* name, size_t size);
int sethostname(const char* name, size_t size);
int getpagesize(void);
int getdtablesize(void);
int brk(void* end);
/* The libc's own grows in whole pages of 64 KiB only, and its allocator lives on it. */
void* sbrk(intptr_t by) __asm__("__mobula_sbrk");

#ifdef __cplusplus
}
#endif

#endif
