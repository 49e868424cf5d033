/* SPDX-License-Identifier: MIT */
#include "ssh/packet.h"

#include <string.h>

#include "base/secret.h"
#include "ssh/wire.h"

enum { LENGTH = 4, CLEAR_BLOCK = 8, PADDING_ROOM = 256 };

static size_t block_of(const struct ssh_protect *t)
{
    return t ? t->block : CLEAR_BLOCK;
}

static size_t tag_of(const struct ssh_protect *t)
{
    return t ? t->tag : 0;
}

/* Bytes of the length field that count for the multiple of the block size. */
static size_t counted(const struct ssh_protect *t)
{
    return t && t->apart ? 0 : LENGTH;
}

static void put_length(uint8_t *p, size_t len)
{
    for (int i = 0; i < LENGTH; i++) {
        p[i] = (uint8_t)(len >> (8 * (LENGTH - 1 - i)));
    }
}

static void count(uint32_t *seq, bool *wrapped, struct ssh_traffic *since, size_t bytes)
{
    *wrapped = ++*seq == 0 || *wrapped;
    since->packets++;
    since->bytes += bytes;
}

/* --- out -------------------------------------------------------------------------------------- */

void ssh_sealer_init(struct ssh_sealer *s)
{
    *s = (struct ssh_sealer){0};
}

void ssh_sealer_clear(struct ssh_sealer *s)
{
    ssh_protect_free(s->protect);
    nk_wipe(s, sizeof(*s));
}

void ssh_sealer_key(struct ssh_sealer *s, struct ssh_protect *take_p, bool restart)
{
    ssh_protect_free(s->protect);
    s->protect = take_p;
    s->since = (struct ssh_traffic){0};
    s->seq = restart ? 0 : s->seq;
    s->wrapped = s->wrapped && !restart;
}

/* What a packet's length is a multiple of. Nobody shall see from it how long a password or an
 * answer is (RFC 4251 9.3.9). */
static size_t unit_of(const struct ssh_sealer *s, uint8_t number)
{
    bool login = number == SSH_MSG_USERAUTH_REQUEST || number == SSH_MSG_USERAUTH_INFO_RESPONSE;
    return login && s->protect ? SSH_LOGIN_UNIT : block_of(s->protect);
}

static void pad(struct ssh_sealer *s, uint8_t *p, size_t n)
{
    if (s->pool_left < n) {
        nk_random(s->pool, sizeof(s->pool));
        s->pool_left = sizeof(s->pool);
    }
    s->pool_left -= n;
    memcpy(p, s->pool + s->pool_left, n);
}

int ssh_seal_begin(const struct ssh_sealer *s, struct nk_buf *out, size_t max, uint8_t **payload)
{
    uint8_t *room;
    if (max > SSH_PAYLOAD_MAX) {
        return NK_ETOOBIG;
    }
    int rc = nk_buf_reserve(out, SSH_PACKET_HEAD + max + PADDING_ROOM + tag_of(s->protect), &room);
    if (rc == 0) {
        *payload = room + SSH_PACKET_HEAD;
    }
    return rc;
}

void ssh_seal_end(struct ssh_sealer *s, struct nk_buf *out, uint8_t *payload, size_t n)
{
    uint8_t *p = payload - SSH_PACKET_HEAD;
    size_t unit = unit_of(s, *payload);
    size_t padding = unit - (counted(s->protect) + 1 + n) % unit;
    padding += padding < SSH_PADDING_MIN ? unit : 0;
    size_t len = 1 + n + padding;
    put_length(p, len);
    p[LENGTH] = (uint8_t)padding;
    pad(s, payload + n, padding);
    if (s->protect) {
        s->protect->ops->seal(s->protect, s->seq, p, len);
    }
    nk_buf_commit(out, LENGTH + len + tag_of(s->protect));
    count(&s->seq, &s->wrapped, &s->since, LENGTH + len);
}

int ssh_seal(struct ssh_sealer *s, struct nk_buf *out, const void *payload, size_t n)
{
    uint8_t *to;
    int rc = ssh_seal_begin(s, out, n, &to);
    if (rc == 0) {
        memcpy(to, payload, n);
        ssh_seal_end(s, out, to, n);
    }
    return rc;
}

/* --- in --------------------------------------------------------------------------------------- */

void ssh_opener_init(struct ssh_opener *o)
{
    *o = (struct ssh_opener){.need = LENGTH};
}

void ssh_opener_clear(struct ssh_opener *o)
{
    ssh_protect_free(o->protect);
    *o = (struct ssh_opener){0};
}

static size_t peek_of(const struct ssh_opener *o)
{
    return o->protect ? o->protect->peek : LENGTH;
}

void ssh_opener_key(struct ssh_opener *o, struct ssh_protect *take_p, bool restart)
{
    ssh_protect_free(o->protect);
    o->protect = take_p;
    o->since = (struct ssh_traffic){0};
    o->seq = restart ? 0 : o->seq;
    o->wrapped = o->wrapped && !restart;
    o->need = peek_of(o);
}

static size_t read_length(const struct ssh_opener *o, uint8_t *p)
{
    if (o->protect) {
        return o->protect->ops->length(o->protect, o->seq, p);
    }
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

static int check_length(const struct ssh_opener *o, size_t len, struct nk_diag *diag)
{
    size_t block = block_of(o->protect);
    if (len > SSH_PACKET_MAX || len < 1 + 1 + SSH_PADDING_MIN ||
        (counted(o->protect) + len) % block != 0) {
        return nk_fail(diag, NK_EPROTO, "a packet of %zu bytes, in blocks of %zu, cannot be", len,
                       block);
    }
    return 0;
}

/* The whole packet is there. */
static int open_whole(struct ssh_opener *o, uint8_t *p, struct ssh_packet *out,
                      struct nk_diag *diag)
{
    size_t len = o->length;
    if (o->protect && !o->protect->ops->open(o->protect, o->seq, p, len)) {
        return nk_fail(diag, NK_EAUTH, "a packet was changed on the way (its MAC is wrong)");
    }
    size_t padding = p[LENGTH];
    if (padding < SSH_PADDING_MIN || padding > len - 1 - 1) {
        return nk_fail(diag, NK_EPROTO, "%zu bytes of padding in a packet of %zu cannot be",
                       padding, len);
    }
    *out = (struct ssh_packet){.payload = p + SSH_PACKET_HEAD,
                               .n = len - 1 - padding,
                               .used = LENGTH + len + tag_of(o->protect),
                               .seq = o->seq};
    o->length = 0;
    o->need = peek_of(o);
    count(&o->seq, &o->wrapped, &o->since, LENGTH + len);
    return 1;
}

int ssh_open(struct ssh_opener *o, uint8_t *p, size_t n, struct ssh_packet *out,
             struct nk_diag *diag)
{
    if (n < o->need) {
        return 0;
    }
    if (o->length == 0) {
        size_t len = read_length(o, p);
        int rc = check_length(o, len, diag);
        if (rc < 0) {
            return rc;
        }
        o->length = len;
        o->need = LENGTH + len + tag_of(o->protect);
    }
    return n < o->need ? 0 : open_whole(o, p, out, diag);
}
