/* SPDX-License-Identifier: MIT */
#include "base/endpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* [a-z][a-z0-9-]*, at most NK_EP_MAX_SCHEME bytes. */
static bool scheme_ok(const char *s)
{
    size_t n = strlen(s);
    if (n > NK_EP_MAX_SCHEME || !is_lower(*s))
        return false;
    for (; *s; s++) {
        if (!is_lower(*s) && !is_digit(*s) && *s != '-')
            return false;
    }
    return true;
}

/* [a-z][a-z0-9_-]* */
static bool key_ok(const char *s)
{
    if (!is_lower(*s))
        return false;
    for (; *s; s++) {
        if (!is_lower(*s) && !is_digit(*s) && *s != '_' && *s != '-')
            return false;
    }
    return true;
}

/* Length and bytes of the whole text, before anything is allocated. */
static int check_bytes(const char *text, struct nk_diag *diag)
{
    size_t n = strnlen(text, NK_EP_MAX_TEXT + 1);
    if (n > NK_EP_MAX_TEXT)
        return nk_fail(diag, NK_ETOOBIG, "endpoint: longer than %d bytes", NK_EP_MAX_TEXT);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            return nk_fail(diag, NK_EFORMAT, "endpoint: control byte 0x%02x at character %zu", c,
                           i + 1);
    }
    return 0;
}

/* "tls+tcp" into scheme[]; text is cut up in place. */
static int split_schemes(struct nk_ep_text *t, char *text, struct nk_diag *diag)
{
    char *next;
    for (char *s = text; s; s = next) {
        next = strchr(s, '+');
        if (next)
            *next++ = '\0';
        if (!scheme_ok(s))
            return nk_fail(diag, NK_EFORMAT, "endpoint: '%s' at character %zu is no scheme name", s,
                           (size_t)(s - t->store) + 1);
        if (t->layers == NK_EP_MAX_LAYERS)
            return nk_fail(diag, NK_ETOOBIG, "endpoint: more than %d layers", NK_EP_MAX_LAYERS);
        t->scheme[t->layers++] = s;
    }
    return 0;
}

/* Is every % of s followed by two digits that stand for an allowed byte? The decoded length is
 * never more than that of s, so decoding in place is fine as well. */
static int check_percent(const struct nk_ep_text *t, const char *s, struct nk_diag *diag)
{
    char byte[2];
    for (const char *p = strchr(s, '%'); p; p = strchr(p + 1, '%')) {
        if (nk_percent_decode(byte, sizeof byte, p, strnlen(p, 3)) < 0) {
            nk_fail(diag, NK_EFORMAT, "endpoint: bad escape '%.3s' at character %zu", p,
                    (size_t)(p - t->store) + 1);
            nk_hint(diag, "a percent sign itself is written %%25");
            return NK_EFORMAT;
        }
    }
    return 0;
}

/* One "[layer.]key=value"; text is cut up and decoded in place. */
static int split_param(struct nk_ep_text *t, char *text, struct nk_diag *diag)
{
    size_t at = (size_t)(text - t->store) + 1;
    if (t->nparams == NK_EP_MAX_PARAMS)
        return nk_fail(diag, NK_ETOOBIG, "endpoint: more than %d parameters", NK_EP_MAX_PARAMS);
    char *value = strchr(text, '=');
    if (!value) {
        nk_fail(diag, NK_EFORMAT, "endpoint: '%s' at character %zu is not key=value", text, at);
        nk_hint(diag, "a comma that belongs to the address is written %%2C");
        return NK_EFORMAT;
    }
    *value++ = '\0';
    struct nk_ep_param p = {.key = text, .value = value};
    char *dot = strchr(text, '.');
    if (dot) {
        *dot = '\0';
        p.layer = text;
        p.key = dot + 1;
    }
    if ((p.layer && !scheme_ok(p.layer)) || !key_ok(p.key))
        return nk_fail(diag, NK_EFORMAT, "endpoint: '%s%s%s' at character %zu is no parameter name",
                       p.layer ? p.layer : "", p.layer ? "." : "", p.key, at);
    int r = check_percent(t, value, diag);
    if (r < 0)
        return r;
    size_t len = strlen(value);
    nk_percent_decode(value, len + 1, value, len); /* cannot fail: just checked */
    t->params[t->nparams++] = p;
    return 0;
}

static int split(struct nk_ep_text *t, struct nk_diag *diag)
{
    char *body = strchr(t->store, ':');
    if (!body) {
        nk_fail(diag, NK_EFORMAT, "endpoint: '%s' has no scheme", t->store);
        nk_hint(diag, "write it as tcp:HOST:PORT, unix:PATH or another scheme:address");
        return NK_EFORMAT;
    }
    *body++ = '\0';
    char *param = strchr(body, ',');
    if (param)
        *param++ = '\0';
    t->body = body;
    int r = split_schemes(t, t->store, diag);
    if (r == 0)
        r = check_percent(t, body, diag);
    while (r == 0 && param) {
        char *next = strchr(param, ',');
        if (next)
            *next++ = '\0';
        r = split_param(t, param, diag);
        param = next;
    }
    return r;
}

int nk_ep_text_parse(struct nk_ep_text *out, const char *text, struct nk_diag *diag)
{
    int r = check_bytes(text, diag);
    if (r < 0)
        return r;
    struct nk_ep_text t = {.store = strdup(text)};
    if (!t.store)
        return nk_fail_sys(diag, -ENOMEM, "endpoint");
    r = split(&t, diag);
    if (r < 0) {
        nk_ep_text_clear(&t);
        return r;
    }
    *out = t;
    return 0;
}

void nk_ep_text_clear(struct nk_ep_text *t)
{
    free(t->store);
    memset(t, 0, sizeof *t);
}

static int bad_host_port(struct nk_diag *diag, const char *body, const char *why)
{
    return nk_fail(diag, NK_EFORMAT, "'%s' is not HOST:PORT: %s", body, why);
}

/* "[...]" at the start of body: its inside and what follows. */
static int split_brackets(const char *body, const char **host, size_t *len, const char **rest,
                          struct nk_diag *diag)
{
    const char *end = strchr(body, ']');
    if (!end)
        return bad_host_port(diag, body, "']' is missing");
    *host = body + 1;
    *len = (size_t)(end - *host);
    *rest = end + 1;
    if (!memchr(*host, ':', *len))
        return bad_host_port(diag, body, "brackets are for IPv6 addresses");
    if (**rest != '\0' && **rest != ':')
        return bad_host_port(diag, body, "only ':PORT' may follow ']'");
    return 0;
}

static int split_plain(const char *body, const char **host, size_t *len, const char **rest,
                       struct nk_diag *diag)
{
    *host = body;
    *len = strcspn(body, ":");
    *rest = body + *len;
    if (**rest == ':' && strchr(*rest + 1, ':')) {
        bad_host_port(diag, body, "more than one ':'");
        nk_hint(diag, "an IPv6 address stands in brackets: [::1]:22");
        return NK_EFORMAT;
    }
    return 0;
}

int nk_ep_host_port(const char *body, char *host, size_t max, uint16_t *port, uint16_t def_port,
                    struct nk_diag *diag)
{
    const char *name = body, *rest = body;
    size_t len = 0;
    int r = *body == '[' ? split_brackets(body, &name, &len, &rest, diag)
                         : split_plain(body, &name, &len, &rest, diag);
    if (r < 0)
        return r;
    uint64_t number = def_port;
    if (*rest == ':') {
        if (nk_parse_u64(rest + 1, &number) < 0 || number > UINT16_MAX || strlen(rest + 1) > 5)
            return bad_host_port(diag, body, "the port is a number from 0 to 65535");
    } else if (def_port == 0) {
        return bad_host_port(diag, body, "the port is missing");
    }
    ssize_t n = nk_percent_decode(host, max, name, len);
    if (n == NK_ETOOBIG)
        return bad_host_port(diag, body, "the host is too long");
    if (n < 0)
        return bad_host_port(diag, body, "bad escape or control byte");
    *port = (uint16_t)number;
    return 0;
}
