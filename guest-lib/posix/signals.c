/* Signals that a program raises to itself, over the libc's emulation; nobody else sends any. */
#include "posix.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static int good(int number)
{
    return number > 0 && number < 65;
}

static int group_of_self(pid_t pid)
{
    return pid == 0 || pid == -1 || pid == getpid() || pid == -getpid();
}

WEAK int kill(pid_t pid, int number)
{
    if (number != 0 && !good(number)) {
        return refused(EINVAL);
    }
    if (!group_of_self(pid)) {
        return refused(ESRCH);
    }
    return number == 0 || raise(number) == 0 ? 0 : -1;
}

WEAK int killpg(pid_t group, int number)
{
    return kill(group, number);
}

/* The handler as the emulation knows it; what needs more than a number cannot be had. */
WEAK int sigaction(int number, const struct sigaction* __restrict action,
                   struct sigaction* __restrict before)
{
    void (*old)(int);
    if (!good(number) || number == SIGKILL || number == SIGSTOP) {
        return refused(EINVAL);
    }
    if (action != NULL && (action->sa_flags & SA_SIGINFO) != 0) {
        return refused(ENOSYS);
    }
    old = signal(number, action != NULL ? action->sa_handler : SIG_DFL);
    if (old == SIG_ERR) {
        return -1;
    }
    if (action == NULL) {
        signal(number, old);
    }
    if (before != NULL) {
        memset(before, 0, sizeof *before);
        before->sa_handler = old;
    }
    return 0;
}

WEAK int sigemptyset(sigset_t* set)
{
    set->bits = 0;
    return 0;
}

WEAK int sigfillset(sigset_t* set)
{
    set->bits = ~(uint64_t)0;
    return 0;
}

WEAK int sigaddset(sigset_t* set, int number)
{
    if (!good(number)) {
        return refused(EINVAL);
    }
    set->bits |= (uint64_t)1 << (number - 1);
    return 0;
}

WEAK int sigdelset(sigset_t* set, int number)
{
    if (!good(number)) {
        return refused(EINVAL);
    }
    set->bits &= ~((uint64_t)1 << (number - 1));
    return 0;
}

WEAK int sigismember(const sigset_t* set, int number)
{
    return good(number) ? (int)(set->bits >> (number - 1) & 1) : refused(EINVAL);
}

/* Nothing is blocked, and nothing can be: a raised signal is handled at once. */
WEAK int sigprocmask(int how, const sigset_t* __restrict set, sigset_t* __restrict before)
{
    if (set != NULL && (how < SIG_BLOCK || how > SIG_SETMASK)) {
        return refused(EINVAL);
    }
    if (before != NULL) {
        before->bits = 0;
    }
    return set == NULL || how == SIG_UNBLOCK || set->bits == 0 ? 0 : refused(ENOSYS);
}

WEAK int sigpending(sigset_t* set)
{
    return sigemptyset(set);
}

WEAK int sigsuspend(const sigset_t* set UNUSED)
{
    return refused(ENOSYS);
}

WEAK int sigwait(const sigset_t* __restrict set UNUSED, int* __restrict number UNUSED)
{
    return ENOSYS;
}

WEAK int sigaltstack(const stack_t* __restrict stack, stack_t* __restrict before)
{
    if (before != NULL) {
        memset(before, 0, sizeof *before);
        before->ss_flags = SS_DISABLE;
    }
    return stack == NULL || (stack->ss_flags & SS_DISABLE) != 0 ? 0 : refused(ENOSYS);
}

WEAK int siginterrupt(int number, int flag UNUSED)
{
    return good(number) ? 0 : refused(EINVAL);
}
