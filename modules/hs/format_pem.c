/* SPDX-License-Identifier: MIT */
/*
 * PEM (RFC 7468) of Ed25519 and X25519 keys as OpenSSL and onionbalance have them (RFC 8410):
 *
 *     PRIVATE KEY   SEQUENCE { INTEGER 0 or 1, SEQUENCE { OID }, OCTET STRING { OCTET STRING [32]
 * }, [0] attributes OPTIONAL, [1] BIT STRING public key OPTIONAL } PUBLIC KEY    SEQUENCE {
 * SEQUENCE { OID }, BIT STRING [32] }
 *
 * Of Ed25519 the private key is the seed; tor's expanded keys cannot be written so.
 */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/cur.h"
#include "base/secret.h"
#include "hs/format_impl.h"

/* DER tags (X.690 8.1.2). */
enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_ATTRIBUTES = 0xa0, /* [0], constructed */
    DER_PUBLIC = 0x81,     /* [1], primitive: RFC 5958's publicKey */
    DER_LONG = 0x80,       /* lengths from here on count the bytes of the length */
    DER_LONG_1 = 0x81,
};

enum { PKCS8_V1 = 0, PKCS8_V2 = 1 /* RFC 5958: may have the public key */ };

enum { MAX_PEM = 4096, MAX_DER = MAX_PEM / 4 * 3, LINE = 64 /* RFC 7468: characters */ };

static const uint8_t OID_ED25519[] = {0x2b, 0x65, 0x70}; /* 1.3.101.112 */
static const uint8_t OID_X25519[] = {0x2b, 0x65, 0x6e};  /* 1.3.101.110 */

static const char DASHES[] = "-----";
static const char PRIVATE_LABEL[] = "PRIVATE KEY";
static const char PUBLIC_LABEL[] = "PUBLIC KEY";

/* --- armour ----------------------------------------------------------------------------------- */

struct pem {
    struct hs_word label, body;
};

/* Where prefix, the label, and five dashes stand in the text, or NULL; the label must not be empty
 * or have dashes. */
static const char *find_line(struct hs_word text, const char *prefix, struct hs_word *label)
{
    const char *at = memmem(text.s, text.n, prefix, strlen(prefix));
    if (!at) {
        return NULL;
    }
    label->s = at + strlen(prefix);
    size_t left = text.n - (size_t)(label->s - text.s);
    const char *end = memmem(label->s, left, DASHES, sizeof(DASHES) - 1);
    label->n = end ? (size_t)(end - label->s) : 0;
    return label->n && !memchr(label->s, '\n', label->n) ? at : NULL;
}

/* The first block; what stands in front of it and behind it is not looked at, but for more keys. */
static int find_block(struct hs_word text, struct pem *out, struct nk_diag *diag)
{
    static const char begin[] = "-----BEGIN ", end[] = "-----END ";
    struct hs_word label, end_label, more;
    if (!find_line(text, begin, &label)) {
        return nk_fail(diag, NK_EFORMAT, "PEM: there is no line '%s..%s'", begin, DASHES);
    }
    const char *body = label.s + label.n + sizeof(DASHES) - 1;
    struct hs_word rest = {body, text.n - (size_t)(body - text.s)};
    const char *stop = find_line(rest, end, &end_label);
    if (!stop || end_label.n != label.n || memcmp(end_label.s, label.s, label.n) != 0) {
        return nk_fail(diag, NK_EFORMAT, "PEM: the line '%s%.*s%s' is missing", end, (int)label.n,
                       label.s, DASHES);
    }
    rest.n -= (size_t)(end_label.s - rest.s);
    rest.s = end_label.s;
    if (find_line(rest, begin, &more)) {
        return nk_fail(diag, NK_EFORMAT, "PEM: there is more than one block");
    }
    out->label = label;
    out->body = (struct hs_word){body, (size_t)(stop - body)};
    return 0;
}

/* The bytes of a block; returns how many, or NK_EFORMAT. */
static ssize_t decode_body(struct hs_word body, uint8_t out[MAX_DER])
{
    char text[MAX_PEM];
    size_t n = 0;
    for (size_t i = 0; i < body.n && n < sizeof(text); i++) {
        if (!hs_is_space(body.s[i])) {
            text[n++] = body.s[i];
        }
    }
    ssize_t got = n && n < sizeof(text) ? nk_base64_decode(out, MAX_DER, text, n) : NK_EFORMAT;
    nk_wipe(text, sizeof(text));
    return got < 0 ? NK_EFORMAT : got;
}

/* --- DER -------------------------------------------------------------------------------------- */

/* What stands inside the next element, which must have this tag; failed else. */
static struct nk_cur der(struct nk_cur *c, uint8_t tag)
{
    if (nk_cur_u8(c) != tag) {
        nk_cur_fail(c);
    }
    size_t n = nk_cur_u8(c);
    if (n == DER_LONG_1) {
        n = nk_cur_u8(c);
        if (n < DER_LONG) { /* not the shortest form */
            nk_cur_fail(c);
        }
    } else if (n >= DER_LONG) {
        nk_cur_fail(c); /* no key is that long */
    }
    return nk_cur_sub(c, n);
}

/* The 32 bytes of a bit string without unused bits; NULL else. */
static const uint8_t *bits(struct nk_cur c)
{
    const uint8_t unused = nk_cur_u8(&c);
    const uint8_t *p = nk_cur_bytes(&c, HS_PUBLIC_KEY);
    return nk_cur_done(&c) && unused == 0 ? p : NULL;
}

static bool next_is(const struct nk_cur *c, uint8_t tag)
{
    return nk_cur_left(c) > 0 && *c->p == tag;
}

/* AlgorithmIdentifier: an object identifier and no parameters. */
static int read_algorithm(struct nk_cur *c, enum hs_kind *kind, struct nk_diag *diag)
{
    struct nk_cur sequence = der(c, DER_SEQUENCE), oid = der(&sequence, DER_OID);
    size_t n = nk_cur_left(&oid);
    const uint8_t *p = nk_cur_bytes(&oid, n);
    if (c->failed || !p) {
        return nk_fail(diag, NK_EFORMAT, "algorithm: it is malformed");
    }
    if (n == sizeof(OID_ED25519) && memcmp(p, OID_ED25519, n) == 0) {
        *kind = HS_IDENTITY;
    } else if (n == sizeof(OID_X25519) && memcmp(p, OID_X25519, n) == 0) {
        *kind = HS_CLIENT;
    } else {
        return nk_fail(diag, NK_EUNSUPPORTED, "algorithm: it is neither Ed25519 nor X25519");
    }
    if (!nk_cur_done(&sequence)) {
        return nk_fail(diag, NK_EFORMAT, "algorithm: it has parameters, and must not");
    }
    return 0;
}

static int take_secret(struct hs_item *out, const uint8_t *secret, struct nk_diag *diag)
{
    return out->kind == HS_CLIENT ? hs_client_from_secret(&out->client, secret, diag)
                                  : hs_identity_from_seed(&out->identity, secret);
}

static int read_private(struct nk_cur c, struct hs_item *out, struct nk_diag *diag)
{
    const uint8_t *secret, *pub = NULL;
    struct nk_cur sequence = der(&c, DER_SEQUENCE), number = der(&sequence, DER_INTEGER);
    uint8_t version = nk_cur_u8(&number);
    if (!nk_cur_done(&c) || !nk_cur_done(&number)) {
        return nk_fail(diag, NK_EFORMAT, "PKCS#8: it is malformed");
    }
    if (version != PKCS8_V1 && version != PKCS8_V2) {
        return nk_fail(diag, NK_EVERSION, "PKCS#8: version %u is not known", version);
    }
    int rc = read_algorithm(&sequence, &out->kind, diag);
    if (rc < 0) {
        return rc;
    }
    struct nk_cur outer = der(&sequence, DER_OCTET_STRING), inner = der(&outer, DER_OCTET_STRING);
    secret = nk_cur_bytes(&inner, HS_SEED);
    if (!secret || !nk_cur_done(&inner) || !nk_cur_done(&outer)) {
        return nk_fail(diag, NK_EFORMAT, "private key: it does not have 32 bytes");
    }
    if (next_is(&sequence, DER_ATTRIBUTES)) {
        (void)der(&sequence, DER_ATTRIBUTES);
    }
    if (version == PKCS8_V2 && next_is(&sequence, DER_PUBLIC)) {
        pub = bits(der(&sequence, DER_PUBLIC));
        if (!pub) {
            return nk_fail(diag, NK_EFORMAT, "public key: it does not have 32 bytes");
        }
    }
    if (!nk_cur_done(&sequence)) {
        return nk_fail(diag, NK_EFORMAT, "PKCS#8: it is malformed behind the private key");
    }
    rc = take_secret(out, secret, diag);
    if (rc == 0 && pub && memcmp(pub, hs_item_pub(out), HS_PUBLIC_KEY) != 0) {
        rc = nk_fail(diag, NK_EFORMAT, "public key: it does not belong to the private key");
    }
    return rc;
}

static int read_public(struct nk_cur c, struct hs_item *out, struct nk_diag *diag)
{
    struct nk_cur sequence = der(&c, DER_SEQUENCE);
    int rc = read_algorithm(&sequence, &out->kind, diag);
    if (rc < 0) {
        return rc;
    }
    const uint8_t *pub = bits(der(&sequence, DER_BIT_STRING));
    if (!pub || !nk_cur_done(&sequence) || !nk_cur_done(&c)) {
        return nk_fail(diag, NK_EFORMAT, "public key: it does not have 32 bytes");
    }
    return out->kind == HS_CLIENT ? hs_client_from_public(&out->client, pub, diag)
                                  : hs_identity_from_public(&out->identity, pub, diag);
}

/* --- as a form -------------------------------------------------------------------------------- */

static bool is(struct hs_word w, const char *text)
{
    return w.n == strlen(text) && memcmp(w.s, text, w.n) == 0;
}

/* Which of the two forms a label stands for. */
static int form_of(struct hs_word label, enum hs_format *out, struct nk_diag *diag)
{
    if (is(label, PRIVATE_LABEL) || is(label, PUBLIC_LABEL)) {
        *out = is(label, PUBLIC_LABEL) ? HS_PEM_PUBLIC : HS_PEM;
        return 0;
    }
    if (is(label, "ENCRYPTED PRIVATE KEY")) {
        nk_fail(diag, NK_EUNSUPPORTED, "PEM: the key is encrypted");
        nk_hint(diag, "openssl pkey -in FILE decrypts it");
        return NK_EUNSUPPORTED;
    }
    nk_fail(diag, NK_EUNSUPPORTED, "PEM: a block '%.*s' is no key of an onion service",
            label.n > LINE ? LINE : (int)label.n, label.s);
    return NK_EUNSUPPORTED;
}

HS_READER(hs_pem_read)
{
    uint8_t raw[MAX_DER];
    struct pem pem = {0};
    struct nk_cur c;
    int rc = find_block((struct hs_word){src->text, src->len}, &pem, diag);
    rc = rc < 0 ? rc : form_of(pem.label, &out->format, diag);
    if (rc < 0) {
        return rc;
    }
    if (src->asked && out->format != src->format) {
        return nk_fail(diag, NK_EFORMAT, "PEM: the block is a '%s', not a '%s'",
                       out->format == HS_PEM ? PRIVATE_LABEL : PUBLIC_LABEL,
                       src->format == HS_PEM ? PRIVATE_LABEL : PUBLIC_LABEL);
    }
    ssize_t n = decode_body(pem.body, raw);
    if (n < 0) {
        return nk_fail(diag, NK_EFORMAT, "PEM: the block is not base64, or is larger than any key");
    }
    nk_cur_init(&c, raw, (size_t)n);
    rc = out->format == HS_PEM ? read_private(c, out, diag) : read_public(c, out, diag);
    nk_wipe(raw, sizeof(raw));
    return rc;
}

/* DER up to the key's bytes; the last byte of `oid` is that of the algorithm. */
static const uint8_t PRIVATE_HEAD[] = {
    DER_SEQUENCE, 46, DER_INTEGER,      1,  PKCS8_V1,         DER_SEQUENCE, 5, DER_OID, 3, 0x2b,
    0x65,         0,  DER_OCTET_STRING, 34, DER_OCTET_STRING, HS_SEED};
static const uint8_t PUBLIC_HEAD[] = {DER_SEQUENCE, 42, DER_SEQUENCE,   5,  DER_OID, 3, 0x2b,
                                      0x65,         0,  DER_BIT_STRING, 33, 0};
enum { PRIVATE_OID_END = 11, PUBLIC_OID_END = 8 };

HS_WRITER(hs_pem_write)
{
    bool private = format == HS_PEM, client = item->kind == HS_CLIENT;
    const char *label = private ? PRIVATE_LABEL : PUBLIC_LABEL;
    size_t head = private ? sizeof(PRIVATE_HEAD) : sizeof(PUBLIC_HEAD);
    uint8_t raw[sizeof(PRIVATE_HEAD) + HS_PUBLIC_KEY];
    const uint8_t *key = hs_item_pub(item);
    (void)diag;
    if (private) {
        key = client ? item->client.secret : item->identity.seed;
    }
    memcpy(raw, private ? PRIVATE_HEAD : PUBLIC_HEAD, head);
    raw[private ? PRIVATE_OID_END : PUBLIC_OID_END] =
        client ? OID_X25519[sizeof(OID_X25519) - 1] : OID_ED25519[sizeof(OID_ED25519) - 1];
    memcpy(raw + head, key, HS_PUBLIC_KEY);
    int rc = nk_buf_printf(out, "-----BEGIN %s-----\n", label);
    rc = rc < 0 ? rc : hs_put_base64(out, raw, head + HS_PUBLIC_KEY); /* one line: below 64 */
    rc = rc < 0 ? rc : nk_buf_printf(out, "\n-----END %s-----\n", label);
    nk_wipe(raw, sizeof(raw));
    return rc;
}
