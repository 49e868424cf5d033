/* SPDX-License-Identifier: MIT */
#include "ssh/link.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/secret.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"
#include "core/timer.h"

#define MODULE "ssh"

enum { SETTINGS_MAX = 256 * 1024 };

struct ssh_link {
    struct ssh_link_conf conf; /* what it points to is the link's, but for the log */
    struct nk_secret password;
    struct nk_strlist pins, answers, env;
    char *file, *cwd;
    enum ssh_link_state state;
    struct ssh_client *client;
    struct ssh_link_user *users, *walk; /* walk: who is called next */
    struct ssh_channel_queue held;
    struct nk_timer timer; /* the next try; or the end of lingering */
    struct nk_timer hold;  /* the first of held has waited long enough */
    struct nk_diag why;
    unsigned refs, tries, penalties, short_ups;
    uint64_t outage_ms, tried_ms, up_ms, ups;
    bool penalty, refused;
    /* shared ones */
    struct ssh_link **list;
    struct ssh_link *prev, *next;
    char *settings; /* what equal links have in common */
};

static void set_state(struct ssh_link *l, enum ssh_link_state s)
{
    nk_debug(l->conf.log, MODULE, "link to %s: %s", l->conf.config->original_host,
             ssh_link_state_name(s));
    l->state = s;
}

const char *ssh_link_state_name(enum ssh_link_state s)
{
    static const char *const names[] = {[SSH_LINK_CONNECTING] = "connecting",
                                        [SSH_LINK_UP] = "up",
                                        [SSH_LINK_WAITING] = "waiting",
                                        [SSH_LINK_OVER] = "over"};
    return names[s];
}

/* --- users ------------------------------------------------------------------------------------ */

void ssh_link_attach(struct ssh_link *l, struct ssh_link_user *u)
{
    u->attached = true;
    u->prev = NULL;
    u->next = l->users;
    if (l->users) {
        l->users->prev = u;
    }
    l->users = u;
}

void ssh_link_detach(struct ssh_link *l, struct ssh_link_user *u)
{
    if (!u->attached) {
        return;
    }
    if (l->walk == u) {
        l->walk = u->next;
    }
    if (l->users == u) {
        l->users = u->next;
    } else {
        u->prev->next = u->next;
    }
    if (u->next) {
        u->next->prev = u->prev;
    }
    u->attached = false;
}

static struct ssh_link_user *next_user(struct ssh_link *l)
{
    struct ssh_link_user *u = l->walk;
    l->walk = u ? u->next : NULL;
    return u;
}

/* The caller has a reference: this may take everybody else's. */
static void tell(struct ssh_link *l, bool up)
{
    struct ssh_link_user *u;
    const struct nk_diag why = l->why;
    const enum ssh_link_state state = l->state;
    for (l->walk = l->users; l->state == state && (u = next_user(l)) != NULL;) {
        if (up && u->up) {
            u->up(u->owner, l);
        } else if (!up && u->down) {
            u->down(u->owner, l, &why);
        }
    }
}

/* --- held streams ----------------------------------------------------------------------------- */

static uint64_t hold_ms(const struct ssh_link *l)
{
    return l->conf.hold_ms ? l->conf.hold_ms : SSH_LINK_HOLD_MS;
}

static void watch_held(struct ssh_link *l)
{
    uint64_t since = ssh_channel_queue_since(&l->held), now = nk_now_ms(l->conf.app);
    if (since == UINT64_MAX) {
        nk_timer_stop(&l->hold);
    } else {
        uint64_t due = since + hold_ms(l);
        nk_timer_start(&l->hold, due > now ? due - now : 0);
    }
}

static void on_hold(void *owner)
{
    struct ssh_link *l = owner;
    struct nk_diag why;
    uint64_t now = nk_now_ms(l->conf.app);
    (void)nk_fail(&why, -ETIMEDOUT, "no connection to %s%s%s", l->conf.config->original_host,
                  l->why.text[0] ? ": " : " in time", l->why.text);
    if (now >= hold_ms(l)) {
        ssh_channel_queue_fail(&l->held, now - hold_ms(l), &why);
    }
    watch_held(l);
}

/* --- trying ----------------------------------------------------------------------------------- */

static bool is_fatal(const struct ssh_link *l, int rc)
{
    return l->conf.once || rc == NK_EVERIFY || rc == NK_ECONFIG || rc == NK_EUSAGE ||
           rc == NK_EBADMODE || (rc == NK_EAUTH && l->ups == 0);
}

/* What sshd(8) sends instead of its identification, since 9.8 and always. */
static bool is_told_off(const struct nk_diag *why)
{
    return strstr(why->text, "Not allowed at this time") || strstr(why->text, "MaxStartups");
}

/* Somewhere between half of ms and all of it, so that many clients do not come at once. */
static uint64_t jittered(uint64_t ms)
{
    return ms - ms / 2 + nk_random_u32((uint32_t)(ms / 2) + 1);
}

static uint64_t doubled(uint64_t ms, unsigned times, uint64_t max)
{
    for (; times > 0 && ms < max; times--) {
        ms *= 2;
    }
    return ms < max ? ms : max;
}

static void wait_for_next(struct ssh_link *l)
{
    uint64_t now = nk_now_ms(l->conf.app), ms;
    if (l->penalty) { /* never less than that */
        ms = SSH_LINK_PENALTY_MS / 2 +
             jittered(doubled(SSH_LINK_PENALTY_MS, l->penalties++, SSH_LINK_PENALTY_MAX_MS));
    } else {
        bool quick = now - l->outage_ms < SSH_LINK_QUICK_MS;
        l->tries = quick ? 0 : l->tries + 1;
        ms = jittered(doubled(SSH_LINK_WAIT_MS, l->tries, SSH_LINK_WAIT_MAX_MS));
    }
    nk_timer_start(&l->timer, ms);
}

/* A stream waits: no long waits now. */
static void hurry(struct ssh_link *l)
{
    uint64_t now = nk_now_ms(l->conf.app), at = l->tried_ms + SSH_LINK_WANTED_MS;
    if (l->state == SSH_LINK_WAITING && !l->penalty && l->timer.due_ms > at) {
        nk_timer_start(&l->timer, at > now ? at - now : 0);
    }
}

/* There is no connection (any more). The caller has a reference. */
static void lost(struct ssh_link *l, int rc, const struct nk_diag *why)
{
    bool was_up = l->state == SSH_LINK_UP;
    uint64_t now = nk_now_ms(l->conf.app);
    struct ssh_client *c = l->client;
    l->client = NULL;
    l->why = *why;
    l->why.code = rc;
    ssh_client_close(c);
    if (was_up && now - l->up_ms >= SSH_LINK_GOOD_MS) {
        l->tries = l->penalties = l->short_ups = 0;
        l->outage_ms = now;
    } else if (was_up && ++l->short_ups <= SSH_LINK_SHORT_UPS) {
        l->outage_ms = now;
    }
    l->penalty = rc == NK_EAUTH || is_told_off(why);
    if (is_fatal(l, rc)) {
        nk_timer_stop(&l->timer);
        set_state(l, SSH_LINK_OVER);
        ssh_channel_queue_fail(&l->held, UINT64_MAX, &l->why);
    } else {
        set_state(l, SSH_LINK_WAITING);
        nk_warn(l->conf.log, MODULE, "%s %s: %s",
                was_up ? "lost the connection to" : "no connection to",
                l->conf.config->original_host, why->text);
        wait_for_next(l);
        if (l->conf.refuse) {
            ssh_channel_queue_fail(&l->held, UINT64_MAX, &l->why);
        } else if (l->held.n > 0) {
            hurry(l);
        }
    }
    watch_held(l);
    tell(l, false);
}

static void on_open(void *owner, struct ssh_client *c)
{
    struct ssh_link *l = ssh_link_ref(owner);
    l->up_ms = nk_now_ms(l->conf.app);
    l->ups++;
    l->why = (struct nk_diag){0};
    set_state(l, SSH_LINK_UP);
    if (l->ups > 1) {
        nk_warn(l->conf.log, MODULE, "connected to %s again", l->conf.config->original_host);
    }
    ssh_channel_queue_open(&l->held, ssh_client_channels(c));
    watch_held(l);
    tell(l, true);
    ssh_link_unref(l);
}

static void on_closed(void *owner, struct ssh_client *c, int rc, const struct nk_diag *why)
{
    struct ssh_link *l = ssh_link_ref(owner);
    const struct nk_diag copy = *why; /* it may be the client's */
    (void)c;
    lost(l, rc, &copy);
    ssh_link_unref(l);
}

static void on_incoming(void *owner, struct ssh_channel *ch, struct ssh_str type,
                        struct ssh_str data)
{
    struct ssh_link *l = owner;
    struct ssh_link_user *u;
    bool taken = false;
    (void)ssh_link_ref(l);
    for (int any = 0; any < 2 && !taken; any++) {
        for (l->walk = l->users; !taken && (u = next_user(l)) != NULL;) {
            taken = u->incoming && u->incoming(u->owner, ch, type, data, any != 0);
        }
    }
    if (!taken) {
        nk_log_write(l->conf.log, MODULE, l->refused ? NK_LOG_DEBUG : NK_LOG_WARN, NULL, NULL,
                     "%s wants to open a channel that nobody asked for: refused",
                     l->conf.config->original_host); /* saying it once is enough */
        l->refused = true;
        (void)ssh_channel_refuse(ch, SSH_REFUSED_PROHIBITED, "nobody asked for it");
    }
    ssh_link_unref(l);
}

static int begin(struct ssh_link *l, struct nk_diag *diag)
{
    static const struct ssh_client_ops ops = {
        .open = on_open, .closed = on_closed, .incoming = on_incoming};
    const struct ssh_client_conf conf = {.app = l->conf.app,
                                         .log = l->conf.log,
                                         .config = l->conf.config,
                                         .file = l->file,
                                         .pins = (const char *const *)l->pins.v,
                                         .npins = l->pins.n,
                                         .password = l->password.data ? &l->password : NULL,
                                         .answers = &l->answers,
                                         .env = l->env.n ? &l->env : NULL,
                                         .cwd = l->cwd,
                                         .no_input = l->conf.no_input,
                                         .quiet = l->conf.quiet,
                                         .ops = &ops,
                                         .owner = l};
    l->tried_ms = nk_now_ms(l->conf.app);
    set_state(l, SSH_LINK_CONNECTING);
    return ssh_client_open(&conf, &l->client, diag);
}

static void try_now(struct ssh_link *l)
{
    struct nk_diag why = {0};
    int rc = begin(l, &why);
    if (rc < 0) {
        (void)ssh_link_ref(l);
        lost(l, rc, &why);
        ssh_link_unref(l);
    }
}

static void destroy(struct ssh_link *l);

static void on_timer(void *owner)
{
    struct ssh_link *l = owner;
    if (l->refs == 0) {
        destroy(l);
    } else {
        try_now(l);
    }
}

void ssh_link_retry(struct ssh_link *l)
{
    if (l->state == SSH_LINK_WAITING) {
        nk_timer_start(&l->timer, 0);
    }
}

void ssh_link_drop(struct ssh_link *l, const struct nk_diag *why)
{
    if (l->client) {
        const struct nk_diag copy = *why;
        struct ssh_channels *c = ssh_client_channels(l->client);
        (void)ssh_link_ref(l);
        if (c) {
            ssh_channels_end(c, &copy);
        }
        lost(l, copy.code < 0 ? copy.code : NK_ECLOSED, &copy);
        ssh_link_unref(l);
    }
}

/* --- streams ---------------------------------------------------------------------------------- */

static void on_stream_closed(void *arg)
{
    ssh_link_unref(arg);
}

int ssh_link_dial(struct ssh_link *l, const struct ssh_channel_conf *conf, nk_stream_event_fn *fn,
                  void *owner, struct nk_stream **out, struct nk_diag *diag)
{
    const struct ssh_channel_place place = {
        .now = ssh_link_channels(l), .later = &l->held, .closed = on_stream_closed, .arg = l};
    if (!place.now && (l->state == SSH_LINK_OVER || (l->conf.refuse && l->why.code < 0))) {
        return nk_fail(diag, l->why.code, "no connection to %s: %s", l->conf.config->original_host,
                       l->why.text);
    }
    if (!place.now && l->held.n >= SSH_LINK_HELD_MAX) {
        return nk_fail(diag, NK_ELIMIT, "too many wait for the connection to %s",
                       l->conf.config->original_host);
    }
    int rc = ssh_channel_dial_at(l->conf.app, &place, conf, out, diag);
    if (rc < 0) {
        return rc;
    }
    (void)ssh_link_ref(l);
    if (fn) {
        nk_stream_own(*out, fn, owner);
    }
    if (!place.now) {
        hurry(l);
        watch_held(l);
    }
    return 0;
}

static int dial_to(struct ssh_link *l, struct ssh_channel_to *to, int rc, nk_stream_event_fn *fn,
                   void *owner, struct nk_stream **out, struct nk_diag *diag)
{
    if (rc == 0) {
        rc = ssh_link_dial(l, &to->conf, fn, owner, out, diag);
        ssh_channel_to_clear(to);
    }
    return rc;
}

int ssh_link_dial_tcp(struct ssh_link *l, const char *host, uint16_t port, nk_stream_event_fn *fn,
                      void *owner, struct nk_stream **out, struct nk_diag *diag)
{
    struct ssh_channel_to to;
    return dial_to(l, &to, ssh_channel_to_tcp(&to, host, port, diag), fn, owner, out, diag);
}

int ssh_link_dial_unix(struct ssh_link *l, const char *path, nk_stream_event_fn *fn, void *owner,
                       struct nk_stream **out, struct nk_diag *diag)
{
    struct ssh_channel_to to;
    return dial_to(l, &to, ssh_channel_to_unix(&to, path, diag), fn, owner, out, diag);
}

/* --- birth and death -------------------------------------------------------------------------- */

static void forget(struct ssh_link *l)
{
    ssh_config_free(l->conf.config);
    nk_secret_clear(&l->password);
    nk_strlist_clear(&l->pins);
    nk_strlist_clear(&l->answers);
    nk_strlist_clear(&l->env);
    free(l->file);
    free(l->cwd);
    free(l->settings);
    free(l);
}

static void destroy(struct ssh_link *l)
{
    if (l->list) {
        if (*l->list == l) {
            *l->list = l->next;
        } else {
            l->prev->next = l->next;
        }
        if (l->next) {
            l->next->prev = l->prev;
        }
    }
    nk_timer_stop(&l->timer);
    nk_timer_stop(&l->hold);
    ssh_client_close(l->client);
    forget(l);
}

static int copy_list(struct nk_strlist *out, const char *const *v, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = nk_strlist_add(out, v[i], strlen(v[i]));
    }
    return rc;
}

static int copy_strings(struct nk_strlist *out, const struct nk_strlist *l)
{
    return l ? copy_list(out, (const char *const *)l->v, l->n) : 0;
}

static int copy_text(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return text && !*out ? -ENOMEM : 0;
}

static int copy(struct ssh_link *l, const struct ssh_link_conf *conf)
{
    int rc = copy_list(&l->pins, conf->pins, conf->npins);
    rc = rc < 0 ? rc : copy_strings(&l->answers, conf->answers);
    rc = rc < 0 ? rc : copy_strings(&l->env, conf->env);
    rc = rc < 0 ? rc : copy_text(&l->file, conf->file);
    rc = rc < 0 ? rc : copy_text(&l->cwd, conf->cwd);
    if (rc == 0 && conf->password && conf->password->data) {
        rc = nk_secret_set(&l->password, conf->password->data, conf->password->len);
    }
    return rc;
}

/* A dead peer is noticed, whatever ssh_config says; before settings are compared. */
static void watch_alive(const struct ssh_link_conf *conf)
{
    if (!conf->once && conf->config->alive_interval == 0) {
        conf->config->alive_interval = SSH_LINK_ALIVE_S;
    }
}

int ssh_link_new(const struct ssh_link_conf *conf, struct ssh_link **out, struct nk_diag *diag)
{
    struct ssh_link *l = calloc(1, sizeof(*l));
    if (!l) {
        ssh_config_free(conf->config);
        return nk_fail_sys(diag, -ENOMEM, "ssh");
    }
    l->conf = *conf;
    l->conf.log = conf->log ? conf->log : nk_app_log(conf->app);
    l->refs = 1;
    l->outage_ms = nk_now_ms(conf->app);
    nk_timer_init(&l->timer, conf->app, on_timer, l);
    nk_timer_init(&l->hold, conf->app, on_hold, l);
    watch_alive(conf);
    int rc = copy(l, conf);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "ssh") : begin(l, diag);
    if (rc < 0) {
        forget(l);
        return rc;
    }
    *out = l;
    return 0;
}

struct ssh_link *ssh_link_ref(struct ssh_link *l)
{
    l->refs++;
    return l;
}

/* Milliseconds for which a login that was refused is not tried anew: each try would add to what
 * the server has against us. */
static uint64_t barred_ms(const struct ssh_link *l)
{
    uint64_t until = l->tried_ms + SSH_LINK_PENALTY_MS, now = nk_now_ms(l->conf.app);
    return l->state == SSH_LINK_OVER && l->penalty && until > now ? until - now : 0;
}

void ssh_link_unref(struct ssh_link *l)
{
    if (!l || --l->refs > 0) {
        return;
    }
    uint64_t ms = !l->list ? 0 : l->state == SSH_LINK_UP ? SSH_LINK_LINGER_MS : barred_ms(l);
    if (ms > 0) {
        nk_timer_start(&l->timer, ms);
    } else {
        destroy(l);
    }
}

/* --- sharing ---------------------------------------------------------------------------------- */

static const char shared_key = 0; /* its address names the shared links of an app */

/* The app ends: whoever has used them is gone. */
static void release_shared(void *value)
{
    struct ssh_link **list = value;
    for (struct ssh_link *l = *list, *next; l; l = next) {
        next = l->next;
        destroy(l);
    }
    free(list);
}

static struct ssh_link **shared_list(struct nk_app *app)
{
    struct ssh_link **list = nk_app_slot(app, &shared_key);
    if (!list && (list = calloc(1, sizeof(*list))) != NULL &&
        nk_app_slot_set(app, &shared_key, list, release_shared) < 0) {
        free(list);
        list = NULL;
    }
    return list;
}

static int put_lines(struct nk_buf *b, char what, const char *const *v, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = nk_buf_printf(b, "%c%s\n", what, v[i]);
    }
    return rc;
}

static int put_strings(struct nk_buf *b, char what, const struct nk_strlist *l)
{
    return l ? put_lines(b, what, (const char *const *)l->v, l->n) : 0;
}

/* All that makes links differ, but for the password. */
static int put_settings(const struct ssh_link_conf *c, struct nk_buf *b)
{
    int rc = ssh_config_print(c->config, b);
    rc = rc < 0 ? rc
                : nk_buf_printf(b, "%s\n%s\n%d%d%d%d %" PRIu64 "\n", c->file ? c->file : "",
                                c->cwd ? c->cwd : "", c->no_input, c->quiet, c->once, c->refuse,
                                c->hold_ms);
    rc = rc < 0 ? rc : put_lines(b, 'p', c->pins, c->npins);
    rc = rc < 0 ? rc : put_strings(b, 'a', c->answers);
    return rc < 0 ? rc : put_strings(b, 'e', c->env);
}

static bool same_password(const struct ssh_link *l, const struct nk_secret *p)
{
    return p && p->data ? nk_secret_eq(&l->password, p->data, p->len) : !l->password.data;
}

bool ssh_link_same(const struct ssh_link *l, const struct ssh_link_conf *conf)
{
    struct ssh_link_conf own = l->conf;
    struct nk_buf a, b;
    own.file = l->file;
    own.cwd = l->cwd;
    own.pins = (const char *const *)l->pins.v;
    own.npins = l->pins.n;
    own.answers = &l->answers;
    own.env = &l->env;
    nk_buf_init(&a, SETTINGS_MAX);
    nk_buf_init(&b, SETTINGS_MAX);
    watch_alive(conf);
    bool same = same_password(l, conf->password) && put_settings(&own, &a) == 0 &&
                put_settings(conf, &b) == 0 && nk_buf_len(&a) == nk_buf_len(&b) &&
                memcmp(nk_buf_ptr(&a), nk_buf_ptr(&b), nk_buf_len(&a)) == 0;
    nk_buf_clear(&a);
    nk_buf_clear(&b);
    return same;
}

static struct ssh_link *find(struct ssh_link *list, const struct ssh_link_conf *conf,
                             const char *settings)
{
    for (struct ssh_link *l = list; l; l = l->next) {
        bool fresh = l->state != SSH_LINK_OVER || barred_ms(l) > 0;
        if (fresh && same_password(l, conf->password) && strcmp(l->settings, settings) == 0) {
            return l;
        }
    }
    return NULL;
}

static int get(struct ssh_link **list, const struct ssh_link_conf *conf, const char *settings,
               struct ssh_link **out, struct nk_diag *diag)
{
    struct ssh_link *l = find(*list, conf, settings);
    if (l) {
        ssh_config_free(conf->config);
        if (l->refs == 0) {
            nk_timer_stop(&l->timer); /* it lingered */
        }
        *out = ssh_link_ref(l);
        return 0;
    }
    char *copied = strdup(settings);
    if (!copied) {
        ssh_config_free(conf->config);
        return nk_fail_sys(diag, -ENOMEM, "ssh");
    }
    int rc = ssh_link_new(conf, &l, diag);
    if (rc < 0) {
        free(copied);
        return rc;
    }
    l->settings = copied;
    l->list = list;
    l->next = *list;
    if (*list) {
        (*list)->prev = l;
    }
    *list = l;
    *out = l;
    return 0;
}

int ssh_link_get(const struct ssh_link_conf *conf, struct ssh_link **out, struct nk_diag *diag)
{
    struct ssh_link **list = shared_list(conf->app);
    struct nk_buf b;
    nk_buf_init(&b, SETTINGS_MAX);
    watch_alive(conf);
    int rc = list ? put_settings(conf, &b) : -ENOMEM;
    const char *text = rc < 0 ? NULL : nk_buf_str(&b);
    if (!text) {
        ssh_config_free(conf->config);
        rc = nk_fail_sys(diag, rc < 0 ? rc : -ENOMEM, "ssh");
    } else {
        rc = get(list, conf, text, out, diag);
    }
    nk_buf_clear(&b);
    return rc;
}

/* --- questions -------------------------------------------------------------------------------- */

enum ssh_link_state ssh_link_state(const struct ssh_link *l)
{
    return l->state;
}

void ssh_link_no_more_sessions(struct ssh_link *l)
{
    if (ssh_link_channels(l)) {
        ssh_client_no_more_sessions(l->client);
    }
}

struct ssh_channels *ssh_link_channels(struct ssh_link *l)
{
    return l->state == SSH_LINK_UP ? ssh_client_channels(l->client) : NULL;
}

const struct ssh_config *ssh_link_config(const struct ssh_link *l)
{
    return l->conf.config;
}

struct nk_app *ssh_link_app(const struct ssh_link *l)
{
    return l->conf.app;
}

uint64_t ssh_link_ups(const struct ssh_link *l)
{
    return l->ups;
}

const struct nk_diag *ssh_link_why(const struct ssh_link *l)
{
    return &l->why;
}
