/* SPDX-License-Identifier: MIT */
/* The Ed25519 key that an endpoint logs in with. */
#include <sodium.h>
#include <string.h>

#include "base/file.h"
#include "base/openssh_key.h"
#include "relay/endpoint.h"

/* RFC 8709 §4 and PROTOCOL.key: string public; string public, string secret (seed, public). */
static const struct nk_openssh_type types[] = {
    {.name = "ssh-ed25519", .public_fields = 1, .private_fields = 2}};

static int not_usable(const char *path, const char *why, struct nk_diag *diag)
{
    int status = nk_fail(diag, NK_ECONFIG, "%s: %s", path, why);
    nk_hint(diag, "make one with: ssh-keygen -t ed25519 -N '' -f FILE");
    return status;
}

/* The secret half must belong to the public one: a signature with a mixed key would give it away.
 */
static int take_key(const char *path, const struct nk_openssh_key *k, struct nk_secret *out,
                    struct nk_diag *diag)
{
    uint8_t public[crypto_sign_PUBLICKEYBYTES];
    struct nk_secret key = {0};
    const struct nk_openssh_str *secret = &k->private_field[1], *shown = &k->public_field[0];
    if (secret->n != crypto_sign_SECRETKEYBYTES || shown->n != sizeof(public)) {
        return not_usable(path, "the key has a wrong length", diag);
    }
    int status = nk_secret_alloc(&key, crypto_sign_SECRETKEYBYTES);
    if (status < 0) {
        return nk_fail_sys(diag, status, "%s", path);
    }
    crypto_sign_seed_keypair(public, key.data, secret->p);
    if (memcmp(public, shown->p, sizeof(public)) != 0 ||
        !nk_secret_eq(&key, secret->p, secret->n)) {
        nk_secret_clear(&key);
        return not_usable(path, "its halves do not belong together", diag);
    }
    nk_secret_clear(out);
    *out = key;
    return 0;
}

int relay_endpoint_login_key(const char *path, struct nk_secret *out, struct nk_diag *diag)
{
    struct nk_secret text = {0};
    struct nk_openssh_file file;
    struct nk_openssh_key key;
    struct nk_buf binary;
    nk_buf_init_secret(&binary, NK_OPENSSH_MAX);
    int status = nk_file_read_secret(path, false, &text, diag);
    if (status == 0 && !nk_openssh_is_private(text.data, text.len)) {
        status = not_usable(path, "is no OpenSSH private key", diag);
    }
    status = status < 0 ? status : nk_openssh_dearmor(text.data, text.len, &binary, diag);
    status = status < 0 ? status
                        : nk_openssh_parse(nk_buf_ptr(&binary), nk_buf_len(&binary), &file, diag);
    if (status == 0 && file.encrypted) {
        status = not_usable(path, "is protected by a passphrase", diag);
    }
    status = status < 0 ? status
                        : nk_openssh_parse_key(&file, file.inner.p, file.inner.n, types,
                                               sizeof(types) / sizeof(types[0]), &key, diag);
    status = status < 0 ? status : take_key(path, &key, out, diag);
    nk_buf_clear(&binary);
    nk_secret_clear(&text);
    return status;
}
