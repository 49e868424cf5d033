/* SPDX-License-Identifier: MIT */
#include "ssh/place.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/endpoint.h"
#include "ssh/config.h"

enum {
    HOST_MAX = 256,  /* bytes of a name (RFC 1035 2.3.4), and NUL */
    UNIX_MAX = 107,  /* bytes of the path of a socket (unix(7)) */
    TEXTS = 3,       /* user, host, text */
    ANY_PORT = 65535 /* where none is needed */
};

static int bad(struct nk_diag *diag, const char *what, const char *text)
{
    return nk_fail(diag, NK_ECONFIG, "ssh: '%.200s' %s", text, what);
}

/* Text behind a word, decoded into out; it must not be empty. */
static int take_text(const char *raw, char *out, char **text, struct nk_diag *diag)
{
    size_t n = strlen(raw);
    if (n == 0 || nk_percent_decode(out, n + 1, raw, n) <= 0) {
        return bad(diag, "is not complete", raw);
    }
    *text = out;
    return 0;
}

static int take_path(const char *raw, char *out, struct ssh_place *p, struct nk_diag *diag)
{
    int rc = take_text(raw, out, &p->text, diag);
    p->kind = SSH_PLACE_UNIX;
    if (rc == 0 && (out[0] != '/' || strlen(out) > UNIX_MAX)) {
        rc = bad(diag, "is no path of a socket: it begins with / and has at most 107 bytes", raw);
    }
    return rc;
}

/* HOST:PORT; of listeners also PORT, with port 0, and :PORT for all addresses. */
static int take_address(const char *raw, char *out, bool listen, struct ssh_place *p,
                        struct nk_diag *diag)
{
    uint64_t port;
    size_t max = strlen(raw) + 1;
    p->kind = SSH_PLACE_TCP;
    if (listen && nk_parse_u64(raw, &port) == 0 && port <= UINT16_MAX) {
        p->port = (uint16_t)port;
        return 0;
    }
    int rc = nk_ep_host_port(raw, out, max < HOST_MAX ? max : HOST_MAX, &p->port, 0, diag);
    if (rc == 0 && !listen && (!out[0] || p->port == 0)) {
        rc = bad(diag, out[0] ? "has port 0" : "has no host", raw);
    }
    p->text = out;
    return rc;
}

static const char *after(const char *text, const char *word)
{
    size_t n = strlen(word);
    return strncmp(text, word, n) == 0 ? text + n : NULL;
}

static int take_end(const char *raw, char *out, bool listen, struct ssh_place *p,
                    struct nk_diag *diag)
{
    const char *rest;
    if (listen != (after(raw, "listen:") != NULL)) {
        int rc = bad(diag,
                     listen ? "is a place to connect to, and this is a place to listen"
                            : "is a place to listen, and this is a place to connect",
                     raw);
        nk_hint(diag, "write ssh:HOST/%s", listen ? "listen:[ADDRESS:]PORT" : "HOST:PORT");
        return rc;
    }
    raw += listen ? strlen("listen:") : 0;
    if ((rest = after(raw, "unix:")) != NULL) {
        return take_path(rest, out, p, diag);
    }
    if (!listen && (rest = after(raw, "exec:")) != NULL) {
        p->kind = SSH_PLACE_EXEC;
        return take_text(rest, out, &p->text, diag);
    }
    if (!listen && (rest = after(raw, "subsystem:")) != NULL) {
        p->kind = SSH_PLACE_SUBSYSTEM;
        return take_text(rest, out, &p->text, diag);
    }
    return take_address(raw, out, listen, p, diag);
}

/* [user@]host[:port], whose first byte is at first and whose last one is before end. */
static int take_host(char *first, char *host, char *user, struct ssh_place *p, struct nk_diag *diag)
{
    char *at = strrchr(first, '@');
    size_t max = strlen(first) + 1;
    int rc = 0;
    if (at) {
        *at = '\0';
        rc = take_text(first, user, &p->user, diag);
        rc = rc < 0 ? rc : ssh_user_check(user, true, diag);
        first = at + 1;
    }
    const char *name_end = *first == '[' ? strchr(first, ']') : first;
    bool has_port = name_end && strchr(name_end, ':');
    if (rc == 0) {
        rc = nk_ep_host_port(first, host, max < HOST_MAX ? max : HOST_MAX, &p->ssh_port, ANY_PORT,
                             diag);
    }
    if (rc == 0 && (!host[0] || (has_port && p->ssh_port == 0))) {
        rc = bad(diag, host[0] ? "has port 0" : "names no host", first);
    }
    p->host = host;
    p->ssh_port = has_port ? p->ssh_port : 0;
    return rc < 0 ? rc : ssh_host_check(host, diag);
}

int ssh_place_parse(struct ssh_place *out, const char *body, bool listen, struct nk_diag *diag)
{
    size_t n = strlen(body) + 1;
    struct ssh_place p = {0};
    char *raw = malloc((TEXTS + 1) * n), *slash;
    if (!raw) {
        return nk_fail_sys(diag, -ENOMEM, "ssh");
    }
    memcpy(raw, body, n);
    slash = strchr(raw, '/');
    if (slash) {
        *slash++ = '\0';
    }
    int rc = take_host(raw, raw + n, raw + 2 * n, &p, diag);
    if (rc == 0 && slash) {
        rc = take_end(slash, raw + 3 * n, listen, &p, diag);
    } else if (rc == 0 && listen) {
        rc = bad(diag, "does not say where to listen", body);
        nk_hint(diag, "write ssh:HOST/listen:[ADDRESS:]PORT");
    }
    if (rc < 0) {
        free(raw);
        if (rc != -ENOMEM && diag) {
            diag->code = NK_ECONFIG;
        }
        return rc == -ENOMEM ? rc : NK_ECONFIG;
    }
    p.store = raw;
    *out = p;
    return 0;
}

void ssh_place_clear(struct ssh_place *p)
{
    free(p->store);
    *p = (struct ssh_place){0};
}
