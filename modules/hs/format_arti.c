/* SPDX-License-Identifier: MIT */
/*
 * The files of arti's keystore. Private keys stand in OpenSSH's container (base/openssh_key.h) with
 * an empty comment and arti's deterministic check word:
 *
 *     x25519@spec.torproject.org             PUBLIC[32], secret[32]
 *     ed25519-expanded@spec.torproject.org   PUBLIC[32], a[32] | r[32]; a reduced modulo the order
 *     ssh-ed25519                            PUBLIC[32], seed[32] | PUBLIC[32], as OpenSSH has it
 *
 * Public keys are OpenSSH's lines without a newline; all Ed25519 keys are ssh-ed25519 there.
 */
#include <string.h>

#include "base/codec.h"
#include "base/openssh_key.h"
#include "base/secret.h"
#include "hs/format_impl.h"

/* Fields of the types: public; the private section has the public key again, and the secret. */
enum { PUBLIC_FIELDS = 1, PRIVATE_FIELDS = 2, PUBLIC_FIELD = 0, SECRET_FIELD = 1 };

enum { SSH_ED25519, X25519, ED25519_EXPANDED, TYPES, PUBLIC_TYPES = 2 };

static const struct nk_openssh_type types[TYPES] = {
    [SSH_ED25519] = {"ssh-ed25519", PUBLIC_FIELDS, PRIVATE_FIELDS},
    [X25519] = {"x25519@spec.torproject.org", PUBLIC_FIELDS, PRIVATE_FIELDS},
    [ED25519_EXPANDED] = {"ed25519-expanded@spec.torproject.org", PUBLIC_FIELDS, PRIVATE_FIELDS},
};

static int read_comment(struct nk_openssh_str from, struct hs_item *out, struct nk_diag *diag)
{
    if (from.n > HS_COMMENT_MAX) {
        return nk_fail(diag, NK_ETOOBIG, "comment: it has %zu bytes, more than %d", from.n,
                       HS_COMMENT_MAX);
    }
    if (!nk_utf8_valid(from.p, from.n) || memchr(from.p, 0, from.n)) {
        return nk_fail(diag, NK_EFORMAT, "comment: it is not text");
    }
    memcpy(out->comment, from.p, from.n);
    out->comment[from.n] = 0;
    return 0;
}

/* --- private keys ----------------------------------------------------------------------------- */

/* The secret of a key, which has the length that its type wants. */
static int read_secret(const struct nk_openssh_key *k, struct hs_item *out, struct nk_diag *diag)
{
    static const size_t want[TYPES] = {[SSH_ED25519] = HS_SEED + HS_PUBLIC_KEY,
                                       [X25519] = HS_CLIENT_SECRET,
                                       [ED25519_EXPANDED] = HS_EXPANDED};
    const struct nk_openssh_str secret = k->private_field[SECRET_FIELD];
    size_t type = (size_t)(k->type - types);
    if (secret.n != want[type]) {
        return nk_fail(diag, NK_EFORMAT, "private key: a key of type %s has %zu bytes, this %zu",
                       k->type->name, want[type], secret.n);
    }
    out->kind = type == X25519 ? HS_CLIENT : HS_IDENTITY;
    out->format = type == SSH_ED25519 ? HS_OPENSSH : HS_ARTI_PRIVATE;
    switch (type) {
    case X25519:
        return hs_client_from_secret(&out->client, secret.p, diag);
    case ED25519_EXPANDED:
        return hs_identity_from_expanded(&out->identity, secret.p, diag);
    default:
        return hs_identity_from_seed(&out->identity, secret.p);
    }
}

static bool is_key(struct nk_openssh_str s, const uint8_t pub[HS_PUBLIC_KEY])
{
    return s.n == HS_PUBLIC_KEY && memcmp(s.p, pub, HS_PUBLIC_KEY) == 0;
}

/* The public key stands there twice, and of an OpenSSH key behind the seed a third time. */
static int check_public(const struct nk_openssh_key *k, const struct hs_item *item,
                        struct nk_diag *diag)
{
    const uint8_t *pub = hs_item_pub(item), *secret = k->private_field[SECRET_FIELD].p;
    if (!is_key(k->public_field[PUBLIC_FIELD], pub)) {
        return nk_fail(diag, NK_EFORMAT, "public key: it does not belong to the private key");
    }
    if (!is_key(k->private_field[PUBLIC_FIELD], pub) ||
        (item->format == HS_OPENSSH && memcmp(secret + HS_SEED, pub, HS_PUBLIC_KEY) != 0)) {
        return nk_fail(diag, NK_EFORMAT, "private key: the public key in it does not belong to it");
    }
    return 0;
}

static int read_container(const struct nk_buf *bin, struct hs_item *out, struct nk_diag *diag)
{
    struct nk_openssh_file f;
    struct nk_openssh_key k;
    int rc = nk_openssh_parse(nk_buf_ptr(bin), nk_buf_len(bin), &f, diag);
    if (rc == 0 && f.encrypted) {
        rc = nk_fail(diag, NK_EUNSUPPORTED,
                     "encryption: keys with a passphrase are not supported here, nor by arti");
        nk_hint(diag, "ssh-keygen -p -N '' -f COPY takes the passphrase off a copy");
        return rc;
    }
    rc = rc < 0 ? rc : nk_openssh_parse_key(&f, f.inner.p, f.inner.n, types, TYPES, &k, diag);
    rc = rc < 0 ? rc : read_secret(&k, out, diag);
    rc = rc < 0 ? rc : check_public(&k, out, diag);
    return rc < 0 ? rc : read_comment(k.comment, out, diag);
}

HS_READER(hs_arti_read)
{
    struct nk_buf bin;
    nk_buf_init_secret(&bin, NK_OPENSSH_MAX);
    int rc = nk_openssh_dearmor(src->text, src->len, &bin, diag);
    rc = rc < 0 ? rc : read_container(&bin, out, diag);
    nk_buf_clear(&bin);
    if (rc == 0 && src->asked && out->format != src->format) {
        rc = nk_fail(diag, NK_EFORMAT, "type: the key is of the form '%s', not '%s'",
                     hs_format_info(out->format)->name, hs_format_info(src->format)->name);
    }
    return rc;
}

HS_WRITER(hs_arti_write)
{
    uint8_t secret[HS_EXPANDED];
    const struct nk_openssh_str pub = {hs_item_pub(item), HS_PUBLIC_KEY};
    struct nk_openssh_key k = {.comment = {(const uint8_t *)item->comment, strlen(item->comment)}};
    (void)diag;
    size_t n = HS_EXPANDED,
           checked = HS_EXPANDED; /* the check word sums the seed, not the public */
    if (item->kind == HS_CLIENT) {
        k.type = &types[X25519];
        memcpy(secret, item->client.secret, HS_CLIENT_SECRET);
        n = checked = HS_CLIENT_SECRET;
    } else if (format == HS_OPENSSH) {
        k.type = &types[SSH_ED25519];
        memcpy(secret, item->identity.seed, HS_SEED);
        memcpy(secret + HS_SEED, item->identity.pub, HS_PUBLIC_KEY);
        checked = HS_SEED;
    } else {
        k.type = &types[ED25519_EXPANDED];
        hs_identity_reduced(secret, &item->identity);
    }
    k.public_field[PUBLIC_FIELD] = k.private_field[PUBLIC_FIELD] = pub;
    k.private_field[SECRET_FIELD] = (struct nk_openssh_str){secret, n};
    k.check = nk_openssh_check_of(secret, checked);
    int rc = nk_openssh_write(&k, out);
    nk_wipe(secret, sizeof(secret));
    return rc;
}

/* --- public keys ------------------------------------------------------------------------------ */

HS_READER(hs_arti_public_read)
{
    struct nk_buf blob;
    struct nk_openssh_public k;
    nk_buf_init(&blob, NK_OPENSSH_MAX);
    out->format = HS_ARTI_PUBLIC;
    int rc = nk_openssh_parse_public(src->text, src->len, types, PUBLIC_TYPES, &blob, &k, diag);
    if (rc == 0 && k.field[PUBLIC_FIELD].n != HS_PUBLIC_KEY) {
        rc = nk_fail(diag, NK_EFORMAT, "public key: it has %zu bytes, not %d",
                     k.field[PUBLIC_FIELD].n, HS_PUBLIC_KEY);
    }
    if (rc == 0 && k.type == &types[X25519]) {
        out->kind = HS_CLIENT;
        rc = hs_client_from_public(&out->client, k.field[PUBLIC_FIELD].p, diag);
    } else if (rc == 0) {
        out->kind = HS_IDENTITY;
        rc = hs_identity_from_public(&out->identity, k.field[PUBLIC_FIELD].p, diag);
    }
    rc = rc < 0 ? rc : read_comment(k.comment, out, diag);
    nk_buf_clear(&blob);
    return rc;
}

HS_WRITER(hs_arti_public_write)
{
    const struct nk_openssh_public k = {
        .type = &types[item->kind == HS_CLIENT ? X25519 : SSH_ED25519],
        .field[PUBLIC_FIELD] = {hs_item_pub(item), HS_PUBLIC_KEY},
        .comment = {(const uint8_t *)item->comment, strlen(item->comment)},
    };
    (void)format;
    (void)diag;
    return nk_openssh_write_public(&k, out);
}
