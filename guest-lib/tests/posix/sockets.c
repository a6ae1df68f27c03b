// There are no sockets and no names to look up; addresses as text are only text.
#include "check.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    struct sockaddr_in address;
    struct addrinfo hints, *found = &hints;
    socklen_t size = sizeof address;
    char byte = 0, text[16];
    int pair[2], on = 1;
    memset(&address, 0, sizeof address);
    memset(&hints, 0, sizeof hints);
    address.sin_family = AF_INET;
    address.sin_port = htons(80);
    CHECK(inet_pton(AF_INET, "127.0.0.1", &address.sin_addr) == 1);
    CHECK(inet_addr("1.2.3.4") == htonl(0x01020304) && inet_addr("x") == (in_addr_t)-1);
    CHECK(strcmp(inet_ntoa(address.sin_addr), "127.0.0.1") == 0);
    CHECK(inet_ntop(AF_INET, &address.sin_addr, text, sizeof text) == text);

    REFUSED(socket(AF_INET, SOCK_STREAM, 0), EAFNOSUPPORT);
    REFUSED(socket(AF_UNIX, SOCK_DGRAM, 0), EAFNOSUPPORT);
    REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EAFNOSUPPORT);
    for (int i = 0; i < 2; i++) {
        const int fd = i == 0 ? 1 : 99;
        const int error = i == 0 ? ENOTSOCK : EBADF;
        REFUSED(connect(fd, (struct sockaddr*)&address, size), error);
        REFUSED(bind(fd, (struct sockaddr*)&address, size), error);
        REFUSED(listen(fd, 1), error);
        REFUSED(accept(fd, (struct sockaddr*)&address, &size), error);
        REFUSED(send(fd, &byte, 1, 0), error);
        REFUSED(recv(fd, &byte, 1, 0), error);
        REFUSED(sendto(fd, &byte, 1, 0, (struct sockaddr*)&address, size), error);
        REFUSED(recvfrom(fd, &byte, 1, 0, NULL, NULL), error);
        REFUSED(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), error);
        REFUSED(getsockname(fd, (struct sockaddr*)&address, &size), error);
        REFUSED(getpeername(fd, (struct sockaddr*)&address, &size), error);
        REFUSED(shutdown(fd, SHUT_RDWR), error);
    }
    CHECK(getaddrinfo("localhost", "80", &hints, &found) == EAI_FAIL && found == NULL);
    CHECK(strlen(gai_strerror(EAI_FAIL)) > 0 && gethostbyname("localhost") == NULL);
    freeaddrinfo(found);
    puts("sockets ok");
    return 0;
}
