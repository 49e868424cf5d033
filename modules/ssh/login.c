/* SPDX-License-Identifier: MIT */
#include "ssh/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "ssh/agent.h"
#include "ssh/keyfile.h"
#include "ssh/known_hosts.h"
#include "ssh/pubfile.h"
#include "ssh/sign.h"
#include "ssh/tty.h"
#include "ssh/unlock.h"

#define MODULE "ssh"

enum {
    TRIES = 3, /* for a passphrase */
    KEYS_MAX = 256,
    METHODS_MAX = 64,
    PROMPT_MAX = 2 * SSH_AUTH_PROMPT_MAX
};

/* A key that may be tried. */
struct candidate {
    struct ssh_private *key;   /* in our hands, or */
    struct ssh_sealed *sealed; /* in a file that needs a passphrase, or (neither) in the agent */
    const char *name;          /* of the file */
    bool half;                 /* only public: of use if the agent has the other half */
    struct nk_buf blob;        /* public; certificates included, for the agent */
};

struct ssh_login {
    struct ssh_login_conf conf;
    struct candidate *v;
    size_t n, next;
    size_t files; /* of n; those of the agent come behind them */
    bool files_first;
    struct ssh_agent *agent;
    struct ssh_sign *signing;     /* with a key that a passphrase has opened */
    struct ssh_unlock *unlocking; /* which is being opened */
    unsigned tries;               /* passphrases that were wrong */
    bool listed, bound, distrusted, password_given;
    int64_t prompts, rounds;  /* how often the password was asked for; how often the server asked */
    struct ssh_conn *waiting; /* for the agent */
    struct ssh_auth_to_sign to_sign;
    char methods[METHODS_MAX];
};

static struct ssh_str content(const struct nk_buf *b)
{
    return (struct ssh_str){.p = nk_buf_ptr(b), .n = nk_buf_len(b)};
}

/* --- keys ------------------------------------------------------------------------------------- */

static int add(struct ssh_login *l, struct ssh_str blob, struct candidate **out)
{
    if (l->n >= KEYS_MAX) {
        return NK_ELIMIT;
    }
    struct candidate *c = &l->v[l->n];
    *c = (struct candidate){0};
    nk_buf_init(&c->blob, SSH_BLOB_MAX);
    int rc = nk_buf_put(&c->blob, blob.p, blob.n);
    if (rc == 0) {
        l->n++;
        *out = c;
    }
    return rc;
}

static struct candidate *find(const struct ssh_login *l, struct ssh_str blob)
{
    for (size_t i = 0; i < l->n; i++) {
        struct ssh_str b = content(&l->v[i].blob);
        if (b.p && blob.p && b.n == blob.n && memcmp(b.p, blob.p, b.n) == 0) {
            return &l->v[i];
        }
    }
    return NULL;
}

/* The certificates that were given by name. */
static void certify(struct ssh_login *l, struct ssh_private *k)
{
    const struct nk_strlist *files = &l->conf.config->certificate_files;
    struct nk_diag diag;
    for (size_t i = 0; i < files->n; i++) {
        struct ssh_pubfile f;
        if (ssh_keyfile_public(files->v[i], &f, &diag) < 0) {
            nk_warn(l->conf.log, MODULE, "%s", diag.text);
            continue;
        }
        (void)ssh_private_certify(k, content(&f.blob), &diag); /* it may be another key's */
        ssh_pubfile_clear(&f);
    }
}

static int open_plain(struct ssh_login *l, const char *name, struct ssh_sealed *s,
                      struct nk_diag *diag)
{
    struct ssh_private *k;
    struct candidate *c;
    int rc = ssh_sealed_open(s, NULL, (unsigned)l->conf.config->min_rsa, &k, diag);
    if (rc < 0) {
        return rc;
    }
    if (ssh_keyfile_certificate(name, k, diag) < 0) {
        nk_warn(l->conf.log, MODULE, "%s", diag->text);
    }
    certify(l, k);
    rc = find(l, k->pub.blob) ? 0 : add(l, k->pub.blob, &c);
    if (rc < 0 || find(l, k->pub.blob)->key) {
        ssh_private_unref(k);
        return rc;
    }
    c = find(l, k->pub.blob);
    c->key = k;
    c->name = name;
    c->half = false;
    return 0;
}

static int read_beside(const char *name, struct ssh_pubfile *f, struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s.pub", name);
    return ssh_keyfile_public(path, f, diag);
}

/* The public half of a locked key, from the file itself or the one beside it. */
static int add_locked(struct ssh_login *l, const char *name, struct ssh_sealed *s,
                      struct nk_diag *diag)
{
    struct ssh_str blob = ssh_sealed_blob(s);
    struct ssh_pubfile f = {0};
    struct candidate *c;
    if (blob.n == 0) {
        int rc = read_beside(name, &f, diag);
        if (rc < 0) {
            return rc;
        }
        blob = content(&f.blob);
    }
    int rc = add(l, blob, &c);
    if (rc == 0) {
        c->sealed = ssh_sealed_ref(s);
        c->name = name;
    }
    if (f.form) {
        ssh_pubfile_clear(&f);
    }
    return rc;
}

/* The private half cannot be read (rc says why, why in words): the public one says which of the
 * agent's keys is meant. */
static int add_half(struct ssh_login *l, const char *name, int rc, const struct nk_diag *why)
{
    struct ssh_pubfile f;
    struct candidate *c;
    struct nk_diag diag;
    if (ssh_keyfile_public(name, &f, &diag) < 0) {
        if (read_beside(name, &f, &diag) < 0) {
            return rc;
        }
        if (rc != -ENOENT && rc != NK_EUNSUPPORTED) { /* of a token: nobody else can have it */
            nk_warn(l->conf.log, MODULE, "%s", why->text);
        }
    }
    rc = 0;
    if (!find(l, content(&f.blob))) {
        rc = add(l, content(&f.blob), &c);
        if (rc == 0) {
            c->name = name;
            c->half = true;
        }
    }
    ssh_pubfile_clear(&f);
    return rc;
}

static int add_file(struct ssh_login *l, const char *name, struct nk_diag *diag)
{
    struct ssh_sealed *s;
    int rc = ssh_keyfile_read(name, &s, diag);
    if (rc < 0) {
        return rc == -ENOMEM ? rc : add_half(l, name, rc, diag);
    }
    rc = ssh_sealed_locked(s) ? add_locked(l, name, s, diag) : open_plain(l, name, s, diag);
    ssh_sealed_unref(s);
    return rc;
}

static int add_files(struct ssh_login *l, struct nk_diag *diag)
{
    const struct ssh_config *c = l->conf.config;
    for (size_t i = 0; i < c->identity_files.n && c->pubkey_auth; i++) {
        const char *name = c->identity_files.v[i];
        int rc = add_file(l, name, diag);
        if (rc == -ENOMEM) {
            return rc;
        }
        if (rc < 0 && (c->identity_given || rc != -ENOENT)) {
            nk_log_diag(l->conf.log, MODULE, NK_LOG_WARN, diag);
        }
    }
    l->files = l->n;
    return 0;
}

/* --- the agent -------------------------------------------------------------------------------- */

static void go_on(struct ssh_login *l);

static void on_list(void *owner, const struct ssh_agent_answer *a)
{
    struct ssh_login *l = owner;
    struct candidate *c;
    l->listed = true;
    for (size_t i = 0; i < a->nkeys && a->rc == 0; i++) {
        struct candidate *known = find(l, a->keys[i].blob);
        if (known) { /* no passphrase is needed then */
            ssh_sealed_unref(known->sealed);
            known->sealed = NULL;
            known->half = false;
        } else if (!l->conf.config->identities_only && add(l, a->keys[i].blob, &c) < 0) {
            break;
        }
    }
    if (a->rc < 0) {
        nk_warn(l->conf.log, MODULE, "the agent: %s", a->diag ? a->diag->text : "");
    }
    if (l->waiting) {
        go_on(l);
    }
}

static void on_bound(void *owner, const struct ssh_agent_answer *a)
{
    const struct ssh_login *l = owner;
    if (a->rc < 0) { /* an agent that does not know it has no keys that need it */
        nk_debug(l->conf.log, MODULE, "the agent takes no binding to the session");
    }
}

static void open_agent(struct ssh_login *l)
{
    const char *path = ssh_agent_path(l->conf.config->identity_agent);
    struct ssh_agent_request *r;
    struct nk_diag diag;
    l->listed = true;
    if (!path || !l->conf.config->pubkey_auth) {
        return;
    }
    int rc = ssh_agent_open(l->conf.app, path, &l->agent, &diag);
    rc = rc < 0 ? rc : ssh_agent_list(l->agent, on_list, l, &r);
    if (rc < 0) {
        nk_warn(l->conf.log, MODULE, "no agent: %s", nk_strerror(rc));
        return;
    }
    l->listed = false;
}

static void bind_agent(struct ssh_login *l, struct ssh_conn *c)
{
    const struct ssh_transport *t = ssh_conn_transport(c);
    struct ssh_agent_request *r;
    if (l->agent && !l->bound && t) {
        l->bound = true;
        (void)ssh_agent_bind(l->agent, ssh_transport_host_key(t), ssh_transport_session_id(t),
                             ssh_transport_host_signature(t), false, on_bound, l, &r);
    }
}

/* --- making ----------------------------------------------------------------------------------- */

static bool allowed(const struct ssh_config *c, struct ssh_str name)
{
    return ssh_str_is(name, "publickey")              ? c->pubkey_auth
           : ssh_str_is(name, "keyboard-interactive") ? c->keyboard_auth
           : ssh_str_is(name, "password")             ? c->password_auth
                                                      : false;
}

static void set_methods(struct ssh_login *l)
{
    const char *text = l->conf.config->preferred_authentications;
    text = text ? text : "publickey,keyboard-interactive,password";
    struct ssh_str list = {(const uint8_t *)text, strlen(text)}, name;
    size_t at = 0;
    while (ssh_names_next(&list, &name)) {
        if (allowed(l->conf.config, name) && at + name.n + 2 < METHODS_MAX) {
            at += (size_t)snprintf(l->methods + at, METHODS_MAX - at, "%s%.*s", at ? "," : "",
                                   (int)name.n, (const char *)name.p);
        }
    }
}

int ssh_login_new(const struct ssh_login_conf *conf, struct ssh_login **out, struct nk_diag *diag)
{
    struct ssh_login *l = calloc(1, sizeof(*l));
    if (l) {
        l->conf = *conf;
        l->v = calloc(KEYS_MAX, sizeof(*l->v));
    }
    int rc = l && l->v ? add_files(l, diag) : nk_fail_sys(diag, -ENOMEM, "login");
    if (rc < 0) {
        ssh_login_free(l);
        return rc;
    }
    l->files_first = conf->config->identity_given;
    set_methods(l);
    open_agent(l);
    *out = l;
    return 0;
}

void ssh_login_free(struct ssh_login *l)
{
    if (!l) {
        return;
    }
    ssh_agent_close(l->agent);
    ssh_sign_cancel(l->signing);
    ssh_unlock_cancel(l->unlocking);
    for (size_t i = 0; i < l->n; i++) {
        ssh_private_unref(l->v[i].key);
        ssh_sealed_unref(l->v[i].sealed);
        nk_buf_clear(&l->v[i].blob);
    }
    free(l->v);
    free(l);
}

struct ssh_private *ssh_login_key(const struct ssh_login *l)
{
    bool only = l->files == 1 && l->v[0].key && (l->files_first || !l->agent);
    return only && strncmp(l->methods, "publickey", 9) == 0 ? l->v[0].key : NULL;
}

const char *ssh_login_methods(const struct ssh_login *l)
{
    return l->methods;
}

void ssh_login_distrust(struct ssh_login *l)
{
    l->distrusted = true;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void give(struct ssh_login *l, struct ssh_conn *c, const struct ssh_gift *gift)
{
    struct nk_diag diag;
    int rc = ssh_conn_give(c, gift, &diag);
    if (rc == NK_EUNSUPPORTED || rc == NK_ETOOBIG || rc == NK_EUSAGE) {
        nk_warn(l->conf.log, MODULE, "%s", diag.text);
        (void)ssh_conn_give(c, &(struct ssh_gift){.kind = SSH_GIVE_NOTHING}, &diag);
    }
}

static void give_nothing(struct ssh_login *l, struct ssh_conn *c)
{
    give(l, c, &(struct ssh_gift){.kind = SSH_GIVE_NOTHING});
}

/* The i-th to be tried: those that were asked for by name are before the agent's. */
static struct candidate *in_order(const struct ssh_login *l, size_t i)
{
    size_t agents = l->n - l->files;
    if (l->files_first) {
        return &l->v[i];
    }
    return i < agents ? &l->v[l->files + i] : &l->v[i - agents];
}

static void give_key(struct ssh_login *l, struct ssh_conn *c)
{
    struct nk_diag diag;
    bind_agent(l, c);
    while (l->next < l->n) {
        struct candidate *k = in_order(l, l->next++);
        bool locked = k->sealed && (l->conf.no_input || l->conf.config->batch);
        if (k->key == ssh_login_key(l) && k->key) {
            continue; /* it was the first of all */
        }
        if (k->half && l->conf.config->identity_given) {
            nk_warn(l->conf.log, MODULE, "%s: nobody has the private half of this key (ssh-add?)",
                    k->name);
        }
        if (locked || k->half || (!k->key && !k->sealed && l->distrusted)) {
            continue;
        }
        const struct ssh_gift gift = {.kind = k->key ? SSH_GIVE_KEY : SSH_GIVE_BLOB,
                                      .key = k->key,
                                      .blob = content(&k->blob),
                                      .tag = k};
        if (ssh_conn_give(c, &gift, &diag) != NK_EUNSUPPORTED) {
            return;
        }
        nk_debug(l->conf.log, MODULE, "%s", diag.text);
    }
    give_nothing(l, c);
}

static bool can_ask(const struct ssh_login *l)
{
    return !l->conf.no_input && !l->conf.config->batch;
}

static void give_password(struct ssh_login *l, struct ssh_conn *c)
{
    const struct ssh_config *conf = l->conf.config;
    struct nk_secret typed = {0};
    struct nk_diag diag;
    char prompt[PROMPT_MAX];
    const struct nk_secret *p = l->password_given ? NULL : l->conf.password;
    if (l->distrusted) {
        give_nothing(l, c);
        return;
    }
    if (!p && !l->conf.password && can_ask(l) && l->prompts++ < conf->password_prompts) {
        (void)snprintf(prompt, sizeof(prompt), "%s%s@%s's password: ",
                       l->prompts > 1 ? "Permission denied, please try again.\n" : "", conf->user,
                       conf->original_host);
        if (ssh_tty_ask(prompt, false, &typed, &diag) == 0) {
            p = &typed;
        }
    }
    l->password_given = true;
    if (p) {
        give(l, c, &(struct ssh_gift){.kind = SSH_GIVE_PASSWORD, .text = {p->data, p->len}});
    } else {
        give_nothing(l, c);
    }
    nk_secret_clear(&typed);
}

static void give_interactive(struct ssh_login *l, struct ssh_conn *c)
{
    bool rules = l->conf.answers && l->conf.answers->n > 0;
    bool able = l->conf.password
                    ? !l->password_given
                    : (rules || can_ask(l)) && l->rounds++ < l->conf.config->password_prompts;
    give(l, c,
         &(struct ssh_gift){.kind =
                                able && !l->distrusted ? SSH_GIVE_INTERACTIVE : SSH_GIVE_NOTHING});
}

/* The file of a question that was foreseen, or NULL. */
static const char *foreseen(const struct ssh_login *l, const char *question)
{
    const struct nk_strlist *rules = l->conf.answers;
    for (size_t i = 0; rules && i < rules->n; i++) {
        const char *equal = strrchr(rules->v[i], '=');
        const struct ssh_str pattern = {(const uint8_t *)rules->v[i],
                                        equal ? (size_t)(equal - rules->v[i]) : 0};
        if (equal && ssh_pattern_match(pattern, question, true)) {
            return equal + 1;
        }
    }
    return NULL;
}

/* One answer: of the rules, the password that was given for hidden ones, or the user's. */
static int answer_one(struct ssh_login *l, const struct ssh_auth_prompts *p, size_t i,
                      struct nk_secret *out)
{
    struct nk_diag diag;
    char prompt[PROMPT_MAX];
    const char *file = foreseen(l, p->text[i]);
    if (file) {
        int rc = nk_file_read_secret(file, true, out, &diag);
        if (rc < 0) {
            nk_warn(l->conf.log, MODULE, "%s", diag.text);
        }
        return rc;
    }
    if (l->conf.password) {
        l->password_given = true;
        return p->echo[i] || p->n > 1
                   ? -ENOENT
                   : nk_secret_set(out, l->conf.password->data, l->conf.password->len);
    }
    if (!can_ask(l)) {
        return -ENOENT;
    }
    (void)snprintf(prompt, sizeof(prompt), "(%s@%s) %s", l->conf.config->user,
                   l->conf.config->original_host, p->text[i]);
    return ssh_tty_ask(prompt, p->echo[i], out, &diag);
}

static void say_texts(const struct ssh_auth_prompts *p)
{
    const char *const texts[] = {p->name, p->instruction};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(texts[i]);
        if (n > 0) {
            ssh_tty_say(texts[i]);
            ssh_tty_say(texts[i][n - 1] == '\n' ? "" : "\n");
        }
    }
}

static void give_answers(struct ssh_login *l, struct ssh_conn *c, const struct ssh_auth_prompts *p)
{
    struct nk_secret secrets[SSH_AUTH_PROMPTS_MAX] = {{0}};
    struct ssh_str answers[SSH_AUTH_PROMPTS_MAX];
    size_t n = p->n; /* the questions are gone once they are answered */
    int rc = 0;
    if (can_ask(l) && !l->conf.password) {
        say_texts(p);
    }
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = answer_one(l, p, i, &secrets[i]);
        answers[i] = (struct ssh_str){secrets[i].data, secrets[i].len};
    }
    give(l, c,
         &(struct ssh_gift){.kind = rc == 0 ? SSH_GIVE_ANSWERS : SSH_GIVE_NOTHING,
                            .answers = answers});
    for (size_t i = 0; i < n; i++) {
        nk_secret_clear(&secrets[i]);
    }
}

/* --- signatures ------------------------------------------------------------------------------- */

static void on_signed(void *owner, const struct ssh_agent_answer *a)
{
    struct ssh_login *l = owner;
    struct ssh_conn *c = l->waiting;
    l->waiting = NULL;
    if (a->rc < 0) {
        nk_warn(l->conf.log, MODULE, "the agent does not sign: %s", a->diag->text);
        give_nothing(l, c);
        return;
    }
    give(l, c, &(struct ssh_gift){.kind = SSH_GIVE_SIGNATURE, .text = a->signature});
}

static void on_own(void *owner, int rc, struct ssh_str signature, const struct nk_diag *diag)
{
    struct ssh_login *l = owner;
    struct ssh_conn *c = l->waiting;
    l->waiting = NULL;
    l->signing = NULL;
    if (rc < 0) {
        nk_log_diag(l->conf.log, MODULE, NK_LOG_WARN, diag);
        give_nothing(l, c);
    } else {
        give(l, c, &(struct ssh_gift){.kind = SSH_GIVE_SIGNATURE, .text = signature});
    }
}

static void no_signature(struct ssh_login *l, const struct nk_diag *why)
{
    const struct candidate *k = l->to_sign.key;
    struct ssh_conn *c = l->waiting;
    nk_warn(l->conf.log, MODULE, "%s: %s", k->name, why->text);
    l->waiting = NULL;
    give_nothing(l, c);
}

static void sign_here(struct ssh_login *l)
{
    const struct ssh_auth_to_sign *t = &l->to_sign;
    const struct candidate *k = t->key;
    struct nk_diag diag;
    int rc =
        ssh_sign_start(l->conf.app, k->key, t->alg, t->data.p, t->data.n, on_own, l, &l->signing);
    if (rc < 0) {
        nk_fail_sys(&diag, rc, "signing");
        no_signature(l, &diag);
    }
}

static void ask_passphrase(struct ssh_login *l);

static void on_unlocked(void *owner, int rc, struct ssh_private *take_k, const struct nk_diag *diag)
{
    struct ssh_login *l = owner;
    struct candidate *k = l->to_sign.key;
    l->unlocking = NULL;
    if (rc == 0) {
        k->key = take_k;
        sign_here(l);
    } else if (rc == NK_EAUTH && ++l->tries < TRIES) {
        ask_passphrase(l);
    } else {
        no_signature(l, diag);
    }
}

/* Opening the key with it takes long on purpose, and so happens beside the loop. */
static void ask_passphrase(struct ssh_login *l)
{
    struct candidate *k = l->to_sign.key;
    struct nk_secret typed = {0};
    struct nk_diag diag = {0};
    char prompt[PROMPT_MAX];
    (void)snprintf(prompt, sizeof(prompt), "Enter passphrase for key '%s': ", k->name);
    int rc = ssh_tty_ask(prompt, false, &typed, &diag);
    if (rc == 0 && typed.len == 0) { /* as with OpenSSH: no passphrase, not this key */
        rc = nk_fail_sys(&diag, -ECANCELED, "no passphrase");
    } else if (rc == 0) {
        rc = ssh_unlock_start(l->conf.app, k->sealed, &typed, (unsigned)l->conf.config->min_rsa,
                              on_unlocked, l, &l->unlocking);
        (void)(rc < 0 ? nk_fail_sys(&diag, rc, "the passphrase") : 0);
    }
    nk_secret_clear(&typed);
    if (rc < 0) {
        no_signature(l, &diag);
    }
}

static void sign_by_agent(struct ssh_login *l)
{
    const struct ssh_auth_to_sign *t = &l->to_sign;
    struct ssh_conn *c = l->waiting;
    struct ssh_agent_request *r;
    int rc = !l->agent ? NK_ECLOSED
                       : ssh_agent_sign(l->agent, t->blob, t->data.p, t->data.n, t->alg->name,
                                        on_signed, l, &r);
    if (rc < 0) {
        nk_warn(l->conf.log, MODULE, "the agent does not sign: %s", nk_strerror(rc));
        l->waiting = NULL;
        give_nothing(l, c);
    }
}

static void sign(struct ssh_login *l, struct ssh_conn *c, const struct ssh_auth_to_sign *t)
{
    const struct candidate *k = t->key;
    l->waiting = c;
    l->to_sign = *t;
    l->tries = 0;
    if (!k->sealed) {
        sign_by_agent(l);
    } else if (k->key) {
        sign_here(l);
    } else {
        ask_passphrase(l);
    }
}

static void go_on(struct ssh_login *l)
{
    struct ssh_conn *c = l->waiting;
    l->waiting = NULL;
    give_key(l, c);
}

void ssh_login_answer(struct ssh_login *l, struct ssh_conn *c, const struct ssh_question *q)
{
    if (q->want == SSH_AUTH_SIGNATURE) {
        sign(l, c, &q->to_sign);
    } else if (q->want == SSH_AUTH_ANSWERS) {
        give_answers(l, c, q->prompts);
    } else if (q->method == SSH_AUTH_PASSWORD) {
        give_password(l, c);
    } else if (q->method == SSH_AUTH_INTERACTIVE) {
        give_interactive(l, c);
    } else if (!l->listed) {
        l->waiting = c; /* the agent tells its keys first */
    } else {
        give_key(l, c);
    }
}
