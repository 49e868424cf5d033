/* SPDX-License-Identifier: MIT */
#include "ssh/proto_auth_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/cur.h"
#include "base/secret.h"
#include "ssh/packet.h"
#include "ssh/wire_text.h"

#define MODULE "ssh"

static bool listed_in(const char *list, const char *name)
{
    return ssh_names_have((struct ssh_str){(const uint8_t *)list, strlen(list)},
                          (struct ssh_str){(const uint8_t *)name, strlen(name)});
}

/* May this algorithm be used with the key? RSA keys have two, of which the server names those that
 * it takes (RFC 8332 3.3); where it names none of ours, the list is wrong, and is not believed. */
static bool fits(const struct ssh_auth *a, const struct ssh_public *k, const struct ssh_sig_type *t)
{
    const char *name = k->is_cert ? t->cert_name : t->name;
    if (strcmp(t->key, k->type->name) != 0 || !*name) {
        return false;
    }
    return !a->conf.sig_algs || listed_in(a->conf.sig_algs, name);
}

static bool taken(const struct ssh_auth *a, const struct ssh_sig_type *t)
{
    return ssh_names_have(ssh_auth_content(&a->sig_algs),
                          (struct ssh_str){(const uint8_t *)t->name, strlen(t->name)});
}

/* Better ones first: as conf.sig_algs has them, else as the table. Position of t; lower is better.
 */
static size_t place(const struct ssh_auth *a, const struct ssh_public *k,
                    const struct ssh_sig_type *t)
{
    const char *name = k->is_cert ? t->cert_name : t->name;
    struct ssh_str list, one;
    size_t at = 0;
    if (!a->conf.sig_algs) {
        return (size_t)(t - ssh_sig_types);
    }
    list = (struct ssh_str){(const uint8_t *)a->conf.sig_algs, strlen(a->conf.sig_algs)};
    while (ssh_names_next(&list, &one) && !ssh_str_is(one, name)) {
        at++;
    }
    return at;
}

/* The best algorithm for the key that is worse than `after` (NULL: the best of all). */
static const struct ssh_sig_type *choose(const struct ssh_auth *a, const struct ssh_public *k,
                                         const struct ssh_sig_type *after, bool only_taken)
{
    const struct ssh_sig_type *best = NULL;
    for (const struct ssh_sig_type *t = ssh_sig_types; t->name; t++) {
        bool usable = fits(a, k, t) && (!only_taken || taken(a, t)) &&
                      (!after || place(a, k, t) > place(a, k, after));
        if (usable && (!best || place(a, k, t) < place(a, k, best))) {
            best = t;
        }
    }
    return best;
}

/* Does the server's list say something about keys like this one? */
static bool list_helps(const struct ssh_auth *a, const struct ssh_public *k)
{
    return k->type->kind == SSH_KEY_RSA && a->have_sig_algs && choose(a, k, NULL, true);
}

void ssh_auth_key_told(const struct ssh_auth *a, const char *what)
{
    char text[SSH_FINGERPRINT_SIZE];
    if (nk_log_on(a->conf.log, MODULE, NK_LOG_DEBUG)) {
        ssh_fingerprint_sha256(ssh_auth_content(&a->blob), text);
        nk_debug(a->conf.log, MODULE, "%s: %s %s", what, ssh_auth_key_name(a), text);
    }
}

const char *ssh_auth_key_name(const struct ssh_auth *a)
{
    return a->public.is_cert ? a->alg->cert_name : a->alg->name;
}

/* An RSA key, a server that did not say what it takes, and another algorithm that is left. */
bool ssh_auth_key_other(struct ssh_auth *a)
{
    if (a->public.type->kind != SSH_KEY_RSA || list_helps(a, &a->public) ||
        a->failures >= a->conf.tries) {
        return false;
    }
    const struct ssh_sig_type *t = choose(a, &a->public, a->alg, false);
    a->alg = t ? t : a->alg;
    return t != NULL;
}

/* RFC 4252 7: signed or not; the server's key goes with it where the server knows that form. */
static int public_request(struct ssh_auth *a, bool sign)
{
    struct nk_buf *b = &a->request;
    bool bound = sign && a->hostbound;
    int rc = ssh_auth_begin(a, sign, bound ? "publickey-hostbound-v00@openssh.com" : "publickey");
    rc = rc < 0 ? rc : ssh_put_bool(b, sign);
    rc = rc < 0 ? rc : ssh_put_text(b, ssh_auth_key_name(a));
    rc = rc < 0 ? rc : ssh_put_string(b, nk_buf_ptr(&a->blob), nk_buf_len(&a->blob));
    if (rc == 0 && bound) {
        rc = ssh_put_string(b, nk_buf_ptr(&a->host_key), nk_buf_len(&a->host_key));
    }
    return rc;
}

int ssh_auth_ask_signature(struct ssh_auth *a, struct nk_diag *diag)
{
    int rc = public_request(a, true);
    if (rc < 0) {
        return ssh_auth_dead(a, rc, diag);
    }
    ssh_auth_become(a, SSH_AUTH_ST_SIGNATURE);
    return 0;
}

int ssh_auth_query(struct ssh_auth *a, struct nk_diag *diag)
{
    return ssh_auth_flush(a, public_request(a, false), SSH_AUTH_ST_QUERY, diag);
}

const struct ssh_sig_type *ssh_auth_key_alg(const struct ssh_auth *a, const struct ssh_public *k)
{
    return choose(a, k, NULL, list_helps(a, k));
}
