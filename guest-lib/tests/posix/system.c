// Environment, arguments, time, the host, random numbers, what cannot be loaded.
#include "check.h"

#include <dlfcn.h>
#include <getopt.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <syslog.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static void environment(void)
{
    CHECK(getenv("COLOUR") != NULL && strcmp(getenv("COLOUR"), "blue") == 0);
    CHECK(getenv("NONE") == NULL && setenv("NONE", "some", 1) == 0);
    CHECK(strcmp(getenv("NONE"), "some") == 0 && unsetenv("NONE") == 0 && getenv("NONE") == NULL);
}

static void arguments(int argc, char** argv)
{
    const struct option options[] = { { "long", required_argument, NULL, 'l' }, { 0, 0, 0, 0 } };
    int a = 0, b = 0, l = 0, c;
    while ((c = getopt_long(argc, argv, "ab:", options, NULL)) != -1) {
        a |= c == 'a';
        b |= c == 'b' && strcmp(optarg, "value") == 0;
        l |= c == 'l' && strcmp(optarg, "7") == 0;
    }
    CHECK(a && b && l && optind == argc - 1 && strcmp(argv[optind], "rest") == 0);
}

static void times_and_clocks(void)
{
    struct timespec first, second, resolution;
    struct timeval now;
    struct tms used;
    struct tm day;
    const time_t leap = 951782400; // 2000-02-29
    char text[32];
    CHECK(clock_gettime(CLOCK_MONOTONIC, &first) == 0);
    CHECK(usleep(2000) == 0 && clock_gettime(CLOCK_MONOTONIC, &second) == 0);
    const long long seconds = second.tv_sec - first.tv_sec;
    CHECK(seconds * 1000000000LL + second.tv_nsec - first.tv_nsec >= 2000000);
    CHECK(gettimeofday(&now, NULL) == 0 && now.tv_sec > 1700000000 && time(NULL) >= now.tv_sec);
    CHECK(clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && clock() != (clock_t)-1);
    CHECK(times(&used) != (clock_t)-1);
    CHECK(gmtime_r(&leap, &day) != NULL && day.tm_mday == 29 && day.tm_mon == 1);
    CHECK(strftime(text, sizeof text, "%Y-%m-%d", &day) == 10 && strcmp(text, "2000-02-29") == 0);
    tzset();
    CHECK(mktime(&day) == leap);
    REFUSED(settimeofday(&now, NULL), EPERM);
    REFUSED(clock_settime(CLOCK_REALTIME, &first), EPERM);
}

static void host(void)
{
    struct utsname name;
    char text[256];
    CHECK(uname(&name) == 0 && strcmp(name.machine, "wasm32") == 0);
    CHECK(gethostname(text, sizeof text) == 0 && strcmp(text, name.nodename) == 0);
    REFUSED(gethostname(text, 1), ENAMETOOLONG);
    CHECK(sysconf(_SC_PAGESIZE) == 65536 && getpagesize() == 65536);
    REFUSED(sysconf(-5), EINVAL);
}

static void numbers(void)
{
    unsigned char bytes[600] = { 0 };
    int zeros = 0;
    CHECK(getrandom(bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        zeros += bytes[i] == 0;
    }
    CHECK(zeros < 30);
    srand(5);
    const int first = rand();
    srand(5);
    CHECK(rand() == first && random() >= 0);
}

static void no_such_thing(void)
{
    struct termios modes;
    CHECK(dlopen("libm.so", RTLD_NOW) == NULL && strlen(dlerror()) > 0);
    REFUSED(tcgetattr(0, &modes), ENOTTY);
    REFUSED(tcgetattr(99, &modes), EBADF);
    NOTHING(ttyname(0), ENOTTY);
    openlog("guest", LOG_PID, LOG_USER);
    syslog(LOG_ERR, "to the %s", "log");
    setlogmask(1 << LOG_ERR);
    syslog(LOG_DEBUG, "not this");
}

int main(int argc, char** argv)
{
    environment();
    arguments(argc, argv);
    times_and_clocks();
    host();
    numbers();
    no_such_thing();
    puts("system ok");
    return 0;
}
