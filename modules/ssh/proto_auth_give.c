/* SPDX-License-Identifier: MIT */
#include "ssh/proto_auth_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/cur.h"
#include "base/secret.h"
#include "ssh/packet.h"
#include "ssh/wire_text.h"

#define MODULE "ssh"

enum { SIGNATURE_MAX = 16 * 1024 /* RSA of 16384 bits: 2 KiB */ };

static int expect(const struct ssh_auth *a, enum ssh_auth_state s, struct nk_diag *diag)
{
    return a->state == s ? 0 : nk_fail(diag, NK_EUSAGE, "userauth does not wait for that");
}

int ssh_auth_key(struct ssh_auth *a, struct ssh_str blob, bool at_once, void *key,
                 struct nk_diag *diag)
{
    struct ssh_public k;
    int rc = expect(a, SSH_AUTH_ST_CREDENTIAL, diag);
    if (rc < 0 || ssh_auth_method(a) != SSH_AUTH_PUBLICKEY) {
        return rc < 0 ? rc : nk_fail(diag, NK_EUSAGE, "no key is wanted now");
    }
    if (ssh_public_parse(blob, a->conf.min_rsa, &k, diag) < 0) {
        return NK_EUNSUPPORTED;
    }
    const struct ssh_sig_type *alg = ssh_auth_key_alg(a, &k);
    if (!alg) {
        return nk_fail(diag, NK_EUNSUPPORTED, "no signature algorithm is allowed for %s keys",
                       k.type->name);
    }
    nk_buf_reset(&a->blob);
    rc = nk_buf_put(&a->blob, blob.p, blob.n);
    if (rc < 0) {
        return ssh_auth_dead(a, rc, diag);
    }
    /* the copy parses as the original did */
    (void)ssh_public_parse(ssh_auth_content(&a->blob), a->conf.min_rsa, &a->public, diag);
    a->alg = alg;
    a->key = key;
    ssh_auth_key_told(a, "Offering public key");
    return at_once ? ssh_auth_ask_signature(a, diag) : ssh_auth_query(a, diag);
}

int ssh_auth_password(struct ssh_auth *a, const char *password, size_t n, struct nk_diag *diag)
{
    int rc = expect(a, SSH_AUTH_ST_CREDENTIAL, diag);
    if (rc < 0) {
        return rc;
    }
    if (n > SSH_AUTH_PASSWORD_MAX) {
        return nk_fail(diag, NK_ETOOBIG, "a password has at most %d bytes", SSH_AUTH_PASSWORD_MAX);
    }
    rc = ssh_auth_begin(a, false, "password");
    rc = rc < 0 ? rc : ssh_put_bool(&a->request, false);
    rc = rc < 0 ? rc : ssh_put_string(&a->request, password, n);
    return ssh_auth_flush(a, rc, SSH_AUTH_ST_PASSWORD, diag);
}

int ssh_auth_interactive(struct ssh_auth *a, struct nk_diag *diag)
{
    int rc = expect(a, SSH_AUTH_ST_CREDENTIAL, diag);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_auth_begin(a, false, "keyboard-interactive");
    rc = rc < 0 ? rc : ssh_put_text(&a->request, ""); /* language: RFC 4256 3.1 deprecates it */
    rc = rc < 0 ? rc : ssh_put_text(&a->request, ""); /* submethods: the server chooses */
    return ssh_auth_flush(a, rc, SSH_AUTH_ST_INTERACTIVE, diag);
}

int ssh_auth_next_method(struct ssh_auth *a, struct nk_diag *diag)
{
    int rc = expect(a, SSH_AUTH_ST_CREDENTIAL, diag);
    if (rc < 0) {
        return rc;
    }
    a->exhausted |= ssh_auth_method(a);
    return ssh_auth_want_credential(a, diag);
}

void ssh_auth_to_sign(const struct ssh_auth *a, struct ssh_auth_to_sign *out)
{
    *out = (struct ssh_auth_to_sign){.key = a->key,
                                     .blob = ssh_auth_content(&a->blob),
                                     .alg = a->alg,
                                     .data = ssh_auth_content(&a->request)};
}

int ssh_auth_signed(struct ssh_auth *a, struct ssh_str signature, struct nk_diag *diag)
{
    struct nk_cur c;
    int rc = expect(a, SSH_AUTH_ST_SIGNATURE, diag);
    if (rc < 0) {
        return rc;
    }
    nk_cur_init(&c, signature.p, signature.n);
    struct ssh_str name = ssh_cur_string(&c);
    if (c.failed || signature.n > SIGNATURE_MAX || !ssh_str_is(name, a->alg->name)) {
        nk_warn(a->conf.log, MODULE, "a signature was to be made with %s, and is another one",
                a->alg->name);
        return ssh_auth_not_signed(a, diag);
    }
    rc = ssh_put_string(&a->request, signature.p, signature.n);
    return ssh_auth_flush(a, rc, SSH_AUTH_ST_SIGNED, diag);
}

int ssh_auth_not_signed(struct ssh_auth *a, struct nk_diag *diag)
{
    int rc = expect(a, SSH_AUTH_ST_SIGNATURE, diag);
    return rc < 0 ? rc : ssh_auth_want_credential(a, diag);
}

const struct ssh_auth_prompts *ssh_auth_prompts(const struct ssh_auth *a)
{
    return &a->prompts;
}

int ssh_auth_answer(struct ssh_auth *a, const struct ssh_str *answers, struct nk_diag *diag)
{
    int rc = expect(a, SSH_AUTH_ST_ANSWERS, diag);
    for (size_t i = 0; i < a->prompts.n && rc == 0; i++) {
        if (answers[i].n > SSH_AUTH_PASSWORD_MAX) {
            rc = nk_fail(diag, NK_ETOOBIG, "an answer has at most %d bytes", SSH_AUTH_PASSWORD_MAX);
        }
    }
    return rc < 0 ? rc : ssh_auth_respond(a, answers, a->prompts.n, diag);
}

int ssh_auth_no_answer(struct ssh_auth *a, struct nk_diag *diag)
{
    int rc = expect(a, SSH_AUTH_ST_ANSWERS, diag);
    if (rc < 0) {
        return rc;
    }
    a->exhausted |= SSH_AUTH_INTERACTIVE; /* the next request ends this one (RFC 4256 3.1) */
    return ssh_auth_want_credential(a, diag);
}
