/* SPDX-License-Identifier: MIT */
#include "core/resolve.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/endpoint.h"
#include "core/app.h"
#include "core/work.h"

#define NAME_MAX_BYTES 253 /* RFC 1035 §2.3.4, in text form without the final dot */

/* --- what needs no lookup --------------------------------------------------------------------- */

static void put_v4(struct nk_addr *out, const struct in_addr *ip, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = *ip};
    memset(out, 0, sizeof(*out));
    memcpy(&out->ss, &in, sizeof(in));
    out->len = sizeof(in);
}

static void put_v6(struct nk_addr *out, const struct in6_addr *ip, uint32_t scope, uint16_t port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons(port),
                               .sin6_addr = *ip,
                               .sin6_scope_id = scope};
    memset(out, 0, sizeof(*out));
    memcpy(&out->ss, &in6, sizeof(in6));
    out->len = sizeof(in6);
}

/* "fe80::1%eth0" and "fe80::1%2" (RFC 4007 §11); the zone must exist. */
static bool parse_v6(const char *host, struct in6_addr *ip, uint32_t *scope)
{
    char text[INET6_ADDRSTRLEN];
    const char *zone = strchr(host, '%');
    size_t n = zone ? (size_t)(zone - host) : strlen(host);
    if (n >= sizeof(text)) {
        return false;
    }
    memcpy(text, host, n);
    text[n] = '\0';
    *scope = 0;
    if (inet_pton(AF_INET6, text, ip) != 1) {
        return false;
    }
    if (zone) {
        uint64_t number;
        *scope = if_nametoindex(zone + 1);
        if (*scope == 0 && nk_parse_u64(zone + 1, &number) == 0 && number <= UINT32_MAX) {
            *scope = (uint32_t)number;
        }
        return *scope != 0;
    }
    return true;
}

/* A name whose last label is a number would be read as an address by inet_aton, in forms such as
 * 127.1, 0x7f.1 and 2130706433: refused, because people and filters do not see the address in it.
 */
static bool last_label_is_number(const char *name, size_t len)
{
    size_t i = len;
    while (i > 0 && name[i - 1] != '.') {
        i--;
    }
    const char *label = name + i;
    size_t n = len - i, k = 0;
    if (n >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X')) {
        for (k = 2; k < n && isxdigit((unsigned char)label[k]); k++) {
        }
        return k == n;
    }
    while (k < n && isdigit((unsigned char)label[k])) {
        k++;
    }
    return n > 0 && k == n;
}

/* Is name (len bytes) equal to tail, or does it end with "." and tail? */
static bool below(const char *name, size_t len, const char *tail)
{
    size_t t = strlen(tail);
    return len >= t && strncasecmp(name + len - t, tail, t) == 0 &&
           (len == t || name[len - t - 1] == '.');
}

static int check_name(const char *host, size_t *len, struct nk_diag *diag)
{
    size_t n = strlen(host);
    for (size_t i = 0; i < n; i++) {
        if (host[i] <= 0x20 || host[i] >= 0x7f) {
            return nk_fail(diag, NK_EUSAGE, "host name '%s' has a byte that is not printable ASCII",
                           host);
        }
    }
    if (n > 0 && host[n - 1] == '.') {
        n--; /* the root: a complete name */
    }
    if (n == 0 || n > NAME_MAX_BYTES) {
        return nk_fail(diag, NK_ENONAME, "host name '%.60s' is %s", host,
                       n == 0 ? "empty" : "longer than 253 bytes");
    }
    if (below(host, n, "onion")) {
        nk_fail(diag, NK_EUSAGE, "onion addresses are only reachable through Tor");
        nk_hint(diag, "write tor:ADDRESS:PORT instead of tcp:ADDRESS:PORT");
        return NK_EUSAGE; /* RFC 7686 §2: never into the DNS */
    }
    if (last_label_is_number(host, n)) {
        nk_fail(diag, NK_EUSAGE, "'%s' is not an IPv4 address", host);
        nk_hint(diag, "write four decimal numbers, as in 127.0.0.1");
        return NK_EUSAGE;
    }
    *len = n;
    return 0;
}

int nk_resolve_now(const char *host, uint16_t port, int passive, struct nk_addr *addrs, size_t *n,
                   struct nk_diag *diag)
{
    struct in_addr v4;
    struct in6_addr v6;
    uint32_t scope;
    size_t len = 0;
    if (passive && host[0] == '\0') {
        const struct in_addr any = {.s_addr = htonl(INADDR_ANY)};
        put_v6(&addrs[0], &in6addr_any, 0, port);
        put_v4(&addrs[1], &any, port);
        *n = 2;
        return 0;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        put_v4(&addrs[0], &v4, port);
        *n = 1;
        return 0;
    }
    if (strchr(host, ':')) {
        if (!parse_v6(host, &v6, &scope)) {
            return nk_fail(diag, NK_EUSAGE, "'%s' is not an IPv6 address", host);
        }
        put_v6(&addrs[0], &v6, scope, port);
        *n = 1;
        return 0;
    }
    int rc = check_name(host, &len, diag);
    if (rc < 0) {
        return rc;
    }
    if (below(host, len, "localhost")) { /* RFC 6761 §6.3 */
        const struct in_addr loop = {.s_addr = htonl(INADDR_LOOPBACK)};
        put_v4(&addrs[0], &loop, port);
        put_v6(&addrs[1], &in6addr_loopback, 0, port);
        *n = 2;
        return 0;
    }
    return -ENOENT;
}

static bool is_loopback(const struct nk_addr *a)
{
    if (a->ss.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a->ss;
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->ss;
    return a->ss.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

bool nk_resolve_is_local(const char *host)
{
    struct nk_addr addrs[NK_RESOLVE_MAX];
    size_t n = 0;
    if (nk_resolve_now(host, 0, 0, addrs, &n, NULL) < 0) {
        return false;
    }
    size_t local = 0;
    while (local < n && is_loopback(&addrs[local])) {
        local++;
    }
    return n > 0 && local == n;
}

bool nk_resolve_body_is_local(const char *body)
{
    char host[NAME_MAX_BYTES + 2];
    uint16_t port;
    return nk_ep_host_port(body, host, sizeof(host), &port, 1, NULL) == 0 &&
           nk_resolve_is_local(host);
}

/* --- the lookup, in lane dns ------------------------------------------------------------------ */

struct lookup {
    struct nk_resolve *r; /* the loop's: not touched by run_lookup */
    char host[NAME_MAX_BYTES + 2];
    uint16_t port;
    int passive;
    int rc;    /* of getaddrinfo */
    int error; /* errno for EAI_SYSTEM */
    struct nk_addr addrs[NK_RESOLVE_MAX];
    size_t n;
};

struct nk_resolve {
    struct nk_app *app;
    nk_resolve_fn *fn;
    void *owner;
    struct nk_defer ready; /* for answers that needed no lookup */
    struct nk_work *work;
    int status;
    struct nk_addr addrs[2]; /* nk_resolve_now gives at most two */
    size_t n;
    struct nk_diag diag;
};

static void take_result(struct lookup *q, const struct addrinfo *ai)
{
    struct nk_addr *out = &q->addrs[q->n];
    if (ai->ai_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, ai->ai_addr, sizeof(in));
        put_v4(out, &in.sin_addr, q->port);
    } else if (ai->ai_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, ai->ai_addr, sizeof(in6));
        put_v6(out, &in6.sin6_addr, in6.sin6_scope_id, q->port);
    } else {
        return;
    }
    q->n++;
}

static void run_lookup(void *job)
{
    struct lookup *q = job;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG | (q->passive ? AI_PASSIVE : 0)};
    struct addrinfo *list = NULL;
    q->rc = getaddrinfo(q->host, NULL, &hints, &list);
    q->error = q->rc == EAI_SYSTEM ? errno : 0;
    if (q->rc == 0) {
        for (struct addrinfo *ai = list; ai && q->n < NK_RESOLVE_MAX; ai = ai->ai_next) {
            take_result(q, ai);
        }
        freeaddrinfo(list);
    }
}

static int lookup_status(const struct lookup *q, struct nk_diag *diag)
{
    switch (q->rc) {
    case 0:
        return q->n > 0 ? 0 : nk_fail(diag, NK_ENONAME, "%s has no address", q->host);
    case EAI_MEMORY:
        return nk_fail_sys(diag, -ENOMEM, "looking up %s", q->host);
    case EAI_AGAIN:
        return nk_fail(diag, -ETIMEDOUT, "looking up %s: no name server answered", q->host);
    case EAI_SYSTEM:
        return nk_fail_sys(diag, q->error > 0 ? -q->error : -EIO, "looking up %s", q->host);
    default:
        return nk_fail(diag, NK_ENONAME, "no address for %s: %s", q->host, gai_strerror(q->rc));
    }
}

static void on_lookup_done(void *job)
{
    struct lookup *q = job;
    struct nk_resolve *r = q->r;
    struct nk_diag diag = {0};
    int status = lookup_status(q, &diag);
    nk_resolve_fn *fn = r->fn;
    void *owner = r->owner;
    free(r);
    fn(owner, status, q->addrs, status == 0 ? q->n : 0, &diag);
}

static void drop_lookup(void *job)
{
    free(job);
}

static int start_lookup(struct nk_resolve *r, const char *host, uint16_t port, int passive)
{
    static const struct nk_work_ops ops = {
        .run = run_lookup, .done = on_lookup_done, .drop = drop_lookup};
    struct lookup *q = calloc(1, sizeof(*q));
    if (!q) {
        return -ENOMEM;
    }
    q->r = r;
    q->port = port;
    q->passive = passive;
    memcpy(q->host, host, strlen(host) + 1); /* its length was checked with the name */
    int rc = nk_work_submit(r->app, NK_LANE_DNS, &ops, q, &r->work);
    if (rc < 0) {
        free(q);
    }
    return rc;
}

static void on_answer(void *owner)
{
    struct nk_resolve *r = owner;
    struct nk_resolve copy = *r;
    free(r);
    copy.fn(copy.owner, copy.status, copy.addrs, copy.status == 0 ? copy.n : 0, &copy.diag);
}

int nk_resolve_start(struct nk_app *app, const char *host, uint16_t port, int passive,
                     nk_resolve_fn *fn, void *owner, struct nk_resolve **out)
{
    struct nk_resolve *r = calloc(1, sizeof(*r));
    if (!r) {
        return -ENOMEM;
    }
    r->app = app;
    r->fn = fn;
    r->owner = owner;
    r->ready.fn = on_answer;
    r->ready.owner = r;
    r->status = nk_resolve_now(host, port, passive, r->addrs, &r->n, &r->diag);
    if (r->status == -ENOENT) {
        int rc = start_lookup(r, host, port, passive);
        if (rc < 0) {
            free(r);
            return rc;
        }
    } else {
        nk_app_defer(app, &r->ready);
    }
    *out = r;
    return 0;
}

void nk_resolve_cancel(struct nk_resolve *r)
{
    if (!r) {
        return;
    }
    nk_work_cancel(r->work);
    nk_app_defer_cancel(r->app, &r->ready);
    free(r);
}
