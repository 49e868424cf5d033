/* SPDX-License-Identifier: MIT */
#include "core/resolve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* A unix name may fill sun_path without a NUL; an abstract one starts with NUL, shown as '@'. */
static void format_unix(char *out, size_t max, const struct nk_addr *a)
{
    struct sockaddr_un un;
    char path[sizeof(un.sun_path) + 1] = "";
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t n = a->len > head ? a->len - head : 0;
    memcpy(&un, &a->ss, sizeof(un));
    memcpy(path, un.sun_path, n < sizeof(un.sun_path) ? n : sizeof(un.sun_path));
    if (n > 1 && path[0] == '\0') {
        path[0] = '@';
    }
    snprintf(out, max, "unix:%s", path);
}

char *nk_addr_format(char *out, size_t max, const struct nk_addr *a)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (a->ss.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &a->ss, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
        snprintf(out, max, "%s:%u", host, (unsigned)ntohs(in.sin_port));
    } else if (a->ss.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &a->ss, sizeof(in6));
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) { /* a v4 peer of a dual-stack socket */
            inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], host, sizeof(host));
            snprintf(out, max, "%s:%u", host, (unsigned)ntohs(in6.sin6_port));
        } else {
            inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
            snprintf(out, max, "[%s]:%u", host, (unsigned)ntohs(in6.sin6_port));
        }
    } else if (a->ss.ss_family == AF_UNIX) {
        format_unix(out, max, a);
    } else {
        snprintf(out, max, "?");
    }
    return out;
}
