/* SPDX-License-Identifier: MIT */
#include "tor/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "core/process.h"
#include "tor/instance_impl.h"
#include "tor/section.h"

#define LINGER_MS 60000u
enum { KEY_MAX = 1 << 16 };

const char *const tor_kind_names[] = {"auto", "system", "global", "private", NULL};

static const char slot_key = 't'; /* its address names our slot */

struct instances {
    struct tor_instance *first;
};

/* --- what is needed --------------------------------------------------------------------------- */

unsigned tor_instance_wants(const struct tor_instance *i)
{
    unsigned wants = 0;
    for (const struct tor_instance_wait *w = i->waits; w; w = w->next) {
        wants |= w->done ? 0 : w->needs;
    }
    return wants & ~i->have;
}

static void deliver(void *owner);

static void finish(struct tor_instance_wait *w, int err, const struct nk_diag *why)
{
    w->done = true;
    w->err = err;
    if (err < 0) {
        w->why = *why;
    }
    nk_timer_stop(&w->timer);
    w->deliver = (struct nk_defer){.fn = deliver, .owner = w};
    nk_app_defer(w->instance->app, &w->deliver);
}

void tor_instance_has(struct tor_instance *i, unsigned what)
{
    i->have |= what;
    for (struct tor_instance_wait *w = i->waits; w; w = w->next) {
        if (!w->done && !(w->needs & ~i->have)) {
            finish(w, 0, NULL);
        }
    }
}

void tor_instance_progress(struct tor_instance *i, const struct tor_bootstrap *at)
{
    i->at = *at;
    /* whoever is told may cancel: a wait is found again by its place from the front */
    for (size_t n = 0;; n++) {
        struct tor_instance_wait *w = i->waits;
        for (size_t k = 0; w && k < n; k++) {
            w = w->next;
        }
        if (!w) {
            return;
        }
        if (!w->done && w->progress) {
            w->progress(w->owner, at);
        }
    }
}

static void clear(struct tor_instance *i)
{
    nk_timer_stop(&i->linger);
    tor_system_clear(i);
    tor_global_clear(i);
    tor_launch_close(i->launch);
    i->launch = NULL;
}

static void unlink_(struct tor_instance *i)
{
    if (!i->list) {
        return;
    }
    if (*i->list == i) {
        *i->list = i->next;
    } else {
        i->prev->next = i->next;
    }
    if (i->next) {
        i->next->prev = i->prev;
    }
    i->list = NULL;
}

static void free_(void *owner)
{
    struct tor_instance *i = owner;
    free(i->key);
    free(i->access.control);
    free(i->access.cookie_file);
    free(i->access.password_file);
    free(i);
}

static void discard(struct tor_instance *i)
{
    unlink_(i);
    clear(i);
    i->gone = (struct nk_defer){.fn = free_, .owner = i};
    nk_app_defer(i->app, &i->gone);
}

/* Nobody needs it: later, or at once when it is of no use. */
static void unneeded(struct tor_instance *i)
{
    if (i->refs > 0 || i->waits) {
        return;
    }
    if (i->failed) {
        discard(i);
    } else {
        nk_timer_start(&i->linger, LINGER_MS);
    }
}

static void on_linger(void *owner)
{
    struct tor_instance *i = owner;
    i->failed = true;
    unneeded(i);
}

void tor_instance_fail(struct tor_instance *i, int err, const struct nk_diag *why)
{
    i->failed = true;
    unlink_(i); /* the next one who asks begins anew */
    for (struct tor_instance_wait *w = i->waits; w; w = w->next) {
        if (!w->done) {
            finish(w, err, why);
        }
    }
    unneeded(i);
}

/* --- those who wait --------------------------------------------------------------------------- */

static void remove_wait(struct tor_instance_wait *w)
{
    struct tor_instance *i = w->instance;
    if (i->waits == w) {
        i->waits = w->next;
    } else {
        w->prev->next = w->next;
    }
    if (w->next) {
        w->next->prev = w->prev;
    }
    nk_timer_stop(&w->timer);
    nk_app_defer_cancel(i->app, &w->deliver);
}

static void deliver(void *owner)
{
    struct tor_instance_wait *w = owner;
    struct tor_instance *i = w->instance;
    const struct tor_instance_wait done = *w;
    remove_wait(w);
    free(w);
    if (done.err == 0) {
        i->refs++;
        nk_timer_stop(&i->linger);
        done.fn(done.owner, 0, i, NULL);
    } else {
        unneeded(i); /* before fn, which may ask again */
        done.fn(done.owner, done.err, NULL, &done.why);
    }
}

static void on_timeout(void *owner)
{
    struct tor_instance_wait *w = owner;
    struct nk_diag why;
    const struct tor_bootstrap *at = &w->instance->at;
    if (at->tag[0]) {
        nk_fail(&why, -ETIMEDOUT, "tor is not ready in time: %u %% (%s)", at->percent, at->tag);
        nk_hint(&why, "%s %s", at->warning, at->host);
    } else {
        nk_fail(&why, -ETIMEDOUT, "tor does not answer in time");
    }
    finish(w, -ETIMEDOUT, &why);
}

void tor_instance_cancel(struct tor_instance_wait *w)
{
    if (w) {
        struct tor_instance *i = w->instance;
        remove_wait(w);
        free(w);
        unneeded(i);
    }
}

void tor_instance_release(struct tor_instance *i)
{
    if (i && i->refs > 0 && --i->refs == 0) {
        unneeded(i);
    }
}

/* --- one of our own --------------------------------------------------------------------------- */

static void on_launch(void *owner, enum tor_launch_event what, int err, const struct nk_diag *why)
{
    struct tor_instance *i = owner;
    switch (what) {
    case TOR_LAUNCH_OPEN:
        (void)snprintf(i->socks, sizeof(i->socks), "%s", tor_launch_socks(i->launch));
        tor_instance_has(i, TOR_NEEDS_CONTROL | TOR_NEEDS_SOCKS);
        break;
    case TOR_LAUNCH_PROGRESS:
        tor_instance_progress(i, tor_launch_bootstrap(i->launch));
        break;
    case TOR_LAUNCH_READY:
        tor_instance_has(i, TOR_NEEDS_NETWORK);
        break;
    default:
        tor_instance_fail(i, err, why);
        break;
    }
}

static int begin_private(struct tor_instance *i, const struct tor_launch_conf *given,
                         struct nk_diag *diag)
{
    static const struct tor_launch_conf none = {.binary = NULL};
    struct tor_launch_conf conf = given ? *given : none;
    const char *state = nk_app_state_dir(i->app);
    char seed[NK_PATH_MAX];
    if (i->launch) {
        return 0;
    }
    if (!conf.seed && state && nk_path_join(seed, sizeof(seed), state, TOR_GLOBAL_DATA) == 0) {
        conf.seed = seed; /* where there is one */
    }
    conf.timeout_ms = 0; /* each who waits has a time of its own */
    conf.fn = on_launch;
    conf.owner = i;
    return tor_launch_start(i->app, &conf, &i->launch, diag);
}

/* --- which one -------------------------------------------------------------------------------- */

static void release_all(void *value)
{
    struct instances *all = value;
    while (all->first) {
        struct tor_instance *i = all->first;
        struct tor_instance_wait *next;
        for (struct tor_instance_wait *w = i->waits; w; w = next) {
            next = w->next;
            remove_wait(w);
            free(w);
        }
        discard(i);
    }
    free(all);
}

static int all_of(struct nk_app *app, struct instances **out)
{
    struct instances *all = nk_app_slot(app, &slot_key);
    if (!all) {
        int rc = nk_process_prepare(app); /* its slot must outlive ours */
        if (rc < 0 && rc != NK_EUNSUPPORTED) {
            return rc;
        }
        all = calloc(1, sizeof(*all));
        rc = all ? nk_app_slot_set(app, &slot_key, all, release_all) : -ENOMEM;
        if (rc < 0) {
            free(all);
            return rc;
        }
    }
    *out = all;
    return 0;
}

/* Everything that makes a difference, each part with its length in front. NULL without memory. */
static char *key_of(enum tor_kind kind, const struct tor_instance_conf *conf)
{
    static const struct tor_launch_conf none = {.binary = NULL};
    const struct tor_launch_conf *l = conf->launch ? conf->launch : &none;
    const char *parts[] = {conf->access.control,
                           conf->access.cookie_file,
                           conf->access.password_file,
                           conf->socks,
                           l->binary,
                           l->data_dir,
                           l->socks,
                           l->user,
                           l->seed};
    struct nk_buf key;
    size_t n;
    nk_buf_init(&key, KEY_MAX);
    int rc = nk_buf_printf(&key, "%d", (int)kind);
    for (size_t i = 0; rc == 0 && i < sizeof(parts) / sizeof(*parts); i++) {
        rc = nk_buf_printf(&key, " %zu:%s", parts[i] ? strlen(parts[i]) : 0,
                           parts[i] ? parts[i] : "");
    }
    for (size_t i = 0; rc == 0 && l->torrc && i < l->torrc->n; i++) {
        rc = nk_buf_printf(&key, " %zu:%s", strlen(l->torrc->v[i]), l->torrc->v[i]);
    }
    char *text = rc == 0 && nk_buf_str(&key) ? (char *)nk_buf_detach(&key, &n) : NULL;
    nk_buf_clear(&key);
    return text;
}

static bool copy(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return !text || *out;
}

static struct tor_instance *create(struct nk_app *app, enum tor_kind kind,
                                   const struct tor_instance_conf *conf, char *take_key)
{
    struct tor_instance *i = calloc(1, sizeof(*i));
    if (!i) {
        free(take_key);
        return NULL;
    }
    i->app = app;
    i->key = take_key;
    i->kind = kind;
    nk_timer_init(&i->linger, app, on_linger, i);
    if (!copy(&i->access.control, conf->access.control) ||
        !copy(&i->access.cookie_file, conf->access.cookie_file) ||
        !copy(&i->access.password_file, conf->access.password_file)) {
        free_(i);
        return NULL;
    }
    return i;
}

static struct tor_instance *find(const struct instances *all, const char *key)
{
    struct tor_instance *i = all->first;
    while (i && strcmp(i->key, key) != 0) {
        i = i->next;
    }
    return i;
}

static void link_(struct instances *all, struct tor_instance *i)
{
    i->prev = NULL;
    i->next = all->first;
    if (i->next) {
        i->next->prev = i;
    }
    all->first = i;
    i->list = &all->first;
}

/* The one that conf means, found or made. */
static int select_(struct nk_app *app, enum tor_kind kind, const struct tor_instance_conf *conf,
                   struct tor_instance **out, struct nk_diag *diag)
{
    struct instances *all;
    int rc = all_of(app, &all);
    char *key = rc == 0 ? key_of(kind, conf) : NULL;
    struct tor_instance *i = key ? find(all, key) : NULL;
    if (i) {
        free(key);
    } else if (key && (i = create(app, kind, conf, key))) {
        link_(all, i);
        const struct tor_access given = {.control = (char *)(uintptr_t)conf->socks};
        if (conf->socks && tor_access_place(&given, 0, i->socks, sizeof(i->socks)) < 0) {
            discard(i);
            return nk_fail(diag, NK_EUSAGE, "'%s' is no place of SOCKS", conf->socks);
        }
        i->given = conf->socks != NULL;
        i->have |= i->given ? TOR_NEEDS_SOCKS : 0;
    }
    if (!i) {
        return nk_fail_sys(diag, rc < 0 ? rc : -ENOMEM, "tor");
    }
    *out = i;
    return 0;
}

static int begin(struct tor_instance *i, const struct tor_instance_conf *conf, struct nk_diag *diag)
{
    if (i->kind == TOR_SYSTEM || i->kind == TOR_AUTO) {
        i->have |= TOR_NEEDS_NETWORK; /* that is for who started it */
    }
    if (!tor_instance_wants(i)) {
        tor_instance_has(i, 0);
        return 0;
    }
    switch (i->kind) {
    case TOR_PRIVATE:
        return begin_private(i, conf->launch, diag);
    case TOR_GLOBAL:
        return tor_global_begin(i, diag);
    default:
        return tor_system_begin(i, diag);
    }
}

static int check(struct nk_app *app, enum tor_kind kind, const struct tor_instance_conf *conf,
                 struct nk_diag *diag)
{
    const bool ours = kind == TOR_PRIVATE || kind == TOR_GLOBAL;
    if (ours && (conf->access.control || conf->socks)) {
        return nk_fail(diag, NK_EUSAGE,
                       "where a tor is reached, and that it is one of netkit's own (tor=%s), "
                       "cannot both be said",
                       kind == TOR_PRIVATE ? "private" : "global");
    }
    if (ours && !nk_app_launcher(app)) {
        return nk_fail(diag, NK_EUNSUPPORTED,
                       "a tor cannot be started: this command starts no "
                       "programs");
    }
    return 0;
}

/* What conf leaves open is as [tor] says. */
static struct tor_instance_conf complete(struct nk_app *app, const struct tor_instance_conf *conf,
                                         struct tor_launch_conf *launch)
{
    struct tor_instance_conf out = *conf, ini;
    const bool named = conf->access.control || conf->socks;
    tor_section_instance(nk_app_ini(app), &ini, launch);
    if (conf->kind == TOR_AUTO) {
        out.kind = named ? TOR_SYSTEM : ini.kind;
    }
    if (!named && (out.kind == TOR_SYSTEM || out.kind == TOR_AUTO)) {
        out.access.control = ini.access.control;
        out.kind = ini.access.control ? TOR_SYSTEM : out.kind;
        if (!conf->access.cookie_file && !conf->access.password_file) {
            out.access.cookie_file = ini.access.cookie_file;
            out.access.password_file = ini.access.password_file;
        }
    }
    if (out.kind == TOR_PRIVATE && !conf->launch) {
        out.launch = ini.launch;
    }
    return out;
}

static struct tor_instance_wait *add_wait(struct tor_instance *i,
                                          const struct tor_instance_conf *conf, tor_instance_fn *fn,
                                          void *owner)
{
    struct tor_instance_wait *w = calloc(1, sizeof(*w));
    if (!w) {
        return NULL;
    }
    *w = (struct tor_instance_wait){.instance = i,
                                    .needs = conf->needs,
                                    .fn = fn,
                                    .progress = conf->progress,
                                    .owner = owner,
                                    .next = i->waits};
    if (i->waits) {
        i->waits->prev = w;
    }
    i->waits = w;
    nk_timer_stop(&i->linger);
    nk_timer_init(&w->timer, i->app, on_timeout, w);
    nk_timer_start(&w->timer, conf->timeout_ms ? conf->timeout_ms : TOR_INSTANCE_TIMEOUT_MS);
    return w;
}

int tor_instance_get(struct nk_app *app, const struct tor_instance_conf *given, tor_instance_fn *fn,
                     void *owner, struct tor_instance_wait **out, struct nk_diag *diag)
{
    struct tor_launch_conf launch;
    const struct tor_instance_conf conf = complete(app, given, &launch);
    struct tor_instance *i = NULL;
    int rc = check(app, conf.kind, given, diag);
    rc = rc < 0 ? rc : select_(app, conf.kind, &conf, &i, diag);
    if (rc < 0) {
        return rc;
    }
    struct tor_instance_wait *w = add_wait(i, &conf, fn, owner);
    rc = w ? begin(i, &conf, diag) : nk_fail_sys(diag, -ENOMEM, "tor");
    if (rc < 0) {
        if (w) {
            remove_wait(w);
            free(w);
        }
        i->failed = true;
        unneeded(i);
        return rc;
    }
    *out = w;
    return 0;
}

struct tor_control *tor_instance_control(const struct tor_instance *i)
{
    return i->launch ? tor_launch_control(i->launch) : i->own;
}

const char *tor_instance_socks(const struct tor_instance *i)
{
    return i->socks;
}

enum tor_kind tor_instance_kind(const struct tor_instance *i)
{
    return i->kind;
}
