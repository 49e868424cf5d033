/* SPDX-License-Identifier: MIT */
/* The login of a connection: what the machine of proto_auth.h asks, and who answers. */
#include <string.h>

#include "core/clock.h"
#include "ssh/conn_impl.h"

enum { SIGNATURE_MAX = 8 * 1024 };

void ssh_conn_login_clock(struct ssh_conn *c)
{
    if (!c->ch) {
        c->deadline = nk_now_ms(c->conf.app) + c->conf.login_ms;
    }
}

void ssh_conn_forget_login(struct ssh_conn *c)
{
    ssh_sign_cancel(c->sign);
    c->sign = NULL;
    ssh_auth_free(c->auth);
    c->auth = NULL;
    ssh_private_unref(c->key);
    c->key = NULL;
    c->asked = false;
}

/* --- keys of ours ----------------------------------------------------------------------------- */

static void signature_came(struct ssh_conn *c, int rc, struct ssh_str signature)
{
    struct nk_diag diag = {0};
    rc = rc < 0 ? ssh_auth_not_signed(c->auth, &diag) : ssh_auth_signed(c->auth, signature, &diag);
    if (rc < 0) {
        ssh_conn_fail(c, rc, &diag);
    }
}

static void on_signed(void *owner, int rc, struct ssh_str signature, const struct nk_diag *diag)
{
    struct ssh_conn *c = owner;
    c->sign = NULL;
    if (rc < 0) {
        nk_log_diag(c->log, "ssh", NK_LOG_WARN, diag);
    }
    signature_came(c, rc, signature);
    ssh_conn_later(c);
}

/* RSA takes its time, and so it is not for the loop. */
static void sign(struct ssh_conn *c)
{
    struct ssh_auth_to_sign what;
    struct nk_diag diag = {0};
    struct nk_buf b;
    ssh_auth_to_sign(c->auth, &what);
    if (c->key->pub.type->kind == SSH_KEY_RSA) {
        int rc = ssh_sign_start(c->conf.app, c->key, what.alg, what.data.p, what.data.n, on_signed,
                                c, &c->sign);
        if (rc < 0) {
            nk_fail_sys(&diag, rc, "signing");
            ssh_conn_fail(c, rc, &diag);
        }
        return;
    }
    nk_buf_init(&b, SIGNATURE_MAX);
    int rc = ssh_private_sign(c->key, what.alg, what.data.p, what.data.n, &b, &diag);
    if (rc < 0) {
        nk_log_diag(c->log, "ssh", NK_LOG_WARN, &diag);
    }
    signature_came(c, rc, (struct ssh_str){nk_buf_ptr(&b), nk_buf_len(&b)});
    nk_buf_clear(&b);
}

/* The certificate of a key first, then the key itself. */
static int offer(struct ssh_conn *c, struct ssh_private *k, bool at_once, struct nk_diag *diag)
{
    const struct ssh_str cert = {k->cert, k->cert_n};
    struct ssh_private *before = c->key;
    int rc = NK_EUNSUPPORTED;
    c->key = ssh_private_ref(k);
    ssh_private_unref(before);
    c->plain_next = false;
    if (cert.n > 0) {
        rc = ssh_auth_key(c->auth, cert, at_once, k, diag);
        c->plain_next = rc == 0;
    }
    return rc == NK_EUNSUPPORTED ? ssh_auth_key(c->auth, k->pub.blob, at_once, k, diag) : rc;
}

/* A key that is to be tried before anybody is asked. 1: there was one. */
static int offer_own(struct ssh_conn *c, struct nk_diag *diag)
{
    struct ssh_private *k = c->first_key ? c->conf.key : NULL;
    bool plain = c->plain_next && c->key;
    c->first_key = false;
    c->plain_next = false;
    if (ssh_auth_method(c->auth) != SSH_AUTH_PUBLICKEY || (!plain && !k)) {
        return 0;
    }
    int rc = plain ? ssh_auth_key(c->auth, c->key->pub.blob, false, c->key, diag)
                   : offer(c, k, true, diag);
    return rc == NK_EUNSUPPORTED ? 0 : rc < 0 ? rc : 1;
}

/* --- questions -------------------------------------------------------------------------------- */

static void ask_owner(struct ssh_conn *c, enum ssh_auth_want want)
{
    struct ssh_question q = {.want = want,
                             .method = ssh_auth_method(c->auth),
                             .methods = ssh_auth_methods(c->auth),
                             .partial = ssh_auth_partial(c->auth)};
    if (want == SSH_AUTH_SIGNATURE) {
        ssh_auth_to_sign(c->auth, &q.to_sign);
    } else if (want == SSH_AUTH_ANSWERS) {
        q.prompts = ssh_auth_prompts(c->auth);
    }
    c->asked = true;
    c->deadline = SSH_NEVER; /* whoever is asked may take time */
    c->conf.ops->credential(c->conf.owner, &q);
}

/* Nobody is there to be asked. */
static int give_up(struct ssh_conn *c, enum ssh_auth_want want, struct nk_diag *diag)
{
    return want == SSH_AUTH_CREDENTIAL ? ssh_auth_next_method(c->auth, diag)
           : want == SSH_AUTH_ANSWERS  ? ssh_auth_no_answer(c->auth, diag)
                                       : ssh_auth_not_signed(c->auth, diag);
}

/* One step of ours. 1: look again; 0: it is somebody else's turn; or the error. */
static int step(struct ssh_conn *c, struct nk_diag *diag)
{
    enum ssh_auth_want want = ssh_auth_want(c->auth);
    if (want == SSH_AUTH_SERVER || want == SSH_AUTH_DONE || c->asked || c->sign) {
        return 0;
    }
    if (want == SSH_AUTH_SIGNATURE && c->key) {
        sign(c);
        return 1;
    }
    if (want == SSH_AUTH_CREDENTIAL) {
        int rc = offer_own(c, diag);
        if (rc != 0) {
            return rc;
        }
    }
    if (c->conf.ops->credential) {
        ask_owner(c, want);
        return 1;
    }
    int rc = give_up(c, want, diag);
    return rc < 0 ? rc : 1;
}

void ssh_conn_ask(struct ssh_conn *c)
{
    struct nk_diag diag = {0};
    int rc = 1;
    while (rc > 0 && c->auth && !c->over && !c->closed) {
        rc = step(c, &diag);
    }
    if (rc < 0) {
        ssh_conn_fail(c, rc, &diag);
    }
}

/* --- its beginning and end -------------------------------------------------------------------- */

void ssh_conn_begin_login(struct ssh_conn *c)
{
    struct nk_diag diag = {0};
    const struct ssh_auth_conf conf = {.user = c->conf.user,
                                       .methods = c->conf.methods,
                                       .sig_algs = c->conf.sig_algs,
                                       .session_id = ssh_transport_session_id(c->t),
                                       .host_key = ssh_transport_host_key(c->t),
                                       .tries = c->conf.tries,
                                       .min_rsa = c->conf.min_rsa,
                                       .skip_none = c->first_key,
                                       .log = c->log,
                                       .banner = c->conf.ops->banner,
                                       .owner = c->conf.owner};
    int rc = ssh_auth_new(&conf, &c->sink, &c->auth, &diag);
    if (rc == 0) {
        c->ext_new = false;
        rc = ssh_auth_ext(c->auth, ssh_transport_sig_algs(c->t), ssh_transport_has_hostbound(c->t));
        rc = rc < 0 ? nk_fail_sys(&diag, rc, "ssh") : ssh_auth_start(c->auth, &diag);
    }
    if (rc < 0) {
        ssh_conn_fail(c, rc, &diag);
    }
}

int ssh_conn_login_message(struct ssh_conn *c, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    if (!c->auth) {
        return 1; /* RFC 4252 5.1: after success nothing of it matters */
    }
    int rc = 0;
    if (c->ext_new) {
        c->ext_new = false;
        rc = ssh_auth_ext(c->auth, ssh_transport_sig_algs(c->t), ssh_transport_has_hostbound(c->t));
    }
    rc = rc < 0 ? nk_fail_sys(diag, rc, "ssh") : ssh_auth_receive(c->auth, p, n, diag);
    if (rc == 0 && !c->closed && !c->over && ssh_auth_want(c->auth) == SSH_AUTH_DONE) {
        c->method = ssh_auth_used(c->auth);
        ssh_conn_forget_login(c);
        rc = ssh_conn_logged_in(c, diag);
    }
    return rc < 0 ? rc : 1;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* What kinds of answers there are to what is wanted. */
static bool fits(const struct ssh_conn *c, enum ssh_gift_kind kind)
{
    switch (ssh_auth_want(c->auth)) {
    case SSH_AUTH_CREDENTIAL:
        return kind <= SSH_GIVE_INTERACTIVE;
    case SSH_AUTH_SIGNATURE:
        return kind == SSH_GIVE_SIGNATURE || kind == SSH_GIVE_NOTHING;
    case SSH_AUTH_ANSWERS:
        return kind == SSH_GIVE_ANSWERS || kind == SSH_GIVE_NOTHING;
    default:
        return false;
    }
}

static int give(struct ssh_conn *c, const struct ssh_gift *g, struct nk_diag *diag)
{
    switch (g->kind) {
    case SSH_GIVE_KEY:
        return offer(c, g->key, g->at_once, diag);
    case SSH_GIVE_BLOB:
        ssh_private_unref(c->key);
        c->key = NULL;
        return ssh_auth_key(c->auth, g->blob, g->at_once, g->tag, diag);
    case SSH_GIVE_PASSWORD:
        return ssh_auth_password(c->auth, (const char *)g->text.p, g->text.n, diag);
    case SSH_GIVE_INTERACTIVE:
        return ssh_auth_interactive(c->auth, diag);
    case SSH_GIVE_SIGNATURE:
        return ssh_auth_signed(c->auth, g->text, diag);
    case SSH_GIVE_ANSWERS:
        return ssh_auth_answer(c->auth, g->answers, diag);
    default:
        return give_up(c, ssh_auth_want(c->auth), diag);
    }
}

int ssh_conn_give(struct ssh_conn *c, const struct ssh_gift *gift, struct nk_diag *diag)
{
    struct nk_diag own = {0};
    if (!c->auth || !c->asked || !fits(c, gift->kind)) {
        return nk_fail(diag, NK_EUSAGE, "this is not what the server asks for");
    }
    int rc = give(c, gift, &own);
    if (diag && rc < 0) {
        *diag = own;
    }
    if (rc == NK_EUNSUPPORTED || rc == NK_ETOOBIG || rc == NK_EUSAGE) {
        return rc;
    }
    c->asked = false;
    ssh_conn_login_clock(c);
    if (rc < 0) {
        ssh_conn_fail(c, rc, &own);
    }
    ssh_conn_later(c);
    return rc;
}
