/* What WASI's <sys/socket.h> leaves out; there are no sockets, see guest-lib/posix. */
#ifndef MOBULA_SYS_SOCKET_H
#define MOBULA_SYS_SOCKET_H

#include_next <sys/socket.h>

#ifndef AF_INET
#define AF_INET 1
#define AF_INET6 2
#define AF_UNIX 3
#endif
#ifndef AF_LOCAL
#define AF_LOCAL AF_UNIX
#endif
#ifndef PF_UNSPEC
#define PF_UNSPEC AF_UNSPEC
#define PF_INET AF_INET
#define PF_INET6 AF_INET6
#define PF_UNIX AF_UNIX
#define PF_LOCAL AF_UNIX
#endif
#ifndef SOCK_RAW
#define SOCK_RAW 3
#endif
#ifndef SOMAXCONN
#define SOMAXCONN 128
#endif
#ifndef SO_REUSEADDR
#define SO_REUSEADDR 2
#define SO_ERROR 4
#define SO_BROADCAST 6
#define SO_SNDBUF 7
#define SO_RCVBUF 8
#define SO_KEEPALIVE 9
#define SO_LINGER 13
#define SO_REUSEPORT 15
#define SO_RCVTIMEO 20
#define SO_SNDTIMEO 21
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0x4000
#define MSG_DONTWAIT 0x0040
#endif

#ifdef __cplusplus
extern "C" {
#endif

int socket(int domain, int type, int protocol);
int socketpair(int domain, int type, int protocol, int fds[2]);
int bind(int fd, const struct sockaddr* address, socklen_t size);
int connect(int fd, const struct sockaddr* address, socklen_t size);
int listen(int fd, int backlog);
int getsockname(int fd, struct sockaddr* __restrict address, socklen_t* __restrict size);
int getpeername(int fd, struct sockaddr* __restrict address, socklen_t* __restrict size);
int setsockopt(int fd, int level, int name, const void* value, socklen_t size);
ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const struct sockaddr* address,
               socklen_t address_size);
ssize_t recvfrom(int fd, void* __restrict bytes, size_t size, int flags,
                 struct sockaddr* __restrict address, socklen_t* __restrict address_size);
ssize_t sendmsg(int fd, const struct msghdr* message, int flags);
ssize_t recvmsg(int fd, struct msghdr* message, int flags);

#ifdef __cplusplus
}
#endif

#endif
