// What one process without others can answer.
#include "check.h"

#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void processes(void)
{
    char* const args[] = { (char*)"sh", NULL };
    int fds[2], status;
    pid_t pid;
    REFUSED(fork(), ENOSYS);
    REFUSED(vfork(), ENOSYS);
    REFUSED(execv("/bin/sh", args), ENOSYS);
    REFUSED(execvp("sh", args), ENOSYS);
    REFUSED(execl("/bin/sh", "sh", (char*)NULL), ENOSYS);
    REFUSED(wait(&status), ECHILD);
    REFUSED(waitpid(-1, &status, WNOHANG), ECHILD);
    CHECK(posix_spawn(&pid, "/bin/sh", NULL, NULL, args, args) == ENOSYS);
    REFUSED(system("true"), ENOSYS);
    CHECK(system(NULL) == 0);
    NOTHING(popen("true", "r"), ENOSYS);
    REFUSED(pipe(fds), ENOSYS);
    REFUSED(dup(1), ENOSYS);
    REFUSED(dup(99), EBADF);
    REFUSED(dup2(1, 5), ENOSYS);
    CHECK(dup2(1, 1) == 1);
    REFUSED(setsid(), EPERM);
    CHECK(getpid() > 0 && getpgrp() == getpid() && getppid() != getpid());
}

static void users(void)
{
    CHECK(getuid() == 0 && geteuid() == 0 && getgid() == 0 && getegid() == 0);
    CHECK(setuid(0) == 0 && getgroups(0, NULL) == 0);
    REFUSED(setuid(1000), EPERM);
    REFUSED(setgid(1000), EPERM);
    REFUSED(seteuid(7), EPERM);
    CHECK(getpwuid(0) != NULL && strcmp(getpwuid(0)->pw_name, "root") == 0);
    CHECK(getpwuid(1) == NULL && getpwnam("nobody") == NULL && getgrgid(0) != NULL);
    NOTHING(getlogin(), ENOTTY);
}

static volatile sig_atomic_t caught = 0;

static void on_signal(int number)
{
    caught = number;
}

static void signals(void)
{
    struct sigaction action, before;
    sigset_t set, old;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    CHECK(sigemptyset(&action.sa_mask) == 0 && sigaction(SIGUSR1, &action, &before) == 0);
    CHECK(before.sa_handler == SIG_DFL && raise(SIGUSR1) == 0 && caught == SIGUSR1);
    caught = 0;
    CHECK(kill(getpid(), SIGUSR1) == 0 && caught == SIGUSR1);
    CHECK(sigaction(SIGUSR1, NULL, &before) == 0 && before.sa_handler == on_signal);
    CHECK(kill(getpid(), 0) == 0);
    REFUSED(kill(12345, SIGTERM), ESRCH);
    REFUSED(kill(getpid(), 1000), EINVAL);
    REFUSED(sigaction(SIGKILL, &action, NULL), EINVAL);
    action.sa_flags = SA_SIGINFO;
    REFUSED(sigaction(SIGUSR1, &action, NULL), ENOSYS);
    CHECK(sigemptyset(&set) == 0 && sigaddset(&set, SIGSYS) == 0);
    CHECK(sigismember(&set, SIGSYS) == 1 && sigismember(&set, SIGINT) == 0);
    REFUSED(sigaddset(&set, 100), EINVAL);
    REFUSED(sigprocmask(SIG_BLOCK, &set, &old), ENOSYS);
    CHECK(sigprocmask(SIG_UNBLOCK, &set, &old) == 0 && sigismember(&old, SIGSYS) == 0);
    REFUSED(pause(), ENOSYS);
    errno = 0;
    CHECK(alarm(1) == 0 && errno == ENOSYS);
    struct itimerval timer;
    memset(&timer, 0, sizeof timer);
    REFUSED(setitimer(ITIMER_REAL, &timer, NULL), ENOSYS);
}

static void limits(void)
{
    struct rlimit limit;
    struct rusage usage;
    limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
    REFUSED(getrlimit(RLIMIT_STACK, &limit), ENOSYS);
    REFUSED(setrlimit(RLIMIT_STACK, &limit), ENOSYS);
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    CHECK(nice(0) == 0);
    REFUSED(nice(1), EPERM);
}

static void* body(void* arg)
{
    return arg;
}

static int once_runs = 0;

static void run_once(void)
{
    once_runs++;
}

static void threads(void)
{
    pthread_t thread;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_key_t key;
    CHECK(pthread_create(&thread, NULL, body, NULL) != 0);
    CHECK(pthread_mutex_lock(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
    CHECK(pthread_once(&once, run_once) == 0 && pthread_once(&once, run_once) == 0);
    CHECK(once_runs == 1 && pthread_equal(pthread_self(), pthread_self()));
    CHECK(pthread_key_create(&key, NULL) == 0 && pthread_setspecific(key, &key) == 0);
    CHECK(pthread_getspecific(key) == &key);
}

int main(void)
{
    processes();
    users();
    signals();
    limits();
    threads();
    puts("process ok");
    return 0;
}
