/* SPDX-License-Identifier: MIT */
#include "relay/wire_native.h"

#include <errno.h>
#include <string.h>

#include "base/cur.h"

enum { RANGE_LEN = 12, MAGIC_LEN = 12, SEQ_BITS = 56 };

/* Columns of RELAY_NATIVE_TYPES. */
enum { NO = 0xff, GROUP = 1, ANYGROUP = 2, SEQ = 4, NOTZERO = 8, KNOWN = 16 };
enum { TYPES = RELAY_N_GOAWAY + 1 };

struct row {
    uint8_t flags[2]; /* by enum relay_native_from; NO: not from there */
    uint8_t rules;
    uint32_t min, max;
    const char *name;
};

static const struct row rows[TYPES] = {
#define ROW(name, code, c, r, min, max, rules)                                                     \
    [code] = {{(c), (r)}, (rules) | KNOWN, min, max, #name},
    RELAY_NATIVE_TYPES(ROW)
#undef ROW
};

const char *relay_native_type_name(uint8_t type)
{
    return type < TYPES && rows[type].name ? rows[type].name : "?";
}

int32_t relay_native_status(int rc)
{
#define CASE(name, code, error)                                                                    \
    case (error):                                                                                  \
        return (code);
    switch (rc) {
        RELAY_NATIVE_STATUSES(CASE)
    default:
        return rc > 0 ? RELAY_STATUS_OK : RELAY_STATUS_STORE;
    }
#undef CASE
}

int relay_native_error(int32_t status)
{
#define CASE(name, code, error)                                                                    \
    case (code):                                                                                   \
        return (error);
    switch (status) {
        RELAY_NATIVE_STATUSES(CASE)
    default:
        return NK_EPROTO;
    }
#undef CASE
}

/* --- numbers ---------------------------------------------------------------------------------- */

static inline uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

static inline uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline uint8_t *put32(uint8_t *p, uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

static inline uint8_t *put64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

static uint8_t *put_bytes(uint8_t *p, const void *from, size_t n)
{
    if (n) {
        memcpy(p, from, n);
    }
    return p + n;
}

static uint8_t *put_text(uint8_t *p, struct relay_text t)
{
    *p++ = (uint8_t)t.len;
    return put_bytes(p, t.p, t.len);
}

static struct relay_text get_text(struct nk_cur *c, size_t n)
{
    struct relay_text t = {.p = (const char *)nk_cur_bytes(c, n), .len = n};
    return t;
}

/* The frame's head before its payload, which ends at `end`. Returns the whole length. */
static size_t finish(uint8_t *out, const uint8_t *end, struct relay_native_head h)
{
    size_t n = (size_t)(end - out);
    h.len = (uint32_t)(n - RELAY_NATIVE_HEAD);
    relay_native_put_head(out, &h);
    return n;
}

/* --- heads ------------------------------------------------------------------------------------ */

void relay_native_put_head(uint8_t *out, const struct relay_native_head *h)
{
    put32(out, (uint32_t)h->type | h->len << 8);
    put32(out + 4, h->group);
    put64(out + 8, h->seq | (uint64_t)h->flags << SEQ_BITS);
}

static int refuse(const char **why, int rc, const char *text)
{
    if (why) {
        *why = text;
    }
    return rc;
}

/* Only fragments with MORE have a lower limit of their own. */
static bool is_object(uint8_t type)
{
    return type == RELAY_N_BROADCAST || type == RELAY_N_ITEM;
}

static int check_rest(const struct row *r, const struct relay_native_head *h, uint8_t allowed,
                      const char **why)
{
    if (!(r->rules & ANYGROUP) && (h->group != 0) != ((r->rules & GROUP) != 0)) {
        return refuse(why, NK_EPROTO, h->group ? "a group where none belongs" : "no group");
    }
    if ((h->seq != 0 && !(r->rules & SEQ)) || (h->seq == 0 && (r->rules & NOTZERO))) {
        return refuse(why, NK_EPROTO, "a wrong sequence number");
    }
    if (h->flags & (uint8_t)~allowed) {
        return refuse(why, NK_EPROTO, "an unknown flag");
    }
    if (is_object(h->type) && (h->flags & RELAY_N_MORE) && h->len < RELAY_NATIVE_MORE_MIN) {
        return refuse(why, NK_EPROTO, "a fragment that is too short");
    }
    return 1;
}

int relay_native_head(const void *p, size_t n, enum relay_native_from from, uint32_t max_len,
                      struct relay_native_head *h, const char **why)
{
    const uint8_t *b = p;
    if (n == 0) {
        return 0;
    }
    const struct row *r = b[0] < TYPES ? &rows[b[0]] : NULL;
    if (!r || !(r->rules & KNOWN)) {
        return refuse(why, NK_EPROTO, "an unknown type of frame");
    }
    if (r->flags[from] == NO) {
        return refuse(why, NK_EPROTO, "a frame that only the other side may send");
    }
    if (n < 4) {
        return 0;
    }
    uint32_t len = get32(b) >> 8;
    if (len < r->min || len > r->max || len > max_len) {
        return refuse(why, NK_ETOOBIG,
                      len < r->min ? "a frame that is too short" : "a frame that is too long");
    }
    if (n < RELAY_NATIVE_HEAD) {
        return 0;
    }
    uint64_t last = get64(b + 8);
    struct relay_native_head v = {.type = b[0],
                                  .flags = (uint8_t)(last >> SEQ_BITS),
                                  .len = len,
                                  .group = get32(b + 4),
                                  .seq = last & RELAY_NATIVE_SEQ_MAX};
    int rc = check_rest(r, &v, r->flags[from], why);
    if (rc == 1) {
        *h = v;
    }
    return rc;
}

/* --- the beginning ---------------------------------------------------------------------------- */

size_t relay_native_put_hello(uint8_t *out, const struct relay_native_hello *v)
{
    uint8_t *p = put_bytes(out + RELAY_NATIVE_HEAD, RELAY_NATIVE_MAGIC, MAGIC_LEN);
    *p++ = v->version_min;
    *p++ = v->version_max;
    *p++ = 0;
    *p++ = 0;
    p = put32(p, v->features);
    p = put_bytes(p, v->session, sizeof(v->session));
    p = put64(p, v->producer);
    p = put_text(p, v->name);
    return finish(out, p, (struct relay_native_head){.type = RELAY_N_HELLO});
}

int relay_native_get_hello(const void *p, size_t n, struct relay_native_hello *v)
{
    struct nk_cur c;
    struct relay_native_hello t = {0};
    nk_cur_init(&c, p, n);
    const uint8_t *magic = nk_cur_bytes(&c, MAGIC_LEN);
    bool ok = magic && memcmp(magic, RELAY_NATIVE_MAGIC, MAGIC_LEN) == 0;
    t.version_min = nk_cur_u8(&c);
    t.version_max = nk_cur_u8(&c);
    ok = nk_cur_le16(&c) == 0 && ok;
    t.features = nk_cur_le32(&c);
    nk_cur_copy(&c, t.session, sizeof(t.session));
    t.producer = nk_cur_le64(&c);
    t.name = get_text(&c, nk_cur_u8(&c));
    if (!ok || !nk_cur_done(&c) || t.version_min == 0 || t.version_min > t.version_max) {
        return NK_EPROTO;
    }
    *v = t;
    return 0;
}

size_t relay_native_put_challenge(uint8_t *out, const struct relay_native_challenge *v)
{
    uint8_t *p = out + RELAY_NATIVE_HEAD;
    *p++ = v->version;
    *p++ = v->methods;
    *p++ = 0;
    *p++ = 0;
    p = put32(p, v->features);
    p = put_bytes(p, v->nonce, sizeof(v->nonce));
    p = put_bytes(p, v->salt, sizeof(v->salt));
    p = put32(p, v->argon2_kib);
    p = put32(p, v->argon2_passes);
    *p++ = v->candidates;
    p = put_text(p, v->name);
    return finish(out, p,
                  (struct relay_native_head){.type = RELAY_N_CHALLENGE,
                                             .flags = v->logged_in ? RELAY_N_LOGGED_IN : 0});
}

int relay_native_get_challenge(const struct relay_native_head *h, const void *p,
                               struct relay_native_challenge *v)
{
    struct nk_cur c;
    struct relay_native_challenge t = {.logged_in = (h->flags & RELAY_N_LOGGED_IN) != 0};
    nk_cur_init(&c, p, h->len);
    t.version = nk_cur_u8(&c);
    t.methods = nk_cur_u8(&c);
    bool ok = nk_cur_le16(&c) == 0;
    t.features = nk_cur_le32(&c);
    nk_cur_copy(&c, t.nonce, sizeof(t.nonce));
    nk_cur_copy(&c, t.salt, sizeof(t.salt));
    t.argon2_kib = nk_cur_le32(&c);
    t.argon2_passes = nk_cur_le32(&c);
    t.candidates = nk_cur_u8(&c);
    t.name = get_text(&c, nk_cur_u8(&c));
    if (!ok || !nk_cur_done(&c) || t.version == 0 || t.candidates > RELAY_NATIVE_CANDIDATES) {
        return NK_EPROTO;
    }
    *v = t;
    return 0;
}

size_t relay_native_put_auth(uint8_t *out, uint64_t step, uint8_t method, const void *p, size_t n)
{
    out[RELAY_NATIVE_HEAD] = method;
    return finish(out, put_bytes(out + RELAY_NATIVE_HEAD + 1, p, n),
                  (struct relay_native_head){.type = RELAY_N_AUTH, .seq = step});
}

size_t relay_native_put_welcome(uint8_t *out, const struct relay_native_welcome *v)
{
    uint8_t *p = put_bytes(out + RELAY_NATIVE_HEAD, v->session, sizeof(v->session));
    p = put32(p, v->resumed);
    p = put32(p, v->heartbeat_ms);
    p = put32(p, v->grace_ms);
    p = put64(p, v->max_object);
    p = put32(p, v->max_open_groups);
    p = put_text(p, v->identity);
    return finish(out, p, (struct relay_native_head){.type = RELAY_N_WELCOME});
}

int relay_native_get_welcome(const void *p, size_t n, struct relay_native_welcome *v)
{
    struct nk_cur c;
    struct relay_native_welcome t = {0};
    nk_cur_init(&c, p, n);
    nk_cur_copy(&c, t.session, sizeof(t.session));
    uint32_t resumed = nk_cur_le32(&c); /* and three reserved bytes */
    t.resumed = resumed == 1;
    t.heartbeat_ms = nk_cur_le32(&c);
    t.grace_ms = nk_cur_le32(&c);
    t.max_object = nk_cur_le64(&c);
    t.max_open_groups = nk_cur_le32(&c);
    t.identity = get_text(&c, nk_cur_u8(&c));
    if (resumed > 1 || !nk_cur_done(&c)) {
        return NK_EPROTO;
    }
    *v = t;
    return 0;
}

/* --- groups ----------------------------------------------------------------------------------- */

size_t relay_native_put_open(uint8_t *out, const struct relay_native_open *v)
{
    uint8_t *p = out + RELAY_NATIVE_HEAD;
    *p++ = v->known;
    p = put64(p, v->known ? v->epoch : 0);
    p = put64(p, v->known ? v->version : 0);
    p = put_bytes(p, v->name.p, v->name.len);
    return finish(out, p,
                  (struct relay_native_head){.type = RELAY_N_OPEN,
                                             .seq = v->request,
                                             .flags = v->member ? RELAY_N_MEMBER : 0});
}

int relay_native_get_open(const struct relay_native_head *h, const void *p,
                          struct relay_native_open *v)
{
    struct nk_cur c;
    struct relay_native_open t = {.request = h->seq, .member = (h->flags & RELAY_N_MEMBER) != 0};
    nk_cur_init(&c, p, h->len);
    uint8_t known = nk_cur_u8(&c);
    t.known = known == 1;
    t.epoch = nk_cur_le64(&c);
    t.version = nk_cur_le64(&c);
    t.name = get_text(&c, nk_cur_left(&c));
    if (known > 1 || (!known && (t.epoch || t.version)) || t.name.len == 0 ||
        t.name.len > RELAY_NATIVE_NAME || !nk_cur_done(&c)) {
        return NK_EPROTO;
    }
    *v = t;
    return 0;
}

size_t relay_native_put_opened(uint8_t *out, const struct relay_native_opened *v)
{
    uint8_t *p = put32(out + RELAY_NATIVE_HEAD, (uint32_t)v->status);
    p = put64(p, v->window);
    p = put64(p, v->epoch);
    p = put64(p, v->version);
    p = put_bytes(p, v->text.p, v->text.len);
    return finish(
        out, p,
        (struct relay_native_head){.type = RELAY_N_OPENED, .seq = v->request, .group = v->group});
}

int relay_native_get_opened(const struct relay_native_head *h, const void *p,
                            struct relay_native_opened *v)
{
    struct nk_cur c;
    struct relay_native_opened t = {.request = h->seq, .group = h->group};
    nk_cur_init(&c, p, h->len);
    t.status = (int32_t)nk_cur_le32(&c);
    t.window = nk_cur_le64(&c);
    t.epoch = nk_cur_le64(&c);
    t.version = nk_cur_le64(&c);
    t.text = get_text(&c, nk_cur_left(&c));
    if ((t.status == 0) != (t.group != 0) || (t.status == 0 && t.text.len) || !nk_cur_done(&c)) {
        return NK_EPROTO;
    }
    *v = t;
    return 0;
}

/* --- small ones ------------------------------------------------------------------------------- */

size_t relay_native_put_plain(uint8_t *out, enum relay_native_type type, uint32_t group,
                              uint64_t seq)
{
    struct relay_native_head h = {.type = (uint8_t)type, .group = group, .seq = seq};
    return finish(out, out + RELAY_NATIVE_HEAD, h);
}

size_t relay_native_put_u64(uint8_t *out, enum relay_native_type type, uint32_t group, uint64_t seq,
                            uint64_t v)
{
    struct relay_native_head h = {.type = (uint8_t)type, .group = group, .seq = seq};
    return finish(out, put64(out + RELAY_NATIVE_HEAD, v), h);
}

uint64_t relay_native_get_u64(const void *p)
{
    return get64(p);
}

size_t relay_native_put_u32(uint8_t *out, enum relay_native_type type, uint32_t group, uint64_t seq,
                            uint32_t v)
{
    struct relay_native_head h = {.type = (uint8_t)type, .group = group, .seq = seq};
    return finish(out, put32(out + RELAY_NATIVE_HEAD, v), h);
}

uint32_t relay_native_get_u32(const void *p)
{
    return get32(p);
}

size_t relay_native_put_ranges(uint8_t *out, enum relay_native_type type, bool want, uint32_t group,
                               uint64_t seq, uint32_t ms, const struct relay_native_range *v,
                               uint32_t n)
{
    struct relay_native_head h = {
        .type = (uint8_t)type, .flags = want ? RELAY_N_WANT : 0, .group = group, .seq = seq};
    uint8_t *p = out + RELAY_NATIVE_HEAD;
    if (type != RELAY_N_ACK) {
        p = put32(p, ms);
    }
    for (uint32_t i = 0; i < n; i++) {
        p = put64(p, v[i].first);
        p = put32(p, v[i].count);
    }
    return finish(out, p, h);
}

int relay_native_get_ranges(const struct relay_native_head *h, const void *p,
                            struct relay_native_ranges *v)
{
    struct relay_native_ranges t = {.p = p, .n = 1, .seq = h->seq};
    uint32_t left = h->len;
    if (h->type != RELAY_N_ACK) {
        t.ms = get32(p);
        t.p += sizeof(uint32_t);
        left -= (uint32_t)sizeof(uint32_t);
    }
    if (left == 0) {
        t.p = NULL;
    } else {
        t.n = left / RANGE_LEN;
    }
    if (left % RANGE_LEN || (!t.p && h->seq == 0)) {
        return NK_EPROTO;
    }
    for (uint32_t i = 0; i < t.n; i++) {
        struct relay_native_range r = relay_native_range(&t, i);
        if (r.first == 0 || r.count == 0 || r.first > RELAY_NATIVE_SEQ_MAX ||
            r.count - 1 > RELAY_NATIVE_SEQ_MAX - r.first) {
            return NK_EPROTO;
        }
    }
    *v = t;
    return 0;
}

struct relay_native_range relay_native_range(const struct relay_native_ranges *v, uint32_t i)
{
    if (!v->p) {
        return (struct relay_native_range){.first = v->seq, .count = 1};
    }
    const uint8_t *p = v->p + (size_t)i * RANGE_LEN;
    return (struct relay_native_range){.first = get64(p), .count = get32(p + 8)};
}

size_t relay_native_put_receipt(uint8_t *out, uint32_t group, uint64_t seq,
                                const struct relay_native_failure *v, uint32_t n)
{
    uint8_t *p = out + RELAY_NATIVE_HEAD;
    for (uint32_t i = 0; i < n; i++) {
        p = put64(p, v[i].seq);
        p = put32(p, (uint32_t)v[i].status);
    }
    return finish(out, p,
                  (struct relay_native_head){.type = RELAY_N_RECEIPT, .group = group, .seq = seq});
}

int relay_native_get_receipt(const struct relay_native_head *h, const void *p)
{
    if (h->len % RANGE_LEN) {
        return NK_EPROTO;
    }
    for (uint32_t i = 0; i < h->len / RANGE_LEN; i++) {
        struct relay_native_failure f = relay_native_failure(p, i);
        if (f.seq == 0 || f.seq > h->seq || f.status == RELAY_STATUS_OK) {
            return NK_EPROTO;
        }
    }
    return (int)(h->len / RANGE_LEN);
}

struct relay_native_failure relay_native_failure(const void *p, uint32_t i)
{
    const uint8_t *b = (const uint8_t *)p + (size_t)i * RANGE_LEN;
    return (struct relay_native_failure){.seq = get64(b), .status = (int32_t)get32(b + 8)};
}

size_t relay_native_put_echo(uint8_t *out, enum relay_native_type type, const void *p, size_t n)
{
    return finish(out, put_bytes(out + RELAY_NATIVE_HEAD, p, n),
                  (struct relay_native_head){.type = (uint8_t)type});
}

size_t relay_native_put_goaway(uint8_t *out, uint32_t code, const char *text)
{
    size_t n = strlen(text);
    uint8_t *p = put32(out + RELAY_NATIVE_HEAD, code);
    p = put_bytes(p, text, n < RELAY_NATIVE_REASON ? n : RELAY_NATIVE_REASON);
    return finish(out, p, (struct relay_native_head){.type = RELAY_N_GOAWAY});
}

void relay_native_get_goaway(const void *p, size_t n, uint32_t *code, struct relay_text *text)
{
    *code = get32(p);
    *text =
        (struct relay_text){.p = (const char *)p + sizeof(uint32_t), .len = n - sizeof(uint32_t)};
}

/* --- runs ------------------------------------------------------------------------------------- */

uint32_t relay_run_scan(const void *p, size_t n, uint32_t max_len, size_t *len, uint64_t *last)
{
    const uint8_t *b = p, *end = b + n;
    uint32_t frames = 0, group = n < RELAY_NATIVE_HEAD ? 0 : get32(b + 4);
    uint64_t seq = 0;
    while (group && (size_t)(end - b) >= RELAY_NATIVE_HEAD) {
        uint32_t first = get32(b), payload = first >> 8;
        uint64_t word = get64(b + 8);
        uint8_t flags = (uint8_t)(word >> SEQ_BITS);
        word &= RELAY_NATIVE_SEQ_MAX;
        if ((uint8_t)first != RELAY_N_BROADCAST || get32(b + 4) != group || payload > max_len ||
            payload > RELAY_NATIVE_FRAGMENT || (flags & (uint8_t)~RELAY_N_CONTENT) || word == 0 ||
            (frames && word != seq + 1) || payload > (size_t)(end - b) - RELAY_NATIVE_HEAD) {
            break;
        }
        seq = word;
        b += RELAY_NATIVE_HEAD + payload;
        frames++;
    }
    if (frames < 2) {
        return 0;
    }
    *len = (size_t)(b - (const uint8_t *)p);
    *last = seq;
    return frames;
}

size_t relay_run_stamp(uint8_t *p, size_t n, uint64_t version)
{
    const uint64_t flags = ~RELAY_NATIVE_SEQ_MAX;
    size_t off = 0, last = 0;
    while (off < n) {
        put64(p + off + 8, (get64(p + off + 8) & flags) | version++);
        last = off;
        off += RELAY_NATIVE_HEAD + (get32(p + off) >> 8);
    }
    return last;
}
