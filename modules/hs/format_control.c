/* SPDX-License-Identifier: MIT */
/*
 * Keys as tor's control port takes and gives them (control-spec, ADD_ONION and
 * ONION_CLIENT_AUTH_ADD), and as bitcoind, lnd and others keep them:
 *
 *     ED25519-V3:base64(a[32] | r[32])      with or without padding
 *     x25519:base64(secret[32])
 *
 * Also read in the line in which it stands: "ADD_ONION ED25519-V3:..", "250-PrivateKey=..",
 * "ONION_CLIENT_AUTH_ADD ADDRESS x25519:..", "250-CLIENT ADDRESS x25519:..".
 */
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/onion.h"
#include "base/secret.h"
#include "hs/format_impl.h"

static const char IDENTITY[] = "ED25519-V3:";
static const char CLIENT[] = "x25519:";
static const char REPLY[] = "PrivateKey=";

enum { MAX_WORDS = 32 /* of a line with a key in it */ };

/* Of the key's text: the encoded secret, exactly n bytes. */
static int decode(struct hs_word w, uint8_t *out, size_t n, struct nk_diag *diag)
{
    ssize_t got = nk_base64_decode(out, n, w.s, w.n);
    if (got == (ssize_t)n) {
        return 0;
    }
    if (got < 0 && got != NK_ETOOBIG) {
        return nk_fail(diag, NK_EFORMAT, "key: it is not base64");
    }
    return nk_fail(diag, NK_EFORMAT, "key: it does not have %zu bytes in base64", n);
}

static int read_identity(struct hs_word w, struct hs_item *out, struct nk_diag *diag)
{
    uint8_t expanded[HS_EXPANDED];
    int rc = decode(w, expanded, sizeof(expanded), diag);
    rc = rc < 0 ? rc : hs_identity_from_expanded(&out->identity, expanded, diag);
    nk_wipe(expanded, sizeof(expanded));
    out->kind = HS_IDENTITY;
    return rc;
}

static int read_client(struct hs_word w, struct hs_item *out, struct nk_diag *diag)
{
    uint8_t secret[HS_CLIENT_SECRET];
    int rc = decode(w, secret, sizeof(secret), diag);
    rc = rc < 0 ? rc : hs_client_from_secret(&out->client, secret, diag);
    nk_wipe(secret, sizeof(secret));
    out->kind = HS_CLIENT;
    return rc;
}

static struct hs_word behind(struct hs_word w, size_t n)
{
    return (struct hs_word){w.s + n, w.n - n};
}

/* The word behind "PrivateKey=" of a reply, or the word itself. */
static struct hs_word key_of(struct hs_word w)
{
    static const char *const prefixes[] = {"250-", "250 "};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        if (hs_starts(w.s, w.n, prefixes[i])) {
            w = behind(w, strlen(prefixes[i]));
        }
    }
    return hs_starts(w.s, w.n, REPLY) ? behind(w, sizeof(REPLY) - 1) : w;
}

static bool is_key(struct hs_word w)
{
    return hs_starts(w.s, w.n, IDENTITY) || hs_starts(w.s, w.n, CLIENT);
}

bool hs_control_found(const char *s, size_t len)
{
    struct hs_word w[MAX_WORDS];
    size_t n = memchr(s, '\n', len) ? 0 : hs_words(s, len, w, MAX_WORDS);
    for (size_t i = 0; i < n && i < MAX_WORDS; i++) {
        if (is_key(key_of(w[i]))) {
            return true;
        }
    }
    return false;
}

static int read_key(struct hs_word w, struct hs_item *out, struct nk_diag *diag)
{
    return hs_starts(w.s, w.n, IDENTITY) ? read_identity(behind(w, sizeof(IDENTITY) - 1), out, diag)
                                         : read_client(behind(w, sizeof(CLIENT) - 1), out, diag);
}

HS_READER(hs_control_read)
{
    struct hs_word w[MAX_WORDS];
    size_t n = hs_words(src->text, src->len, w, MAX_WORDS), keys = 0;
    struct hs_word key = {0};
    uint8_t address[HS_PUBLIC_KEY];
    out->format = HS_CONTROL;
    if (n > MAX_WORDS || memchr(src->text, '\n', src->len)) {
        return nk_fail(diag, NK_EFORMAT, "line: there is more than one, or it is none with a key");
    }
    for (size_t i = 0; i < n; i++) {
        struct hs_word found = key_of(w[i]);
        if (is_key(found)) {
            key = found;
            keys++;
        } else if (keys == 0 && nk_onion_parse(address, w[i].s, w[i].n, NULL) == 0) {
            memcpy(out->address, address, sizeof(address));
            out->has_address = true;
        }
    }
    if (keys != 1) {
        return nk_fail(diag, NK_EFORMAT, "line: %s '%sBASE64' or '%sBASE64'",
                       keys ? "more than one" : "no", IDENTITY, CLIENT);
    }
    int rc = read_key(key, out, diag);
    out->has_address = out->has_address && out->kind == HS_CLIENT;
    return rc;
}

HS_WRITER(hs_control_write)
{
    bool client = item->kind == HS_CLIENT;
    (void)format;
    (void)diag;
    int rc = nk_buf_puts(out, client ? CLIENT : IDENTITY);
    if (rc < 0) {
        return rc;
    }
    return client ? hs_put_base64(out, item->client.secret, HS_CLIENT_SECRET)
                  : hs_put_base64(out, item->identity.secret, HS_EXPANDED);
}
