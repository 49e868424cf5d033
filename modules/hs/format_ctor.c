/* SPDX-License-Identifier: MIT */
/*
 * The files of tor's HiddenServiceDir (rend-spec-v3, "Hidden service directory format"):
 *
 *     hs_ed25519_secret_key   "== ed25519v1-secret: type0 ==" NUL NUL NUL | a[32] | r[32]
 *     hs_ed25519_public_key   "== ed25519v1-public: type0 ==" NUL NUL NUL | PUBLIC[32]
 *     hostname                address ".onion" LF
 */
#include <string.h>

#include "base/onion.h"
#include "hs/format_impl.h"

static const char TAG[] = "== ed25519v1-"; /* what the tags of all types have in common */
static const char SECRET_TAG[HS_CTOR_TAG] = "== ed25519v1-secret: type0 ==";
static const char PUBLIC_TAG[HS_CTOR_TAG] = "== ed25519v1-public: type0 ==";

bool hs_ctor_tagged(const void *p, size_t n)
{
    return n >= sizeof(TAG) - 1 && memcmp(p, TAG, sizeof(TAG) - 1) == 0;
}

/* Length and tag of one of the two files. */
static int check_file(const uint8_t *p, size_t n, size_t want, const char tag[HS_CTOR_TAG],
                      struct nk_diag *diag)
{
    if (n < HS_CTOR_TAG || memcmp(p, tag, HS_CTOR_TAG) != 0) {
        nk_fail(diag, NK_EFORMAT, "tag: the file does not begin with '%s' and three NUL bytes",
                tag);
    } else if (n != want) {
        nk_fail(diag, NK_EFORMAT, "length: the file has %zu bytes, not %zu", n, want);
    } else {
        return 0;
    }
    if (want == HS_CTOR_SECRET_BYTES) {
        nk_hint(diag, "tor would replace such a file by a new key: keep it out of its sight");
    }
    return NK_EFORMAT;
}

int hs_ctor_parse_secret(const uint8_t *p, size_t n, struct hs_identity *k, struct nk_diag *diag)
{
    int rc = check_file(p, n, HS_CTOR_SECRET_BYTES, SECRET_TAG, diag);
    return rc < 0 ? rc : hs_identity_from_expanded(k, p + HS_CTOR_TAG, diag);
}

int hs_ctor_parse_public(const uint8_t *p, size_t n, struct hs_identity *k, struct nk_diag *diag)
{
    int rc = check_file(p, n, HS_CTOR_PUBLIC_BYTES, PUBLIC_TAG, diag);
    return rc < 0 ? rc : hs_identity_from_public(k, p + HS_CTOR_TAG, diag);
}

void hs_ctor_put_secret(uint8_t out[HS_CTOR_SECRET_BYTES], const struct hs_identity *k)
{
    memcpy(out, SECRET_TAG, HS_CTOR_TAG);
    memcpy(out + HS_CTOR_TAG, k->secret, HS_EXPANDED);
}

void hs_ctor_put_public(uint8_t out[HS_CTOR_PUBLIC_BYTES], const struct hs_identity *k)
{
    memcpy(out, PUBLIC_TAG, HS_CTOR_TAG);
    memcpy(out + HS_CTOR_TAG, k->pub, HS_PUBLIC_KEY);
}

/* An address in any case, with or without ".onion". */
static int read_hostname(const struct hs_source *src, struct hs_identity *k, struct nk_diag *diag)
{
    uint8_t pub[HS_PUBLIC_KEY];
    int rc = nk_onion_parse(pub, src->text, src->len, diag);
    return rc < 0 ? rc : hs_identity_from_public(k, pub, diag);
}

HS_READER(hs_ctor_read)
{
    out->kind = HS_IDENTITY;
    out->format = src->format;
    switch (src->format) {
    case HS_CTOR_SECRET:
        return hs_ctor_parse_secret(src->p, src->n, &out->identity, diag);
    case HS_CTOR_PUBLIC:
        return hs_ctor_parse_public(src->p, src->n, &out->identity, diag);
    default:
        return read_hostname(src, &out->identity, diag);
    }
}

HS_WRITER(hs_ctor_write)
{
    uint8_t *to;
    char address[NK_ONION_SIZE];
    (void)diag;
    if (format == HS_HOSTNAME) {
        nk_onion_format(address, item->identity.pub);
        int rc = nk_buf_puts(out, address);
        return rc < 0 ? rc : nk_buf_puts(out, "\n");
    }
    size_t n = format == HS_CTOR_SECRET ? HS_CTOR_SECRET_BYTES : HS_CTOR_PUBLIC_BYTES;
    int rc = nk_buf_reserve(out, n, &to);
    if (rc < 0) {
        return rc;
    }
    if (format == HS_CTOR_SECRET) {
        hs_ctor_put_secret(to, &item->identity);
    } else {
        hs_ctor_put_public(to, &item->identity);
    }
    nk_buf_commit(out, n);
    return 0;
}
