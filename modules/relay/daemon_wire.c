/* SPDX-License-Identifier: MIT */
#include "relay/daemon_wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/cur.h"

#define MAGIC_LEN (sizeof(RELAY_DAEMON_MAGIC) - 1)
#define LENGTH_AT_MOST UINT32_MAX

/* --- writing ---------------------------------------------------------------------------------- */

/* Begin a frame whose payload has n bytes; the room is there afterwards. */
static int begin(struct nk_buf *out, enum relay_daemon_type type, size_t n)
{
    uint8_t *room;
    if (n > LENGTH_AT_MOST) {
        return NK_ETOOBIG;
    }
    int rc = nk_buf_reserve(out, RELAY_DAEMON_HEADER + n, &room);
    if (rc < 0) {
        return rc;
    }
    (void)nk_buf_le32(out, (uint32_t)n);
    (void)nk_buf_le32(out, (uint32_t)type); /* the type and three zero bytes */
    return 0;
}

int relay_daemon_put(struct nk_buf *out, enum relay_daemon_type type, const void *p, size_t n)
{
    int rc = begin(out, type, n);
    return rc < 0 || n == 0 ? rc : nk_buf_put(out, p, n);
}

int relay_daemon_put_hello(struct nk_buf *out)
{
    int rc = begin(out, DAEMON_HELLO, MAGIC_LEN + 1);
    if (rc == 0) {
        (void)nk_buf_put(out, RELAY_DAEMON_MAGIC, MAGIC_LEN);
        (void)nk_buf_u8(out, RELAY_DAEMON_VERSION);
    }
    return rc;
}

#define READ_LEN (4 + 8 + 8)

int relay_daemon_put_read(struct nk_buf *out, const struct relay_daemon_read *r)
{
    int rc = begin(out, DAEMON_READ, READ_LEN);
    if (rc == 0) {
        (void)nk_buf_u8(out, (uint8_t)r->mode);
        (void)nk_buf_u8(out, r->block);
        (void)nk_buf_le16(out, 0);
        (void)nk_buf_le64(out, r->max);
        (void)nk_buf_le64(out, r->wait_ms);
    }
    return rc;
}

#define STOP_LEN (1 + 8)

int relay_daemon_put_stop(struct nk_buf *out, const struct relay_daemon_stop *s)
{
    int rc = begin(out, DAEMON_STOP, STOP_LEN);
    if (rc == 0) {
        (void)nk_buf_u8(out, s->force);
        (void)nk_buf_le64(out, s->wait_ms);
    }
    return rc;
}

static size_t dests_len(const struct relay_endpoint_dest *dest)
{
    size_t n = 2;
    for (size_t i = 0; i < dest->n; i++) {
        n += 8 + 2 + strlen(dest->v[i].group);
    }
    return n;
}

static bool dests_fit(const struct relay_endpoint_dest *dest)
{
    for (size_t i = 0; i < dest->n; i++) {
        if (strlen(dest->v[i].group) > ENDPOINT_GROUP_MAX) {
            return false;
        }
    }
    return dest->n <= RELAY_DAEMON_DESTS;
}

static void put_dests(struct nk_buf *out, const struct relay_endpoint_dest *dest)
{
    (void)nk_buf_le16(out, (uint16_t)dest->n);
    for (size_t i = 0; i < dest->n; i++) {
        size_t len = strlen(dest->v[i].group);
        (void)nk_buf_le64(out, (uint64_t)dest->v[i].n);
        (void)nk_buf_le16(out, (uint16_t)len);
        (void)nk_buf_put(out, dest->v[i].group, len);
    }
}

int relay_daemon_put_notify(struct nk_buf *out, const struct relay_endpoint_dest *dest)
{
    int rc = dests_fit(dest) ? begin(out, DAEMON_NOTIFY, dests_len(dest)) : NK_ETOOBIG;
    if (rc == 0) {
        put_dests(out, dest);
    }
    return rc;
}

int relay_daemon_put_send(struct nk_buf *out, const struct relay_daemon_send *s)
{
    struct nk_buf meta;
    nk_buf_init(&meta, 2 * (size_t)RELAY_META_MAX);
    int rc = dests_fit(&s->dest) ? relay_endpoint_meta_put(&s->meta, &meta) : NK_ETOOBIG;
    rc = rc < 0 ? rc : begin(out, DAEMON_SEND, 4 + 8 + nk_buf_len(&meta) + dests_len(&s->dest));
    if (rc == 0) {
        (void)nk_buf_u8(out, s->produce);
        (void)nk_buf_u8(out, s->form);
        (void)nk_buf_u8(out, s->content);
        (void)nk_buf_u8(out, 0);
        (void)nk_buf_le64(out, s->len);
        (void)nk_buf_put(out, nk_buf_ptr(&meta), nk_buf_len(&meta));
        put_dests(out, &s->dest);
    }
    nk_buf_clear(&meta);
    return rc;
}

#define OBJECT_LEN (2 + 2 + 4 + 8)

int relay_daemon_put_object(struct nk_buf *out, const struct relay_daemon_object *o)
{
    size_t glen = o->group ? o->glen : 0;
    size_t mlen = o->meta ? o->meta_len : RELAY_META_PREFIX;
    size_t most =
        LENGTH_AT_MOST - OBJECT_LEN - ENDPOINT_GROUP_MAX - RELAY_META_PREFIX - RELAY_META_MAX;
    int rc =
        glen <= ENDPOINT_GROUP_MAX && mlen <= RELAY_META_PREFIX + RELAY_META_MAX && o->len <= most
            ? begin(out, DAEMON_OBJECT, OBJECT_LEN + glen + mlen + o->len)
            : NK_ETOOBIG;
    if (rc < 0) {
        return rc;
    }
    (void)nk_buf_u8(out, o->kind);
    (void)nk_buf_u8(out, o->content);
    (void)nk_buf_le16(out, (uint16_t)glen);
    (void)nk_buf_le32(out, o->tries);
    (void)nk_buf_le64(out, o->seq);
    if (glen > 0) {
        (void)nk_buf_put(out, o->group, glen);
    }
    (void)(o->meta ? nk_buf_put(out, o->meta, mlen) : nk_buf_le16(out, 0));
    return o->len > 0 ? nk_buf_put(out, o->data, o->len) : 0;
}

int relay_daemon_put_done(struct nk_buf *out, uint32_t status, uint64_t count, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    int rc = n < LENGTH_AT_MOST ? begin(out, DAEMON_DONE, 4 + 8 + n) : NK_ETOOBIG;
    if (rc < 0) {
        return rc;
    }
    (void)nk_buf_le32(out, status);
    (void)nk_buf_le64(out, count);
    return n > 0 ? nk_buf_put(out, text, n) : 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

int relay_daemon_header(const uint8_t *p, enum relay_daemon_type *type, size_t *len)
{
    struct nk_cur c;
    nk_cur_init(&c, p, RELAY_DAEMON_HEADER);
    uint32_t n = nk_cur_le32(&c), kind = nk_cur_le32(&c);
    if (kind < DAEMON_HELLO || kind > DAEMON_DONE) {
        return NK_EPROTO;
    }
    *type = (enum relay_daemon_type)kind;
    *len = n;
    return 0;
}

int relay_daemon_get_hello(const uint8_t *p, size_t n)
{
    if (n != MAGIC_LEN + 1 || memcmp(p, RELAY_DAEMON_MAGIC, MAGIC_LEN) != 0) {
        return NK_EPROTO;
    }
    return p[MAGIC_LEN] == RELAY_DAEMON_VERSION ? 0 : NK_EVERSION;
}

int relay_daemon_get_read(const uint8_t *p, size_t n, struct relay_daemon_read *r)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    uint8_t mode = nk_cur_u8(&c), block = nk_cur_u8(&c);
    uint16_t zero = nk_cur_le16(&c);
    uint64_t max = nk_cur_le64(&c), wait = nk_cur_le64(&c);
    if (!nk_cur_done(&c) || mode > DAEMON_ALL || block > 1 || zero != 0) {
        return NK_EPROTO;
    }
    *r = (struct relay_daemon_read){
        .mode = (enum relay_daemon_mode)mode, .block = block, .max = max, .wait_ms = wait};
    return 0;
}

int relay_daemon_get_stop(const uint8_t *p, size_t n, struct relay_daemon_stop *s)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    uint8_t force = nk_cur_u8(&c);
    uint64_t wait = nk_cur_le64(&c);
    if (!nk_cur_done(&c) || force > 1) {
        return NK_EPROTO;
    }
    *s = (struct relay_daemon_stop){.force = force == 1, .wait_ms = wait};
    return 0;
}

static int get_dest(struct nk_cur *c, struct relay_wire_dest *out)
{
    int64_t n = (int64_t)nk_cur_le64(c);
    size_t len = nk_cur_le16(c);
    const uint8_t *name = nk_cur_bytes(c, len);
    if (!name || len == 0 || len > ENDPOINT_GROUP_MAX || memchr(name, 0, len)) {
        return NK_EPROTO;
    }
    out->group = strndup((const char *)name, len);
    out->n = n;
    return out->group ? 0 : -ENOMEM;
}

static int get_dests(struct nk_cur *c, struct relay_endpoint_dest *out)
{
    struct relay_endpoint_dest dest = {0};
    size_t n = nk_cur_le16(c);
    int rc = n > 0 && n <= RELAY_DAEMON_DESTS ? 0 : NK_EPROTO;
    if (rc == 0) {
        dest.v = calloc(n, sizeof(*dest.v));
        rc = dest.v ? 0 : -ENOMEM;
    }
    for (; rc == 0 && dest.n < n; dest.n += rc == 0) {
        rc = get_dest(c, &dest.v[dest.n]);
    }
    if (rc == 0 && !nk_cur_done(c)) {
        rc = NK_EPROTO;
    }
    if (rc < 0) {
        relay_endpoint_dest_clear(&dest);
        return rc;
    }
    *out = dest;
    return 0;
}

int relay_daemon_get_notify(const uint8_t *p, size_t n, struct relay_endpoint_dest *dest)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    return get_dests(&c, dest);
}

int relay_daemon_get_send(const uint8_t *p, size_t n, struct relay_daemon_send *s)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    struct relay_daemon_send got = {0};
    size_t meta = 0;
    uint8_t produce = nk_cur_u8(&c);
    got.form = nk_cur_u8(&c);
    got.content = nk_cur_u8(&c);
    uint8_t zero = nk_cur_u8(&c);
    got.len = nk_cur_le64(&c);
    got.produce = produce == 1;
    if (c.failed || produce > 1 || zero != 0 || got.content > 1 + RELAY_CONTENT_PICKLE) {
        return NK_EPROTO;
    }
    int rc = relay_endpoint_meta_get(&got.meta, c.p, nk_cur_left(&c), &meta);
    if (rc == 0) {
        (void)nk_cur_bytes(&c, meta);
        rc = get_dests(&c, &got.dest);
    }
    if (rc < 0) {
        relay_endpoint_meta_clear(&got.meta);
        return rc;
    }
    *s = got;
    return 0;
}

void relay_daemon_send_clear(struct relay_daemon_send *s)
{
    relay_endpoint_dest_clear(&s->dest);
    relay_endpoint_meta_clear(&s->meta);
}

int relay_daemon_get_object(const uint8_t *p, size_t n, struct relay_daemon_object *o)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    struct relay_daemon_object got = {.kind = nk_cur_u8(&c)};
    got.content = nk_cur_u8(&c);
    got.glen = nk_cur_le16(&c);
    got.tries = nk_cur_le32(&c);
    got.seq = nk_cur_le64(&c);
    const uint8_t *name = nk_cur_bytes(&c, got.glen);
    struct relay_meta m;
    if (c.failed || relay_meta_get(c.p, nk_cur_left(&c), &m) < 0) {
        return NK_EPROTO;
    }
    got.meta_len = m.len;
    got.meta = nk_cur_bytes(&c, m.len);
    if (m.len == RELAY_META_PREFIX) { /* nothing in it */
        got.meta = NULL;
        got.meta_len = 0;
    }
    got.len = nk_cur_left(&c);
    got.data = nk_cur_bytes(&c, got.len);
    if (!nk_cur_done(&c)) {
        return NK_EPROTO;
    }
    got.group = got.glen > 0 ? (const char *)name : NULL;
    *o = got;
    return 0;
}

int relay_daemon_get_done(const uint8_t *p, size_t n, struct relay_daemon_done *d)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    struct relay_daemon_done got = {.status = nk_cur_le32(&c)};
    got.count = nk_cur_le64(&c);
    got.len = nk_cur_left(&c);
    got.text = (const char *)nk_cur_bytes(&c, got.len);
    if (!nk_cur_done(&c) || got.status > UINT8_MAX) {
        return NK_EPROTO;
    }
    *d = got;
    return 0;
}
