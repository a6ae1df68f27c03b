/* Sockets: there are none, so an open descriptor is something else. Look-ups fail for good. */
#include "posix.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

WEAK int socket(int domain UNUSED, int type UNUSED, int protocol UNUSED)
{
    return refused(EAFNOSUPPORT);
}

WEAK int socketpair(int domain UNUSED, int type UNUSED, int protocol UNUSED, int fds[2] UNUSED)
{
    return refused(EAFNOSUPPORT);
}

WEAK int bind(int fd, const struct sockaddr* address UNUSED, socklen_t size UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK int connect(int fd, const struct sockaddr* address UNUSED, socklen_t size UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK int listen(int fd, int backlog UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK int getsockname(int fd, struct sockaddr* __restrict address UNUSED,
                     socklen_t* __restrict size UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK int getpeername(int fd, struct sockaddr* __restrict address UNUSED,
                     socklen_t* __restrict size UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK int setsockopt(int fd, int level UNUSED, int name UNUSED, const void* value UNUSED,
                    socklen_t size UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK int getsockopt(int fd, int level UNUSED, int name UNUSED, void* __restrict value UNUSED,
                    socklen_t* __restrict size UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK int shutdown(int fd, int how UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK int accept(int fd, struct sockaddr* __restrict address UNUSED,
                socklen_t* __restrict size UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK int accept4(int fd, struct sockaddr* __restrict address UNUSED,
                 socklen_t* __restrict size UNUSED, int flags UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK ssize_t send(int fd, const void* bytes UNUSED, size_t size UNUSED, int flags UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK ssize_t recv(int fd, void* bytes UNUSED, size_t size UNUSED, int flags UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK ssize_t sendto(int fd, const void* bytes UNUSED, size_t size UNUSED, int flags UNUSED,
                    const struct sockaddr* address UNUSED, socklen_t address_size UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK ssize_t recvfrom(int fd, void* __restrict bytes UNUSED, size_t size UNUSED, int flags UNUSED,
                      struct sockaddr* __restrict address UNUSED,
                      socklen_t* __restrict address_size UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK ssize_t sendmsg(int fd, const struct msghdr* message UNUSED, int flags UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

WEAK ssize_t recvmsg(int fd, struct msghdr* message UNUSED, int flags UNUSED)
{
    return __mobula_refused_fd(fd, ENOTSOCK);
}

#ifdef h_errno
WEAK int* __h_errno_location(void)
{
    static int value;
    return &value;
}
#else
WEAK int h_errno = 0;
#endif

WEAK int getaddrinfo(const char* __restrict node UNUSED, const char* __restrict service UNUSED,
                     const struct addrinfo* __restrict hints UNUSED,
                     struct addrinfo** __restrict result)
{
    *result = NULL;
    return EAI_FAIL;
}

WEAK void freeaddrinfo(struct addrinfo* list UNUSED)
{
}

WEAK const char* gai_strerror(int code)
{
    return code == 0 ? "Success" : "There is no network, and no look-up of names";
}

WEAK int getnameinfo(const struct sockaddr* __restrict address UNUSED, socklen_t size UNUSED,
                     char* __restrict host UNUSED, socklen_t host_size UNUSED,
                     char* __restrict service UNUSED, socklen_t service_size UNUSED,
                     int flags UNUSED)
{
    return EAI_FAIL;
}

WEAK struct hostent* gethostbyname(const char* name UNUSED)
{
    h_errno = NO_RECOVERY;
    return NULL;
}

WEAK struct hostent* gethostbyaddr(const void* address UNUSED, socklen_t size UNUSED,
                                   int type UNUSED)
{
    h_errno = NO_RECOVERY;
    return NULL;
}

WEAK struct servent* getservbyname(const char* name UNUSED, const char* protocol UNUSED)
{
    return NULL;
}

WEAK struct servent* getservbyport(int port UNUSED, const char* protocol UNUSED)
{
    return NULL;
}

WEAK struct protoent* getprotobyname(const char* name UNUSED)
{
    return NULL;
}

/* ---------------------------------------------------------------- addresses as text */

WEAK int inet_aton(const char* text, struct in_addr* address)
{
    return inet_pton(AF_INET, text, address) == 1;
}

WEAK in_addr_t inet_addr(const char* text)
{
    struct in_addr address;
    return inet_aton(text, &address) ? address.s_addr : (in_addr_t)-1;
}

WEAK char* inet_ntoa(struct in_addr address)
{
    static char text[16];
    const unsigned char* bytes = (const unsigned char*)&address;
    snprintf(text, sizeof text, "%d.%d.%d.%d", bytes[0], bytes[1], bytes[2], bytes[3]);
    return text;
}
