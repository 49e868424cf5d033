/* SPDX-License-Identifier: MIT */
#include "ssh/proto_auth_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/cur.h"
#include "base/secret.h"
#include "ssh/packet.h"
#include "ssh/wire_text.h"

#define MODULE "ssh"

static const char *const state_names[] = {
#define STATE_NAME(name) #name,
    SSH_AUTH_STATES(STATE_NAME)};

enum {
    PARTIAL_MAX = 8, /* successes that are not enough, in one login */
    REQUEST_MAX = 2 * SSH_BLOB_MAX + SSH_AUTH_USER_MAX + 4096,   /* key, host key, the rest */
    TEXTS_MAX = (SSH_AUTH_PROMPTS_MAX + 2) * SSH_AUTH_PROMPT_MAX /* of one set of questions */
};

static const struct ssh_auth_name method_table[SSH_AUTH_METHODS] = {
    {"publickey", SSH_AUTH_PUBLICKEY},
    {"keyboard-interactive", SSH_AUTH_INTERACTIVE},
    {"password", SSH_AUTH_PASSWORD}};

void ssh_auth_become(struct ssh_auth *a, enum ssh_auth_state to)
{
    NK_LOG_(a->conf.log, MODULE, NK_LOG_TRACE, NULL, NULL, "userauth: %s -> %s",
            state_names[a->state], state_names[to]);
    a->state = to;
}

struct ssh_str ssh_auth_content(const struct nk_buf *b)
{
    return (struct ssh_str){.p = nk_buf_ptr(b), .n = nk_buf_len(b)};
}

/* --- making --------------------------------------------------------------------------------------
 */

static bool known(const struct ssh_auth *a, const struct ssh_auth_name *m)
{
    for (size_t i = 0; i < SSH_AUTH_METHODS; i++) {
        if (a->order[i] == m) {
            return true;
        }
    }
    return false;
}

static void prefer(struct ssh_auth *a, struct ssh_str name)
{
    size_t n = 0;
    while (n < SSH_AUTH_METHODS && a->order[n]) {
        n++;
    }
    for (size_t i = 0; i < SSH_AUTH_METHODS && n < SSH_AUTH_METHODS; i++) {
        const struct ssh_auth_name *m = &method_table[i];
        if ((name.n == 0 || ssh_str_is(name, m->name)) && !known(a, m)) {
            a->order[n++] = m;
            a->allowed |= m->bit;
        }
    }
}

static void set_order(struct ssh_auth *a)
{
    const char *text = a->conf.methods;
    struct ssh_str list = {.p = (const uint8_t *)text, .n = text ? strlen(text) : 0}, name;
    if (!text) {
        prefer(a, (struct ssh_str){0});
    }
    while (ssh_names_next(&list, &name)) {
        prefer(a, name);
    }
}

static int check(const struct ssh_auth_conf *conf, struct nk_diag *diag)
{
    size_t n = strlen(conf->user);
    bool bad = n == 0 || n > SSH_AUTH_USER_MAX;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)conf->user[i];
        bad = bad || c < ' ' || c == 0x7f;
    }
    return bad ? nk_fail(diag, NK_EUSAGE, "'%s' is no user name", conf->user) : 0;
}

int ssh_auth_new(const struct ssh_auth_conf *conf, struct ssh_sink *sink, struct ssh_auth **out,
                 struct nk_diag *diag)
{
    int rc = check(conf, diag);
    struct ssh_auth *a = rc == 0 ? calloc(1, sizeof(*a)) : NULL;
    if (!a) {
        return rc < 0 ? rc : nk_fail_sys(diag, -ENOMEM, "userauth");
    }
    a->conf = *conf;
    a->conf.tries = conf->tries ? conf->tries : SSH_AUTH_TRIES_DEFAULT;
    a->sink = sink;
    nk_buf_init(&a->session, SSH_HASH_MAX);
    nk_buf_init(&a->host_key, SSH_BLOB_MAX);
    nk_buf_init(&a->sig_algs, SSH_AUTH_SIG_ALGS_MAX);
    nk_buf_init_secret(&a->request, REQUEST_MAX);
    nk_buf_init(&a->blob, SSH_BLOB_MAX);
    nk_buf_init(&a->texts, TEXTS_MAX);
    set_order(a);
    if (!a->order[0]) {
        rc = nk_fail(diag, NK_EUSAGE, "none of the methods '%s' is known", conf->methods);
    }
    rc = rc < 0 ? rc : nk_buf_put(&a->session, conf->session_id.p, conf->session_id.n);
    rc = rc < 0 ? rc : nk_buf_put(&a->host_key, conf->host_key.p, conf->host_key.n);
    if (rc < 0) {
        ssh_auth_free(a);
        return rc == NK_EUSAGE ? rc : nk_fail_sys(diag, rc, "userauth");
    }
    *out = a;
    return 0;
}

void ssh_auth_free(struct ssh_auth *a)
{
    if (!a) {
        return;
    }
    nk_buf_clear(&a->session);
    nk_buf_clear(&a->host_key);
    nk_buf_clear(&a->sig_algs);
    nk_buf_clear(&a->request);
    nk_buf_clear(&a->blob);
    nk_buf_clear(&a->texts);
    free(a);
}

int ssh_auth_ext(struct ssh_auth *a, struct ssh_str sig_algs, bool hostbound)
{
    a->hostbound = hostbound;
    if (!sig_algs.p) {
        return 0;
    }
    nk_buf_reset(&a->sig_algs);
    a->have_sig_algs = true;
    /* what does not fit is cut: it can only be names that nobody has */
    return nk_buf_put(&a->sig_algs, sig_algs.p,
                      sig_algs.n < SSH_AUTH_SIG_ALGS_MAX ? sig_algs.n : SSH_AUTH_SIG_ALGS_MAX);
}

/* --- sending -------------------------------------------------------------------------------------
 */

int ssh_auth_dead(struct ssh_auth *a, int rc, struct nk_diag *diag)
{
    ssh_auth_become(a, SSH_AUTH_ST_DEAD);
    nk_buf_reset(&a->request);
    return nk_fail_sys(diag, rc, "cannot go on with authentication");
}

/* Sends what the request has from request_at on. */
int ssh_auth_flush(struct ssh_auth *a, int rc, enum ssh_auth_state then, struct nk_diag *diag)
{
    size_t n = nk_buf_len(&a->request) - a->request_at;
    rc = rc < 0 ? rc : ssh_sink_put(a->sink, nk_buf_ptr(&a->request) + a->request_at, n);
    if (rc < 0) {
        return ssh_auth_dead(a, rc, diag);
    }
    nk_buf_reset(&a->request);
    ssh_auth_become(a, then);
    return 0;
}

/* The common beginning of RFC 4252 5, after what is only signed. */
int ssh_auth_begin(struct ssh_auth *a, bool to_sign, const char *method)
{
    struct nk_buf *b = &a->request;
    nk_buf_reset(b);
    int rc = to_sign ? ssh_put_string(b, nk_buf_ptr(&a->session), nk_buf_len(&a->session)) : 0;
    a->request_at = nk_buf_len(b);
    rc = rc < 0 ? rc : nk_buf_u8(b, SSH_MSG_USERAUTH_REQUEST);
    rc = rc < 0 ? rc : ssh_put_text(b, a->conf.user);
    rc = rc < 0 ? rc : ssh_put_text(b, "ssh-connection");
    return rc < 0 ? rc : ssh_put_text(b, method);
}

int ssh_auth_respond(struct ssh_auth *a, const struct ssh_str *answers, size_t n,
                     struct nk_diag *diag)
{
    nk_buf_reset(&a->request);
    a->request_at = 0;
    int rc = nk_buf_u8(&a->request, SSH_MSG_USERAUTH_INFO_RESPONSE);
    rc = rc < 0 ? rc : nk_buf_be32(&a->request, (uint32_t)n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = ssh_put_string(&a->request, answers[i].p, answers[i].n);
    }
    return ssh_auth_flush(a, rc, SSH_AUTH_ST_INTERACTIVE, diag);
}

/* --- which method --------------------------------------------------------------------------------
 */

const struct ssh_auth_name *ssh_auth_next(const struct ssh_auth *a)
{
    for (size_t i = 0; i < SSH_AUTH_METHODS && a->order[i]; i++) {
        if (a->order[i]->bit & a->allowed & ~a->exhausted) {
            return a->order[i];
        }
    }
    return NULL;
}

static int denied(struct ssh_auth *a, const char *why, struct nk_diag *diag)
{
    ssh_auth_become(a, SSH_AUTH_ST_DEAD);
    return nk_fail(diag, NK_EAUTH, "%s: permission denied%s (%s)", a->conf.user, why,
                   a->listed[0] ? a->listed : "no method is left");
}

/* Keys leave one of the tries that the server allows for what comes after them. */
static void spare_a_try(struct ssh_auth *a)
{
    unsigned others = a->allowed & ~a->exhausted & ~(unsigned)SSH_AUTH_PUBLICKEY;
    if (others && a->failures + 1 >= a->conf.tries) {
        a->exhausted |= SSH_AUTH_PUBLICKEY;
    }
}

int ssh_auth_want_credential(struct ssh_auth *a, struct nk_diag *diag)
{
    spare_a_try(a);
    const struct ssh_auth_name *m = ssh_auth_next(a);
    if (a->failures >= a->conf.tries) {
        return denied(a, ", too many times", diag);
    }
    if (!m) {
        return denied(a, "", diag);
    }
    nk_debug(a->conf.log, MODULE, "Next authentication method: %s", m->name);
    ssh_auth_become(a, SSH_AUTH_ST_CREDENTIAL);
    return 0;
}

int ssh_auth_start(struct ssh_auth *a, struct nk_diag *diag)
{
    struct nk_buf *b = &a->request;
    if (a->state != SSH_AUTH_ST_START) {
        return nk_fail(diag, NK_EUSAGE, "userauth has begun");
    }
    int rc = nk_buf_u8(b, SSH_MSG_SERVICE_REQUEST);
    rc = rc < 0 ? rc : ssh_put_text(b, "ssh-userauth");
    rc = ssh_auth_flush(a, rc, SSH_AUTH_ST_START, diag);
    if (rc < 0) {
        return rc;
    }
    return a->conf.skip_none
               ? ssh_auth_want_credential(a, diag)
               : ssh_auth_flush(a, ssh_auth_begin(a, false, "none"), SSH_AUTH_ST_NONE, diag);
}

enum ssh_auth_want ssh_auth_want(const struct ssh_auth *a)
{
    switch (a->state) {
    case SSH_AUTH_ST_CREDENTIAL:
        return SSH_AUTH_CREDENTIAL;
    case SSH_AUTH_ST_SIGNATURE:
        return SSH_AUTH_SIGNATURE;
    case SSH_AUTH_ST_ANSWERS:
        return SSH_AUTH_ANSWERS;
    case SSH_AUTH_ST_DONE:
        return SSH_AUTH_DONE;
    default:
        return SSH_AUTH_SERVER;
    }
}

enum ssh_auth_method ssh_auth_method(const struct ssh_auth *a)
{
    const struct ssh_auth_name *m = ssh_auth_next(a);
    return m ? m->bit : SSH_AUTH_PUBLICKEY;
}

unsigned ssh_auth_methods(const struct ssh_auth *a)
{
    return a->allowed;
}

const char *ssh_auth_used(const struct ssh_auth *a)
{
    return a->used;
}

bool ssh_auth_partial(const struct ssh_auth *a)
{
    return a->partials > 0;
}

/* --- the server's packets ------------------------------------------------------------------------
 */

static int broken(struct ssh_auth *a, struct nk_diag *diag, uint8_t number)
{
    ssh_auth_become(a, SSH_AUTH_ST_DEAD);
    return nk_fail(diag, NK_EPROTO, "the server's message %d (%s) is malformed or out of place",
                   number, ssh_message_name(number));
}

static int get_accept(struct ssh_auth *a, struct nk_cur *c, struct nk_diag *diag)
{
    const bool named = nk_cur_left(c) > 0; /* some servers leave the name out */
    if (a->accepted || a->state == SSH_AUTH_ST_START ||
        (named && !(ssh_str_is(ssh_cur_string(c), "ssh-userauth") && nk_cur_done(c)))) {
        return broken(a, diag, SSH_MSG_SERVICE_ACCEPT);
    }
    a->accepted = true;
    return 0;
}

static void show(struct ssh_auth *a, struct nk_buf *b)
{
    const char *text = nk_buf_str(b);
    if (text && *text && a->conf.banner) {
        a->conf.banner(a->conf.owner, text);
    }
}

static int get_banner(struct ssh_auth *a, struct nk_cur *c, struct nk_diag *diag)
{
    struct ssh_str text = ssh_cur_string(c);
    struct nk_buf b;
    (void)ssh_cur_string(c); /* language */
    if (!nk_cur_done(c) || ++a->banners > SSH_AUTH_BANNERS_MAX) {
        return broken(a, diag, SSH_MSG_USERAUTH_BANNER);
    }
    if (a->banner_bytes >= SSH_AUTH_BANNER_MAX) {
        return 0;
    }
    nk_buf_init(&b, SSH_AUTH_BANNER_MAX - a->banner_bytes);
    int rc = ssh_put_harmless(&b, text, true);
    a->banner_bytes += nk_buf_len(&b);
    if (rc == 0) {
        show(a, &b);
    }
    nk_buf_clear(&b);
    return rc < 0 ? ssh_auth_dead(a, rc, diag) : 0;
}

static bool server_turn(const struct ssh_auth *a)
{
    return a->accepted && (a->state == SSH_AUTH_ST_NONE || a->state == SSH_AUTH_ST_QUERY ||
                           a->state == SSH_AUTH_ST_SIGNED || a->state == SSH_AUTH_ST_PASSWORD ||
                           a->state == SSH_AUTH_ST_INTERACTIVE);
}

static unsigned methods_in(struct ssh_str list)
{
    unsigned set = 0;
    struct ssh_str name;
    while (ssh_names_next(&list, &name)) {
        for (size_t i = 0; i < SSH_AUTH_METHODS; i++) {
            set |= ssh_str_is(name, method_table[i].name) ? method_table[i].bit : 0;
        }
    }
    return set;
}

static void remember_list(struct ssh_auth *a, struct ssh_str list)
{
    size_t n = list.n < SSH_AUTH_LISTED_MAX ? list.n : SSH_AUTH_LISTED_MAX - 1;
    if (n > 0) {
        memcpy(a->listed, list.p, n); /* printable: ssh_cur_names has seen to it */
    }
    a->listed[n] = '\0';
}

static int get_failure(struct ssh_auth *a, struct nk_cur *c, struct nk_diag *diag)
{
    struct ssh_str list = ssh_cur_names(c);
    bool partial = ssh_cur_bool(c);
    enum ssh_auth_state was = a->state;
    if (!nk_cur_done(c) || !server_turn(a) || (partial && ++a->partials > PARTIAL_MAX)) {
        return broken(a, diag, SSH_MSG_USERAUTH_FAILURE);
    }
    remember_list(a, list);
    nk_debug(a->conf.log, MODULE, "%sAuthentications that can continue: %s",
             partial ? "Authenticated with partial success. " : "", a->listed);
    a->allowed = 0;
    for (size_t i = 0; i < SSH_AUTH_METHODS && a->order[i]; i++) {
        a->allowed |= a->order[i]->bit & methods_in(list);
    }
    a->exhausted = partial ? 0 : a->exhausted;
    a->failures += partial || was == SSH_AUTH_ST_NONE ? 0 : 1;
    if (!partial && (was == SSH_AUTH_ST_QUERY || was == SSH_AUTH_ST_SIGNED) &&
        a->allowed & SSH_AUTH_PUBLICKEY && ssh_auth_key_other(a)) {
        return was == SSH_AUTH_ST_QUERY ? ssh_auth_query(a, diag) : ssh_auth_ask_signature(a, diag);
    }
    return ssh_auth_want_credential(a, diag);
}

static int get_success(struct ssh_auth *a, const struct nk_cur *c, struct nk_diag *diag)
{
    if (!nk_cur_done(c) || !server_turn(a) || a->state == SSH_AUTH_ST_QUERY) {
        return broken(a, diag, SSH_MSG_USERAUTH_SUCCESS);
    }
    a->used = a->state == SSH_AUTH_ST_NONE ? "none"
              : ssh_auth_next(a)           ? ssh_auth_next(a)->name
                                           : "";
    nk_buf_reset(&a->request);
    ssh_auth_become(a, SSH_AUTH_ST_DONE);
    return 0;
}

static int get_pk_ok(struct ssh_auth *a, struct nk_cur *c, struct nk_diag *diag)
{
    struct ssh_str alg = ssh_cur_string(c), blob = ssh_cur_string(c),
                   ours = ssh_auth_content(&a->blob);
    const char *name = ssh_auth_key_name(a);
    if (!nk_cur_done(c)) {
        return broken(a, diag, SSH_MSG_USERAUTH_60);
    }
    if (!ssh_str_is(alg, name) || blob.n != ours.n || !ours.p ||
        memcmp(blob.p, ours.p, ours.n) != 0) {
        ssh_auth_become(a, SSH_AUTH_ST_DEAD);
        return nk_fail(diag, NK_EPROTO, "the server accepts a key that it was not asked about");
    }
    ssh_auth_key_told(a, "Server accepts key");
    return ssh_auth_ask_signature(a, diag);
}

/* RFC 4252 8. Changing it for the user is for a person who sees what happens. */
static int get_change_request(struct ssh_auth *a, struct nk_cur *c, struct nk_diag *diag)
{
    struct ssh_str prompt = ssh_cur_string(c);
    (void)ssh_cur_string(c);
    if (!nk_cur_done(c)) {
        return broken(a, diag, SSH_MSG_USERAUTH_60);
    }
    ssh_auth_become(a, SSH_AUTH_ST_DEAD);
    int n = prompt.n < NK_DIAG_TEXT ? (int)prompt.n : NK_DIAG_TEXT;
    (void)nk_fail(diag, NK_EAUTH, "the password of %s has expired: %.*s", a->conf.user, n,
                  (const char *)prompt.p);
    nk_hint(diag, "change it on the server (passwd), then try again");
    return NK_EAUTH;
}

/* Texts are put one after the other, each with its NUL; pointers come when all are there. */
static int put_text(struct nk_buf *b, struct ssh_str s, bool lines)
{
    s.n = s.n < SSH_AUTH_PROMPT_MAX ? s.n : SSH_AUTH_PROMPT_MAX - 1;
    int rc = ssh_put_harmless(b, s, lines);
    return rc < 0 ? rc : nk_buf_u8(b, 0);
}

static void point(struct ssh_auth_prompts *p, const char *text)
{
    const char **to[] = {&p->name, &p->instruction};
    for (size_t i = 0; i < 2 + p->n; i++) {
        *(i < 2 ? to[i] : &p->text[i - 2]) = text;
        text += strlen(text) + 1;
    }
}

static int read_prompts(struct ssh_auth *a, struct nk_cur *c)
{
    struct ssh_auth_prompts *p = &a->prompts;
    nk_buf_reset(&a->texts);
    int rc = put_text(&a->texts, ssh_cur_string(c), true);
    rc = rc < 0 ? rc : put_text(&a->texts, ssh_cur_string(c), true);
    (void)ssh_cur_string(c); /* language */
    uint32_t n = nk_cur_be32(c);
    if (n > SSH_AUTH_PROMPTS_MAX) {
        nk_cur_fail(c);
        n = 0;
    }
    p->n = n;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = put_text(&a->texts, ssh_cur_string(c), false);
        p->echo[i] = ssh_cur_bool(c);
    }
    if (rc == 0) {
        point(p, (const char *)nk_buf_ptr(&a->texts));
    }
    return rc;
}

static int get_info_request(struct ssh_auth *a, struct nk_cur *c, struct nk_diag *diag)
{
    int rc = read_prompts(a, c);
    if (rc < 0) {
        return ssh_auth_dead(a, rc, diag);
    }
    if (!nk_cur_done(c) || ++a->rounds > SSH_AUTH_ROUNDS_MAX) {
        return broken(a, diag, SSH_MSG_USERAUTH_60);
    }
    if (a->prompts.n > 0) {
        ssh_auth_become(a, SSH_AUTH_ST_ANSWERS);
        return 0;
    }
    if (a->conf.banner && a->prompts.instruction[0]) {
        a->conf.banner(a->conf.owner, a->prompts.instruction);
    }
    return ssh_auth_respond(a, NULL, 0, diag); /* RFC 4256 3.4: also no question has an answer */
}

/* Number 60 means what the method that was asked for says. */
static int get_60(struct ssh_auth *a, struct nk_cur *c, struct nk_diag *diag)
{
    if (!a->accepted) {
        return broken(a, diag, SSH_MSG_USERAUTH_60);
    }
    switch (a->state) {
    case SSH_AUTH_ST_QUERY:
        return get_pk_ok(a, c, diag);
    case SSH_AUTH_ST_PASSWORD:
        return get_change_request(a, c, diag);
    case SSH_AUTH_ST_INTERACTIVE:
        return get_info_request(a, c, diag);
    default:
        return broken(a, diag, SSH_MSG_USERAUTH_60);
    }
}

int ssh_auth_receive(struct ssh_auth *a, const uint8_t *payload, size_t n, struct nk_diag *diag)
{
    struct nk_cur c;
    nk_cur_init(&c, payload, n);
    uint8_t number = nk_cur_u8(&c);
    if (a->state == SSH_AUTH_ST_DONE || a->state == SSH_AUTH_ST_DEAD) {
        return broken(a, diag, number);
    }
    switch (number) {
    case SSH_MSG_SERVICE_ACCEPT:
        return get_accept(a, &c, diag);
    case SSH_MSG_USERAUTH_FAILURE:
        return get_failure(a, &c, diag);
    case SSH_MSG_USERAUTH_SUCCESS:
        return get_success(a, &c, diag);
    case SSH_MSG_USERAUTH_BANNER:
        return get_banner(a, &c, diag);
    case SSH_MSG_USERAUTH_60:
        return get_60(a, &c, diag);
    default:
        return broken(a, diag, number);
    }
}
