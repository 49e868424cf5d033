/* SPDX-License-Identifier: MIT */
#include "ssh/krl.h"

#include <sodium.h>
#include <string.h>

#include "ssh/sha1.h"

#define MAGIC "SSHKRL\n"

enum {
    MAGIC_N = sizeof(MAGIC), /* with the zero byte */
    VERSION = 1,
    HEAD = 3 * 8, /* number, date and flags of the list, of which nothing follows */
    /* sections */
    CERTIFICATES = 1,
    EXPLICIT_KEY = 2,
    SHA1_PRINT = 3,
    SIGNATURE = 4,
    SHA256_PRINT = 5,
    EXTENSION = 255,
    /* and those within CERTIFICATES */
    SERIAL_LIST = 0x20,
    SERIAL_RANGE = 0x21,
    SERIAL_BITMAP = 0x22,
    KEY_ID = 0x23,
    CERT_EXTENSION = 0x39
};

/* A key that is looked for, in the ways in which it may be written. */
struct wanted {
    struct ssh_str blob;
    uint8_t sha1[SSH_SHA1_SIZE], sha256[crypto_hash_sha256_BYTES];
};

struct look {
    struct wanted keys[2]; /* the key, and its authority's */
    int nkeys;             /* 0: the form is checked, nothing else */
    const struct ssh_cert *cert;
    bool found;
    const char *unknown; /* what the list has and we do not understand */
};

static bool same(struct ssh_str a, const void *p, size_t n)
{
    return a.p && a.n == n && (n == 0 || memcmp(a.p, p, n) == 0);
}

static void want(struct look *l, struct ssh_str blob)
{
    struct wanted *w = &l->keys[l->nkeys++];
    struct ssh_sha1 h;
    w->blob = blob;
    ssh_sha1_init(&h);
    ssh_sha1_put(&h, blob.p, blob.n);
    ssh_sha1_end(&h, w->sha1);
    crypto_hash_sha256(w->sha256, blob.p, blob.n);
}

/* --- certificates ----------------------------------------------------------------------------- */

static void serial_range(struct look *l, struct nk_cur *c, bool counts)
{
    uint64_t from = nk_cur_be64(c), to = nk_cur_be64(c);
    if (from > to) {
        nk_cur_fail(c);
    } else if (counts && l->cert->serial != 0) {
        l->found = l->found || (l->cert->serial >= from && l->cert->serial <= to);
    }
}

/* Bit i of the number, counted from its last byte on, is for the serial number offset + i. */
static void serial_bitmap(struct look *l, struct nk_cur *c, bool counts)
{
    uint64_t offset = nk_cur_be64(c);
    struct ssh_str bits = ssh_cur_mpint(c);
    if (c->failed || bits.n > (UINT64_MAX - offset) / 8) {
        nk_cur_fail(c);
        return;
    }
    if (counts && l->cert->serial != 0 && l->cert->serial >= offset &&
        (l->cert->serial - offset) / 8 < bits.n) {
        uint64_t i = l->cert->serial - offset;
        l->found = l->found || (bits.p[bits.n - 1 - i / 8] >> (i % 8) & 1);
    }
}

/* counts: they are of the authority of the certificate that is looked for. */
static void cert_section(struct look *l, uint8_t type, struct nk_cur *c, bool counts)
{
    if (type == SERIAL_RANGE) {
        serial_range(l, c, counts);
    } else if (type == SERIAL_BITMAP) {
        serial_bitmap(l, c, counts);
    }
    while (nk_cur_left(c) > 0 && type == SERIAL_LIST) {
        uint64_t serial = nk_cur_be64(c);
        l->found = l->found || (counts && serial != 0 && serial == l->cert->serial);
    }
    while (nk_cur_left(c) > 0 && type == KEY_ID) {
        struct ssh_str id = ssh_cur_string(c);
        l->found = l->found || (counts && same(id, l->cert->id.p, l->cert->id.n));
    }
}

/* Name, whether it is critical, content; the same in both places. */
static void extension(struct look *l, struct nk_cur *c)
{
    (void)ssh_cur_string(c);
    if (ssh_cur_bool(c)) {
        l->unknown = "a critical extension";
    }
    (void)ssh_cur_string(c);
}

static void certificates(struct look *l, struct nk_cur *c)
{
    struct ssh_str ca = ssh_cur_string(c);
    bool counts = l->cert && (ca.n == 0 || same(ca, l->cert->ca.p, l->cert->ca.n));
    (void)ssh_cur_string(c); /* reserved */
    while (nk_cur_left(c) > 0) {
        uint8_t type = nk_cur_u8(c);
        struct nk_cur in = nk_cur_sub(c, nk_cur_be32(c));
        if (type == CERT_EXTENSION) {
            extension(l, &in);
        } else if (type >= SERIAL_LIST && type <= KEY_ID) {
            cert_section(l, type, &in, counts);
        } else {
            l->unknown = "a kind of serial numbers";
            continue;
        }
        if (!nk_cur_done(&in)) {
            nk_cur_fail(c);
        }
    }
}

/* --- keys ------------------------------------------------------------------------------------- */

static void key_list(struct look *l, uint8_t type, struct nk_cur *c)
{
    size_t size = type == SHA1_PRINT ? SSH_SHA1_SIZE : crypto_hash_sha256_BYTES;
    while (nk_cur_left(c) > 0) {
        struct ssh_str s = ssh_cur_string(c);
        if (type != EXPLICIT_KEY && s.n != size) {
            nk_cur_fail(c);
        }
        for (int i = 0; i < l->nkeys && !c->failed; i++) {
            const struct wanted *w = &l->keys[i];
            l->found = l->found || (type == EXPLICIT_KEY ? same(s, w->blob.p, w->blob.n)
                                    : type == SHA1_PRINT ? same(s, w->sha1, size)
                                                         : same(s, w->sha256, size));
        }
    }
}

/* --- the list --------------------------------------------------------------------------------- */

static void section(struct look *l, uint8_t type, struct nk_cur *c)
{
    switch (type) {
    case CERTIFICATES:
        certificates(l, c);
        break;
    case EXPLICIT_KEY:
    case SHA1_PRINT:
    case SHA256_PRINT:
        key_list(l, type, c);
        break;
    case EXTENSION:
        extension(l, c);
        break;
    default:
        l->unknown = type == SIGNATURE ? "a signature" : "a section of an unknown type";
    }
}

static int walk(struct look *l, struct ssh_str list, struct nk_diag *diag)
{
    struct nk_cur c;
    nk_cur_init(&c, list.p, list.n);
    const uint8_t *magic = nk_cur_bytes(&c, MAGIC_N);
    if (!magic || memcmp(magic, MAGIC, MAGIC_N) != 0) {
        nk_cur_fail(&c);
    } else if (nk_cur_be32(&c) != VERSION && !c.failed) {
        l->unknown = "another version of the format";
    }
    (void)nk_cur_bytes(&c, HEAD);
    (void)ssh_cur_string(&c); /* reserved */
    (void)ssh_cur_string(&c); /* comment */
    while (nk_cur_left(&c) > 0 && !l->unknown) {
        uint8_t type = nk_cur_u8(&c);
        struct nk_cur in = nk_cur_sub(&c, nk_cur_be32(&c));
        section(l, type, &in);
        if (!l->unknown && !nk_cur_done(&in)) {
            nk_cur_fail(&c);
        }
    }
    if (l->unknown) {
        return nk_fail(diag, NK_EUNSUPPORTED, "the revocation list has %s that is not understood",
                       l->unknown);
    }
    return c.failed ? nk_fail(diag, NK_EFORMAT, "the revocation list is malformed") : 0;
}

bool ssh_krl_is(const void *p, size_t n)
{
    return n >= MAGIC_N - 2 && memcmp(p, MAGIC, MAGIC_N - 2) == 0;
}

int ssh_krl_check(struct ssh_str list, struct nk_diag *diag)
{
    struct look l = {0};
    return walk(&l, list, diag);
}

int ssh_krl_revoked(struct ssh_str list, const struct ssh_public *k, struct ssh_str plain,
                    struct nk_diag *diag)
{
    struct look l = {.cert = k->is_cert ? &k->cert : NULL};
    want(&l, plain);
    if (k->is_cert) {
        want(&l, k->cert.ca);
    }
    int rc = walk(&l, list, diag);
    return rc < 0 ? rc : l.found;
}
