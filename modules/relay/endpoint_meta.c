/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_meta.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_MAX (RELAY_META_PREFIX + (size_t)RELAY_META_MAX)

static char *copy_text(const char *p, size_t n)
{
    char *s = malloc(n + 1);
    if (s) {
        memcpy(s, p, n);
        s[n] = '\0';
    }
    return s;
}

int relay_endpoint_meta_reply_to(struct relay_endpoint_meta *m, const char *p, size_t n,
                                 struct nk_diag *diag)
{
    if (n == 0 || n > RELAY_NATIVE_NAME || memchr(p, 0, n)) {
        return nk_fail(diag, NK_EUSAGE, "reply_to is the name of a group: 1 to %d bytes",
                       RELAY_NATIVE_NAME);
    }
    char *s = copy_text(p, n);
    if (!s) {
        return -ENOMEM;
    }
    free(m->reply_to);
    m->reply_to = s;
    return 0;
}

int relay_endpoint_meta_correlation(struct relay_endpoint_meta *m, const void *p, size_t n,
                                    struct nk_diag *diag)
{
    if (n == 0 || n > RELAY_META_CORRELATION_MAX) {
        return nk_fail(diag, NK_EUSAGE, "a correlation has 1 to %u bytes",
                       RELAY_META_CORRELATION_MAX);
    }
    memcpy(m->correlation, p, n);
    m->correlation_len = n;
    return 0;
}

int relay_endpoint_meta_header(struct relay_endpoint_meta *m, const char *p, size_t n,
                               struct nk_diag *diag)
{
    const char *eq = memchr(p, '=', n);
    if (!eq || eq == p || n < 3 || n > RELAY_META_HEADER_MAX || memchr(p, 0, n)) {
        return nk_fail(diag, NK_EUSAGE,
                       "a header is NAME=VALUE, neither of them empty, %u bytes at most",
                       RELAY_META_HEADER_MAX);
    }
    if (m->nheaders == RELAY_META_HEADERS) {
        return nk_fail(diag, NK_EUSAGE, "more than %u headers", RELAY_META_HEADERS);
    }
    char *s = copy_text(p, n);
    if (!s) {
        return -ENOMEM;
    }
    m->header[m->nheaders++] = s;
    return 0;
}

int relay_endpoint_meta_headers(struct relay_endpoint_meta *m, const struct nk_strlist *headers,
                                struct nk_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; i < headers->n && rc == 0; i++) {
        const char *text = headers->v[i];
        rc = relay_endpoint_meta_header(m, text, strlen(text), diag);
        if (rc == NK_EUSAGE) {
            (void)nk_fail_context(diag, "--header '%.64s'", text);
        }
    }
    return rc;
}

int relay_endpoint_meta_put(const struct relay_endpoint_meta *m, struct nk_buf *out)
{
    struct relay_meta_writer w;
    uint8_t *room = NULL;
    int rc = nk_buf_reserve(out, BLOCK_MAX, &room);
    if (rc < 0) {
        return rc;
    }
    relay_meta_begin(&w, room, BLOCK_MAX);
    if (m->ttl_ms > 0) {
        relay_meta_add_u64(&w, RELAY_META_TTL, m->ttl_ms);
    }
    if (m->reply_to) {
        relay_meta_add(&w, RELAY_META_REPLY_TO, m->reply_to, strlen(m->reply_to));
    }
    if (m->correlation_len > 0) {
        relay_meta_add(&w, RELAY_META_CORRELATION, m->correlation, m->correlation_len);
    }
    for (size_t i = 0; i < m->nheaders; i++) {
        relay_meta_add(&w, RELAY_META_HEADER, m->header[i], strlen(m->header[i]));
    }
    size_t len = relay_meta_end(&w);
    if (len == 0) {
        return NK_ETOOBIG; /* every value was checked when it was taken */
    }
    nk_buf_commit(out, len);
    return 0;
}

int relay_endpoint_meta_get(struct relay_endpoint_meta *m, const void *p, size_t n, size_t *len)
{
    struct relay_endpoint_meta got = {0};
    struct relay_meta in;
    int rc = relay_meta_get(p, n, &in);
    if (rc == 0 && (in.has_expires || in.copies != 1 || in.origin.p || in.reason.p || in.trace)) {
        rc = NK_EPROTO;
    }
    if (rc < 0) {
        return rc;
    }
    got.ttl_ms = in.ttl_ms;
    if (in.reply_to.p) {
        rc = relay_endpoint_meta_reply_to(&got, in.reply_to.p, in.reply_to.len, NULL);
    }
    if (rc == 0 && in.correlation.p) {
        rc = relay_endpoint_meta_correlation(&got, in.correlation.p, in.correlation.len, NULL);
    }
    for (unsigned i = 0; i < in.headers && rc == 0; i++) {
        struct relay_text t = relay_meta_header(p, i);
        rc = relay_endpoint_meta_header(&got, t.p, t.len, NULL);
    }
    if (rc < 0) {
        relay_endpoint_meta_clear(&got);
        return rc == -ENOMEM ? rc : NK_EPROTO;
    }
    *m = got;
    *len = in.len;
    return 0;
}

void relay_endpoint_meta_publish(const struct relay_endpoint_meta *m,
                                 struct relay_client_publish *p)
{
    p->ttl_ms = m->ttl_ms;
    p->reply_to = m->reply_to;
    p->correlation = m->correlation;
    p->correlation_len = m->correlation_len;
    p->headers = (const char *const *)m->header;
    p->nheaders = m->nheaders;
}

void relay_endpoint_meta_clear(struct relay_endpoint_meta *m)
{
    free(m->reply_to);
    for (size_t i = 0; i < m->nheaders; i++) {
        free(m->header[i]);
    }
    *m = (struct relay_endpoint_meta){0};
}
