/* What WASI's <arpa/inet.h> leaves out. */
#ifndef MOBULA_ARPA_INET_H
#define MOBULA_ARPA_INET_H

#include_next <arpa/inet.h>

#ifdef __cplusplus
extern "C" {
#endif

in_addr_t inet_addr(const char* text);
int inet_aton(const char* text, struct in_addr* address);
char* inet_ntoa(struct in_addr address);

#ifdef __cplusplus
}
#endif

#endif
