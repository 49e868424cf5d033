/* SPDX-License-Identifier: MIT */
#include "onion/ports.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/codec.h"
#include "base/endpoint.h"

static int take_port(const char *text, size_t n, uint16_t *out)
{
    char digits[6]; /* "65535" */
    uint64_t v;
    if (n == 0 || n >= sizeof(digits)) {
        return NK_EFORMAT;
    }
    memcpy(digits, text, n);
    digits[n] = '\0';
    if (nk_parse_u64(digits, &v) < 0 || v == 0 || v > UINT16_MAX) {
        return NK_EFORMAT;
    }
    *out = (uint16_t)v;
    return 0;
}

static int bad_target(struct nk_diag *diag, const char *text, const char *why)
{
    return nk_fail(diag, NK_EFORMAT, "%s: %s", text, why);
}

static int unix_target(char out[ONION_TARGET_MAX], const char *path, bool quotes, const char *text,
                       struct nk_diag *diag)
{
    size_t n = strlen(path);
    if (quotes && n >= 2 && path[0] == '"' && path[n - 1] == '"') {
        path++;
        n -= 2;
    }
    if (n == 0 || path[0] != '/') {
        return bad_target(diag, text, "the path of a unix socket begins with a slash");
    }
    if (n >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        return bad_target(diag, text, "the path is too long for a unix socket");
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)path[i] < ' ' || path[i] == '"' || path[i] == '\\' ||
            path[i] == '\x7f') {
            return bad_target(diag, text, "tor takes no such character in a path");
        }
    }
    (void)snprintf(out, ONION_TARGET_MAX, "unix:%.*s", (int)n, path);
    return 0;
}

static int tcp_target(char out[ONION_TARGET_MAX], const char *where, const char *text,
                      struct nk_diag *diag)
{
    char host[INET6_ADDRSTRLEN + 10];
    struct in6_addr a;
    uint16_t port;
    if (take_port(where, strlen(where), &port) == 0) {
        (void)snprintf(out, ONION_TARGET_MAX, "127.0.0.1:%u", port);
        return 0;
    }
    if (nk_ep_host_port(where, host, sizeof(host), &port, 0, NULL) < 0 || port == 0) {
        return bad_target(diag, text, "a target is PORT, ADDRESS:PORT, [IPv6]:PORT or unix:/PATH");
    }
    if (strcasecmp(host, "localhost") == 0) {
        (void)snprintf(out, ONION_TARGET_MAX, "127.0.0.1:%u", port);
    } else if (inet_pton(AF_INET, host, &a) == 1) {
        (void)snprintf(out, ONION_TARGET_MAX, "%s:%u", host, port);
    } else if (inet_pton(AF_INET6, host, &a) == 1) {
        (void)snprintf(out, ONION_TARGET_MAX, "[%s]:%u", host, port);
    } else {
        (void)nk_fail(diag, NK_EFORMAT, "%s: the target is a name", text);
        nk_hint(diag, "write its address: tor would ask the DNS for the name");
        return NK_EFORMAT;
    }
    return 0;
}

/* LOCAL~REMOTE of onionpipe, which is the other way round. */
static int refuse_tilde(const char *text, const char *tilde, struct nk_diag *diag)
{
    (void)nk_fail(diag, NK_EFORMAT, "%s: not PORT[:TARGET]", text);
    nk_hint(diag, "write %s:%.*s: the port of the onion service comes first", tilde + 1,
            (int)(tilde - text), text);
    return NK_EFORMAT;
}

int onion_port_parse(struct onion_port *out, const char *text, struct nk_diag *diag)
{
    struct onion_port p;
    size_t n = strcspn(text, ":, \t");
    const char *tilde = strchr(text, '~'), *target = text + n + (text[n] != '\0');
    bool torrc = text[n] == ' ' || text[n] == '\t';
    int rc;
    target += torrc ? strspn(target, " \t") : 0;
    if (take_port(text, n, &p.port) < 0) {
        if (tilde && strlen(tilde) > 1 && tilde != text) {
            return refuse_tilde(text, tilde, diag);
        }
        return bad_target(diag, text, "not PORT[:TARGET] with a port of 1 to 65535");
    }
    if (text[n] == '\0') {
        (void)snprintf(p.target, sizeof(p.target), "127.0.0.1:%u", p.port);
        rc = 0;
    } else if (strncmp(target, "unix:", 5) == 0) {
        rc = unix_target(p.target, target + 5, torrc, text, diag);
    } else {
        rc = tcp_target(p.target, target + (strncmp(target, "tcp:", 4) == 0 ? 4 : 0), text, diag);
    }
    if (rc == 0) {
        *out = p;
    }
    return rc;
}

int onion_ports_parse(struct onion_port **out, const struct nk_strlist *list, struct nk_diag *diag)
{
    if (list->n == 0 || list->n > ONION_PORTS_MAX) {
        return nk_fail(diag, NK_EUSAGE, "a service has 1 to %d ports", ONION_PORTS_MAX);
    }
    struct onion_port *v = calloc(list->n, sizeof(*v));
    int rc = v ? 0 : nk_fail(diag, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < list->n; i++) {
        rc = onion_port_parse(&v[i], list->v[i], diag);
    }
    if (rc < 0) {
        free(v);
        diag->code = rc == NK_EFORMAT ? NK_EUSAGE : rc; /* the user's words, no file's */
        return diag->code;
    }
    *out = v;
    return 0;
}
