/* Signals: a program can raise them to itself; nobody sends any. What WASI leaves out. */
#ifndef MOBULA_SIGNAL_H
#define MOBULA_SIGNAL_H

#include_next <signal.h>
#include <features.h>
#include <stdint.h>
#include <sys/types.h>

#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

#define SA_NOCLDSTOP 1
#define SA_NOCLDWAIT 2
#define SA_SIGINFO 4
#define SA_ONSTACK 0x08000000
#define SA_RESTART 0x10000000
#define SA_NODEFER 0x40000000
#define SA_RESETHAND 0x80000000

/* The libc's type, which its own headers go on using, has room for 8 signals. */
#if __has_include(<__typedef_sigset_t.h>)
#include <__typedef_sigset_t.h>
#endif
typedef struct {
    uint64_t bits;
} mobula_sigset_t;
#define sigset_t mobula_sigset_t

union sigval {
    int sival_int;
    void* sival_ptr;
};

typedef struct {
    int si_signo, si_errno, si_code, si_status;
    int si_pid, si_uid;
    void* si_addr;
    union sigval si_value;
} siginfo_t;

struct sigaction {
    union {
        void (*sa_handler)(int);
        void (*sa_sigaction)(int, siginfo_t*, void*);
    } handler;
    sigset_t sa_mask;
    int sa_flags;
};
#define sa_handler handler.sa_handler
#define sa_sigaction handler.sa_sigaction

typedef struct {
    void* ss_sp;
    int ss_flags;
    size_t ss_size;
} stack_t;
#define SS_ONSTACK 1
#define SS_DISABLE 2
#define MINSIGSTKSZ 2048
#define SIGSTKSZ 8192

#ifdef __cplusplus
extern "C" {
#endif

int kill(pid_t pid, int signal);
int killpg(pid_t group, int signal);
int sigaction(int signal, const struct sigaction* __restrict action,
              struct sigaction* __restrict before);
int sigemptyset(sigset_t* set);
int sigfillset(sigset_t* set);
int sigaddset(sigset_t* set, int signal);
int sigdelset(sigset_t* set, int signal);
int sigismember(const sigset_t* set, int signal);
int sigprocmask(int how, const sigset_t* __restrict set, sigset_t* __restrict before);
int sigpending(sigset_t* set);
int sigsuspend(const sigset_t* set);
int sigwait(const sigset_t* __restrict set, int* __restrict signal);
int sigaltstack(const stack_t* __restrict stack, stack_t* __restrict before);
int siginterrupt(int signal, int flag);

#ifdef __cplusplus
}
#endif

#endif
