// A program's own functions take the place of ours.
#include "check.h"

#include <sys/socket.h>
#include <unistd.h>

int socket(int domain, int type, int protocol)
{
    return domain + type + protocol + 1000;
}

uid_t getuid(void)
{
    return 42;
}

int main(void)
{
    CHECK(socket(1, 0, 2) == 1003 && getuid() == 42 && geteuid() == 0);
    puts("own ok");
    return 0;
}
