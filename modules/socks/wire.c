/* SPDX-License-Identifier: MIT */
#include "socks/wire.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/cur.h"

enum {
    IPV4_LEN = 4,
    IPV6_LEN = 16,
    HEAD = 4 /* bytes before an address */,
    PORT_LEN = 2,
    HEAD4 = 8 /* before the user */
};

/* --- reply codes ------------------------------------------------------------------------------ */

static const struct reply_row {
    uint8_t code;
    int error;
    const char *text;
} replies[] = {
#define ROW(name, value, error, text) {value, error, text},
    SOCKS_REPLIES(ROW)
#undef ROW
};

static const struct reply_row *find_reply(unsigned code)
{
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        if (replies[i].code == code) {
            return &replies[i];
        }
    }
    return NULL;
}

const char *socks_reply_text(unsigned code)
{
    const struct reply_row *row = find_reply(code);
    return row ? row->text : "unknown reply code";
}

int socks_reply_error(unsigned code)
{
    const struct reply_row *row = find_reply(code);
    return row ? row->error : NK_EPROTO;
}

unsigned socks_reply_for(int error)
{
    switch (error) {
    case 0:
        return SOCKS_REPLY_OK;
    case -ENETUNREACH:
        return SOCKS_REPLY_NET_UNREACHABLE;
    case -EHOSTUNREACH:
    case NK_ENONAME:
        return SOCKS_REPLY_HOST_UNREACHABLE;
    case -ECONNREFUSED:
        return SOCKS_REPLY_REFUSED;
    case -ETIMEDOUT:
        return SOCKS_REPLY_EXPIRED;
    case -EACCES:
    case -EPERM:
    case NK_EAUTH:
    case NK_EUSAGE: /* a name that must not be asked for, such as .onion without Tor */
    case NK_ECONFIG:
        return SOCKS_REPLY_NOT_ALLOWED;
    default:
        return SOCKS_REPLY_FAILURE;
    }
}

/* --- addresses -------------------------------------------------------------------------------- */

bool socks_name_ok(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] > '~') {
            return false;
        }
    }
    return len >= 1 && len <= SOCKS_TEXT_MAX;
}

static void set_host(struct socks_addr *a, enum socks_type type, const void *p, size_t len)
{
    a->type = (uint8_t)type;
    a->len = (uint8_t)len;
    memcpy(a->host, p, len);
    a->host[len] = '\0';
}

int socks_addr_set(struct socks_addr *a, const char *host, uint16_t port, struct nk_diag *diag)
{
    uint8_t ip[IPV6_LEN];
    char inner[INET6_ADDRSTRLEN];
    size_t len = strlen(host);
    bool brackets = len > 2 && host[0] == '[' && host[len - 1] == ']';
    if (!socks_name_ok(host, len)) {
        return nk_fail(diag, NK_EUSAGE, "'%.80s' is not a host name", host);
    }
    if (brackets && len - 2 < sizeof(inner)) {
        memcpy(inner, host + 1, len - 2);
        inner[len - 2] = '\0';
        host = inner;
        len -= 2;
    }
    if (inet_pton(AF_INET6, host, ip) == 1) {
        set_host(a, SOCKS_IPV6, ip, IPV6_LEN);
    } else if (brackets) {
        return nk_fail(diag, NK_EUSAGE, "'[%.80s]' is not an IPv6 address", host);
    } else if (inet_pton(AF_INET, host, ip) == 1) {
        set_host(a, SOCKS_IPV4, ip, IPV4_LEN);
    } else {
        set_host(a, SOCKS_NAME, host, len);
    }
    a->port = port;
    return 0;
}

char *socks_addr_host(const struct socks_addr *a, char out[SOCKS_TEXT_MAX + 1])
{
    out[0] = '\0';
    if (a->type == SOCKS_NAME) {
        memcpy(out, a->host, (size_t)a->len + 1);
    } else {
        (void)inet_ntop(a->type == SOCKS_IPV4 ? AF_INET : AF_INET6, a->host, out,
                        SOCKS_TEXT_MAX + 1); /* there is room */
    }
    return out;
}

/* --- lengths ---------------------------------------------------------------------------------- */

static size_t want_login(const uint8_t *p, size_t n)
{
    size_t user_end = n < 2 ? 2 : 2 + (size_t)p[1];
    return n < 2 ? 2 : n <= user_end ? user_end + 1 : user_end + 1 + p[user_end];
}

static size_t want_addressed(const uint8_t *p, size_t n)
{
    if (n <= HEAD) {
        return HEAD + 1; /* the shortest has more */
    }
    switch (p[HEAD - 1]) {
    case SOCKS_IPV4:
        return HEAD + IPV4_LEN + PORT_LEN;
    case SOCKS_IPV6:
        return HEAD + IPV6_LEN + PORT_LEN;
    case SOCKS_NAME:
        return HEAD + 1 + (size_t)p[HEAD] + PORT_LEN;
    default:
        return HEAD + 1; /* nobody knows; the parser refuses it */
    }
}

/* Is the address of a version 4 request none, so that a name follows (SOCKS 4a)? */
static bool is_named4(const uint8_t *p)
{
    return p[4] == 0 && p[5] == 0 && p[6] == 0 && p[7] != 0;
}

static size_t want_request4(const uint8_t *p, size_t n)
{
    if (n <= HEAD4) {
        return HEAD4 + 1;
    }
    const uint8_t *end = memchr(p + HEAD4, 0, n - HEAD4);
    if (end && is_named4(p)) {
        size_t name = (size_t)(end - p) + 1;
        end = memchr(p + name, 0, n - name);
    }
    size_t want = end ? (size_t)(end - p) + 1 : n + 1; /* one at a time: nothing says how long */
    return want < SOCKS_MESSAGE_MAX ? want : SOCKS_MESSAGE_MAX;
}

size_t socks_want(enum socks_message kind, const uint8_t *p, size_t n)
{
    switch (kind) {
    case SOCKS_GREETING:
        return n < 2 ? 2 : 2 + (size_t)p[1];
    case SOCKS_LOGIN:
        return want_login(p, n);
    case SOCKS_REQUEST:
    case SOCKS_REPLY:
        return want_addressed(p, n);
    case SOCKS_REQUEST4:
        return want_request4(p, n);
    case SOCKS_CHOICE:
    case SOCKS_STATUS:
    default:
        return 2;
    }
}

bool socks_head_ok(enum socks_message kind, uint8_t first)
{
    if (kind == SOCKS_STATUS) {
        return true; /* RFC 1929 §2 says 1; some servers send 5 */
    }
    return first == (kind == SOCKS_LOGIN      ? SOCKS_LOGIN_VERSION
                     : kind == SOCKS_REQUEST4 ? SOCKS_VERSION4
                                              : SOCKS_VERSION);
}

/* --- parsers ---------------------------------------------------------------------------------- */

int socks_parse_greeting(const uint8_t *p, size_t n, bool *none, bool *login)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    uint8_t version = nk_cur_u8(&c);
    uint8_t count = nk_cur_u8(&c);
    const uint8_t *methods = nk_cur_bytes(&c, count);
    if (!nk_cur_done(&c) || version != SOCKS_VERSION || count == 0) {
        return NK_EPROTO;
    }
    *none = memchr(methods, SOCKS_METHOD_NONE, count) != NULL;
    *login = memchr(methods, SOCKS_METHOD_LOGIN, count) != NULL;
    return 0;
}

int socks_parse_login(const uint8_t *p, size_t n, struct socks_login *out)
{
    struct nk_cur c;
    struct socks_login l;
    nk_cur_init(&c, p, n);
    uint8_t version = nk_cur_u8(&c);
    l.user_len = nk_cur_u8(&c);
    l.user = nk_cur_bytes(&c, l.user_len);
    l.password_len = nk_cur_u8(&c);
    l.password = nk_cur_bytes(&c, l.password_len);
    if (!nk_cur_done(&c) || version != SOCKS_LOGIN_VERSION) {
        return NK_EPROTO;
    }
    *out = l;
    return 0;
}

static int parse_addressed(const uint8_t *p, size_t n, uint8_t *what, struct socks_addr *out)
{
    struct nk_cur c;
    struct socks_addr a = {0};
    nk_cur_init(&c, p, n);
    uint8_t version = nk_cur_u8(&c);
    uint8_t code = nk_cur_u8(&c);
    (void)nk_cur_u8(&c); /* reserved */
    a.type = nk_cur_u8(&c);
    if (a.type != SOCKS_IPV4 && a.type != SOCKS_IPV6 && a.type != SOCKS_NAME) {
        return c.failed ? NK_EPROTO : NK_EUNSUPPORTED;
    }
    a.len = a.type == SOCKS_IPV4 ? IPV4_LEN : a.type == SOCKS_IPV6 ? IPV6_LEN : nk_cur_u8(&c);
    (void)nk_cur_copy(&c, a.host, a.len);
    a.port = nk_cur_be16(&c);
    if (!nk_cur_done(&c) || version != SOCKS_VERSION) {
        return NK_EPROTO;
    }
    *what = code;
    *out = a;
    return 0;
}

int socks_parse_request(const uint8_t *p, size_t n, uint8_t *command, struct socks_addr *a)
{
    struct socks_addr got;
    uint8_t what;
    int rc = parse_addressed(p, n, &what, &got);
    if (rc == 0 && got.type == SOCKS_NAME && !socks_name_ok(got.host, got.len)) {
        rc = NK_EPROTO;
    }
    if (rc == 0) {
        *command = what;
        *a = got;
    }
    return rc;
}

int socks_parse_request4(const uint8_t *p, size_t n, uint8_t *command, struct socks_addr *a,
                         struct socks_login *login)
{
    if (n <= HEAD4 || n != want_request4(p, n) || p[n - 1] != 0) {
        return NK_EPROTO;
    }
    const char *user = (const char *)p + HEAD4, *name = user + strlen(user) + 1;
    size_t len = is_named4(p) ? strlen(name) : 0;
    if (strlen(user) > SOCKS_TEXT_MAX || (is_named4(p) && !socks_name_ok(name, len))) {
        return NK_EPROTO;
    }
    *login = (struct socks_login){.user = p + HEAD4, .user_len = (uint8_t)strlen(user)};
    *command = p[1];
    set_host(a, len ? SOCKS_NAME : SOCKS_IPV4, len ? (const void *)name : p + 4,
             len ? len : IPV4_LEN);
    a->port = (uint16_t)(p[2] << 8 | p[3]);
    return 0;
}

int socks_parse_reply(const uint8_t *p, size_t n, uint8_t *code, struct socks_addr *a)
{
    return parse_addressed(p, n, code, a); /* what name is bound is for who wants to use it */
}

/* --- writers ---------------------------------------------------------------------------------- */

size_t socks_put_greeting(uint8_t *out, bool none, bool login)
{
    size_t n = 2;
    if (none) {
        out[n++] = SOCKS_METHOD_NONE;
    }
    if (login) {
        out[n++] = SOCKS_METHOD_LOGIN;
    }
    out[0] = SOCKS_VERSION;
    out[1] = (uint8_t)(n - 2);
    return n;
}

size_t socks_put_login(uint8_t *out, const struct socks_login *l)
{
    size_t n = 0;
    out[n++] = SOCKS_LOGIN_VERSION;
    out[n++] = l->user_len;
    memcpy(out + n, l->user, l->user_len);
    n += l->user_len;
    out[n++] = l->password_len;
    memcpy(out + n, l->password, l->password_len);
    return n + l->password_len;
}

static size_t put_addressed(uint8_t *out, uint8_t what, const struct socks_addr *a)
{
    size_t n = 0;
    out[n++] = SOCKS_VERSION;
    out[n++] = what;
    out[n++] = 0; /* reserved */
    out[n++] = a->type;
    if (a->type == SOCKS_NAME) {
        out[n++] = a->len;
    }
    memcpy(out + n, a->host, a->len);
    n += a->len;
    out[n++] = (uint8_t)(a->port >> 8);
    out[n++] = (uint8_t)(a->port & 0xff);
    return n;
}

size_t socks_put_request(uint8_t *out, uint8_t command, const struct socks_addr *a)
{
    return put_addressed(out, command, a);
}

size_t socks_put_reply(uint8_t *out, uint8_t code, const struct socks_addr *a)
{
    static const struct socks_addr none = {.type = SOCKS_IPV4, .len = IPV4_LEN};
    return put_addressed(out, code, a ? a : &none);
}
