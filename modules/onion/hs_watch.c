/* SPDX-License-Identifier: MIT */
/*
 * Changes are noticed by inotify, waited out until they pause, and then the directories are read
 * here, in the loop: they are small, and nothing else runs in this process. What counts is the set
 * of keys, so that a file that is touched, renamed or written in another way does nothing.
 */
#include "onion/hs_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "core/app.h"
#include "core/watch.h"
#include "onion/live.h"

enum {
    LINE_MAX = 1 << 20,    /* bytes of one event in JSON */
    CONFIRM_MS = 60 * 1000 /* for the upload of what changed */
};

struct nk_service {
    struct nk_service_args args;
    const struct hs_watch_conf *conf;
    struct hs_targets targets;
    struct hs_sight *seen; /* what tor has been told, one for each target */
    struct hs_changes changes;
    struct nk_watch *tor; /* the tor that was told last: readable when it ends; or NULL */
    pid_t pid;
    uint64_t applied, refused;
    struct nk_defer ready, end;
    /* over a control port */
    bool live, away, missed; /* missed: something changed while it was away */
    bool given;              /* it has keys that it forgets when it ends */
    struct tor_instance_wait *wait;
    struct tor_instance *instance; /* NULL until it is found */
    struct tor_control_watch watch;
    struct onion_live told;          /* open while tor is told, and then until it has uploaded */
    struct hs_sight *telling;        /* what that is about */
    struct onion_client_keys *known; /* of each directory */
};

static struct nk_log *log_of(const struct nk_service *s)
{
    return nk_app_log(s->args.app);
}

/* --- telling ---------------------------------------------------------------------------------- */

struct event {
    const char *name;
    const struct hs_sight *sights;      /* one for each directory, or NULL */
    const struct hs_findings *findings; /* or NULL */
    const char *message;                /* or NULL */
    const struct onion_live *told;      /* what tor made of it, or NULL */
    pid_t pid;                          /* or 0 */
};

static void put_event(const struct nk_service *s, struct nk_json *j, const struct event *e)
{
    nk_json_object(j);
    nk_json_kv_str(j, "event", e->name);
    if (e->pid) {
        nk_json_kv_i64(j, "pid", e->pid);
    }
    if (e->message) {
        nk_json_kv_str(j, "message", e->message);
    }
    if (e->sights) {
        nk_json_key(j, "directories");
        nk_json_array(j);
        for (size_t i = 0; i < s->targets.n; i++) {
            hs_sight_json(j, &s->targets.v[i], &e->sights[i]);
        }
        nk_json_close(j);
    }
    if (e->told) {
        onion_live_json(e->told, j);
    }
    if (e->findings) {
        nk_json_key(j, "findings");
        hs_findings_json(e->findings, j);
    }
    nk_json_close(j);
}

static void tell(const struct nk_service *s, const struct event *e)
{
    struct nk_diag diag;
    struct nk_buf out;
    struct nk_json j;
    if (!s->conf->json) {
        return;
    }
    nk_buf_init(&out, LINE_MAX);
    nk_json_init(&j, &out, false);
    put_event(s, &j, e);
    int rc = nk_json_end(&j);
    rc = rc < 0 ? nk_fail_sys(&diag, rc, "an event") : nk_buf_puts(&out, "\n");
    if (rc == 0) {
        nk_cli_print(&out);
        rc = nk_cli_flush(&diag);
    }
    if (rc < 0) {
        nk_log_diag(log_of(s), "hs", NK_LOG_WARN, &diag);
    }
    nk_buf_clear(&out);
}

/* --- the tor that was told -------------------------------------------------------------------- */

static void forget_tor(struct nk_service *s)
{
    nk_watch_close(s->tor);
    s->tor = NULL;
}

static void on_tor_end(void *owner, struct nk_watch *w, unsigned ready)
{
    struct nk_service *s = owner;
    (void)w;
    (void)ready;
    nk_warn(log_of(s), "hs", "tor %d has ended", (int)s->pid);
    tell(s, &(struct event){.name = "ended", .pid = s->pid});
    forget_tor(s);
}

/* Takes the descriptor out of tor. */
static void remember_tor(struct nk_service *s, struct hs_tor *tor)
{
    forget_tor(s);
    s->pid = tor->pid;
    if (tor->pidfd >= 0 && nk_watch_open(s->args.app, tor->pidfd, 0, on_tor_end, s, &s->tor) == 0) {
        tor->pidfd = -1;
        (void)nk_watch_set(s->tor, NK_READABLE); /* without it only its end goes unnoticed */
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

/* At the start nothing is changed that tor would not be told of. */
static enum hs_empty empty_of(const struct nk_service *s, size_t i, bool first)
{
    return first ? HS_EMPTY_REFUSE : hs_apply_empty(&s->conf->tor, s->seen[i].restricted);
}

/* Watch a directory and what is in it; again, as both may have been replaced. */
static void add_watches(const struct nk_service *s, const struct hs_target *t)
{
    char path[NK_PATH_MAX];
    int rc = hs_changes_add(&s->changes, t->path);
    if (rc == 0 && t->service && nk_path_join(path, sizeof(path), t->path, HS_AUTH_DIR) == 0) {
        rc = hs_changes_add(&s->changes, path);
        rc = rc == -ENOENT ? 0 : rc;
    }
    if (rc < 0) {
        nk_warn(log_of(s), "hs", "cannot watch %s: %s", t->path, nk_strerror(rc));
    }
}

static int look(struct nk_service *s, bool first, struct hs_sight *sights,
                struct hs_findings *findings, struct nk_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->targets.n; i++) {
        struct hs_target *t = &s->targets.v[i];
        add_watches(s, t);
        rc = hs_target_open(t, false, diag);
        rc = rc < 0 ? rc : hs_preflight(t, empty_of(s, i, first), &sights[i], findings, diag);
        hs_target_close(t);
    }
    return rc;
}

static bool is_new(const struct nk_service *s, const struct hs_sight *sights)
{
    for (size_t i = 0; i < s->targets.n; i++) {
        if (memcmp(sights[i].digest, s->seen[i].digest, sizeof(sights[i].digest)) != 0) {
            return true;
        }
    }
    return false;
}

/* --- applying --------------------------------------------------------------------------------- */

static void fail(struct nk_service *s, const struct nk_diag *diag)
{
    nk_log_diag(log_of(s), "hs", NK_LOG_ERROR, diag);
    tell(s, &(struct event){.name = "error", .message = diag->text});
}

/* tor has been told, or reads everything when it starts. */
static void take(struct nk_service *s, const struct hs_sight *sights)
{
    memcpy(s->seen, sights, s->targets.n * sizeof(*sights));
}

static void apply_by_signal(struct nk_service *s, const struct hs_sight *sights)
{
    const struct hs_tor_conf conf = {
        .pid = s->conf->tor.pid, .pid_file = s->conf->tor.pid_file, .uid = s->targets.uid};
    struct hs_tor tor;
    struct nk_diag diag;
    int rc = hs_tor_find(&tor, &conf, &diag);
    rc = rc < 0 ? rc : hs_tor_reload(&tor, &diag);
    if (rc == 0) {
        s->applied++;
        take(s, sights);
        remember_tor(s, &tor);
        nk_audit(log_of(s), "hs", NK_LOG_INFO, "reload", NULL, "tor %d was told to reload",
                 (int)tor.pid);
        tell(s, &(struct event){.name = "applied", .pid = tor.pid, .sights = sights});
    } else if (rc == -ESRCH || rc == -ENOENT) {
        take(s, sights);
        nk_info(log_of(s), "hs", "%s; it reads the directories when it starts", diag.text);
        tell(s, &(struct event){.name = "absent", .message = diag.text});
    } else if (rc == -EAGAIN) { /* it may have read them before the change */
        hs_changes_soon(&s->changes, s->conf->debounce_ms);
    } else {
        fail(s, &diag);
    }
    hs_tor_close(&tor);
}

/* --- over the control port -------------------------------------------------------------------- */

static struct tor_control *control_of(const struct nk_service *s)
{
    return tor_instance_control(s->instance);
}

static int on_applied(void *owner, struct nk_diag *diag)
{
    struct nk_service *s = owner;
    (void)diag;
    s->applied++;
    take(s, s->telling);
    for (size_t i = 0; i < s->targets.n; i++) {
        s->given = s->given || s->told.v[i].way == ONION_LIVE_KEYS;
    }
    tell(s, &(struct event){.name = "applied", .sights = s->telling, .told = &s->told});
    return 0;
}

static void on_done(void *owner, int err, const struct nk_diag *why)
{
    struct nk_service *s = owner;
    if (err == 0) {
        tell(s, &(struct event){.name = "confirmed", .told = &s->told});
    } else if (s->told.applied) {
        nk_log_diag(log_of(s), "hs", NK_LOG_WARN, why);
        tell(s, &(struct event){.name = "unconfirmed", .message = why->text});
    } else {
        fail(s, why);
    }
    onion_live_close(&s->told);
}

static void apply_live(struct nk_service *s, const struct hs_sight *sights)
{
    struct nk_diag diag;
    if (!s->instance || tor_control_state(control_of(s)) != TOR_CONTROL_READY) {
        s->missed = true;
        nk_info(log_of(s), "hs", "tor is not there; it is told when it comes back");
        tell(s, &(struct event){.name = "absent", .message = "no connection to tor"});
        return;
    }
    if (s->told.v && !s->told.applied) { /* one at a time */
        hs_changes_soon(&s->changes, s->conf->debounce_ms);
        return;
    }
    onion_live_close(&s->told); /* of what is superseded the upload does not matter any more */
    memcpy(s->telling, sights, s->targets.n * sizeof(*sights));
    const struct onion_live_conf conf = {.app = s->args.app,
                                         .control = control_of(s),
                                         .targets = &s->targets,
                                         .sights = s->telling,
                                         .seen = s->seen,
                                         .ports = &s->conf->ports,
                                         .known = s->known,
                                         .confirm_ms = CONFIRM_MS,
                                         .on_applied = on_applied,
                                         .on_done = on_done,
                                         .owner = s};
    if (onion_live_open(&s->told, &conf, &diag) < 0) {
        fail(s, &diag);
        onion_live_close(&s->told);
    }
}

/* The next tor is told of keys again that this one was given. */
static void forget_given(struct nk_service *s)
{
    for (size_t i = 0; s->given && i < s->targets.n; i++) {
        if (!s->targets.v[i].service) {
            memset(s->seen[i].digest, 0, sizeof(s->seen[i].digest));
        }
    }
    s->missed = s->missed || s->given || (s->told.v && !s->told.applied);
    s->given = false;
    onion_live_close(&s->told);
}

static void on_control(void *owner, enum tor_control_state state, int err,
                       const struct nk_diag *why)
{
    struct nk_service *s = owner;
    if (state == TOR_CONTROL_READY) {
        s->away = false;
        if (s->missed) {
            s->missed = false;
            hs_changes_soon(&s->changes, 0);
        }
    } else if (state == TOR_CONTROL_LOST && !s->away) { /* not each attempt that fails */
        s->away = true;
        forget_given(s);
        nk_log_diag(log_of(s), "hs", NK_LOG_WARN, why);
        tell(s, &(struct event){.name = "ended", .message = why->text});
    } else if (state == TOR_CONTROL_CLOSED) {
        s->args.on_end(s->args.owner, err, why);
    }
}

static void on_instance(void *owner, int err, struct tor_instance *instance,
                        const struct nk_diag *why)
{
    struct nk_service *s = owner;
    s->wait = NULL;
    s->instance = instance;
    if (err < 0) {
        s->args.on_end(s->args.owner, err, why);
        return;
    }
    s->watch = (struct tor_control_watch){.fn = on_control, .owner = s};
    tor_control_watch(control_of(s), &s->watch);
    nk_app_defer(s->args.app, &s->ready);
}

static int find_instance(struct nk_service *s, struct nk_diag *diag)
{
    const struct tor_instance_conf which = {.kind = (enum tor_kind)s->conf->control.kind,
                                            .needs = TOR_NEEDS_CONTROL,
                                            .access = s->conf->control.access};
    s->telling = calloc(s->targets.n, sizeof(*s->telling));
    s->known = calloc(s->targets.n, sizeof(*s->known));
    int rc = s->telling && s->known ? 0 : nk_fail(diag, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < s->targets.n; i++) {
        if (!s->targets.v[i].service) {
            rc = onion_client_keys_dir(&s->known[i], s->targets.v[i].path, diag);
        }
    }
    return rc == 0 ? tor_instance_get(s->args.app, &which, on_instance, s, &s->wait, diag) : rc;
}

static void leave_instance(struct nk_service *s)
{
    tor_instance_cancel(s->wait);
    onion_live_close(&s->told);
    if (s->instance) {
        tor_control_unwatch(&s->watch);
        tor_instance_release(s->instance);
    }
    for (size_t i = 0; s->known && i < s->targets.n; i++) {
        onion_client_keys_clear(&s->known[i]);
    }
    free(s->known);
    free(s->telling);
}

/* --- looking again ---------------------------------------------------------------------------- */

static void apply(struct nk_service *s, const struct hs_sight *sights)
{
    if (s->live) {
        apply_live(s, sights);
    } else {
        apply_by_signal(s, sights);
    }
}

static void check(void *owner)
{
    struct nk_service *s = owner;
    struct hs_sight *sights = calloc(s->targets.n, sizeof(*sights));
    struct hs_findings findings = {0};
    struct nk_diag diag = {0};
    int rc = sights ? look(s, false, sights, &findings, &diag)
                    : nk_fail(&diag, -ENOMEM, "out of memory");
    if (rc == NK_ELOCKED) { /* somebody changes it right now */
        hs_changes_soon(&s->changes, s->conf->debounce_ms);
    } else if (rc < 0) {
        fail(s, &diag);
    } else if (is_new(s, sights)) {
        hs_log_findings(log_of(s), &findings);
        if (findings.count[HS_ERROR] == 0) {
            apply(s, sights);
        } else {
            s->refused++;
            nk_error(log_of(s), "hs", "tor is not told to read this");
            tell(s, &(struct event){.name = "refused", .findings = &findings});
        }
    }
    hs_findings_clear(&findings);
    free(sights);
}

/* --- its life --------------------------------------------------------------------------------- */

static void on_ready(void *owner)
{
    struct nk_service *s = owner;
    tell(s, &(struct event){.name = "ready", .sights = s->seen});
    s->args.on_ready(s->args.owner);
}

static void on_end(void *owner)
{
    struct nk_service *s = owner;
    s->args.on_end(s->args.owner, 0, NULL);
}

static void watch_close(struct nk_service *s)
{
    nk_app_defer_cancel(s->args.app, &s->ready);
    nk_app_defer_cancel(s->args.app, &s->end);
    leave_instance(s);
    hs_changes_close(&s->changes);
    nk_watch_close(s->tor);
    hs_targets_clear(&s->targets);
    free(s->seen);
    free(s);
}

/* What is there at the start is what tor has read: nothing is told to it. */
static int first_look(struct nk_service *s, struct nk_diag *diag)
{
    struct hs_findings findings = {0};
    int rc = look(s, true, s->seen, &findings, diag);
    hs_log_findings(log_of(s), &findings);
    hs_findings_clear(&findings);
    return rc;
}

int onion_hs_live(const struct hs_apply_conf *process, const struct tor_cli_conf *control,
                  struct nk_diag *diag)
{
    bool live = control->access.control || control->kind != TOR_SYSTEM;
    if (live && (process->pid || process->pid_file)) {
        return nk_fail(diag, NK_EUSAGE, "--control and --pid are two ways to the same tor");
    }
    if (live && !control->access.control && control->kind == TOR_PRIVATE) {
        return nk_fail(diag, NK_EUSAGE,
                       "--tor private: a tor of this command alone reads none of them");
    }
    return live;
}

/* Which tor it is can be told. 1: over a control port. */
static int which_tor(const struct hs_watch_conf *c, struct nk_diag *diag)
{
    int live = onion_hs_live(&c->tor, &c->control, diag);
    if (live == 0 && (c->tor.pid != 0) == (c->tor.pid_file != NULL)) {
        return nk_fail(diag, NK_EUSAGE, "give tor's --pid, its --pid-file or --control%s",
                       c->tor.pid ? ", only one" : "");
    }
    return live;
}

static int watch_start(const struct nk_service_args *args, struct nk_service **out,
                       struct nk_diag *diag)
{
    const struct hs_watch_conf *c = args->conf;
    int live = which_tor(c, diag);
    if (live < 0) {
        return live;
    }
    struct nk_service *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    s->args = *args;
    s->conf = c;
    s->live = live == 1;
    s->ready = (struct nk_defer){.fn = on_ready, .owner = s};
    s->end = (struct nk_defer){.fn = on_end, .owner = s};
    int rc = hs_targets_init(&s->targets, c->dirs, c->ndirs, diag);
    if (rc == 0 && !(s->seen = calloc(c->ndirs, sizeof(*s->seen)))) {
        rc = nk_fail(diag, -ENOMEM, "out of memory");
    }
    rc = rc < 0 ? rc : hs_changes_open(&s->changes, args->app, c->debounce_ms, check, s, diag);
    rc = rc < 0 ? rc : first_look(s, diag);
    rc = rc < 0 || !s->live ? rc : find_instance(s, diag);
    if (rc < 0) {
        watch_close(s);
        return rc;
    }
    if (c->tor.restrict_it) { /* there may be a lock to put */
        hs_changes_soon(&s->changes, c->debounce_ms);
    }
    if (!s->live) {
        nk_app_defer(args->app, &s->ready);
    }
    *out = s;
    return 0;
}

static void watch_drain(struct nk_service *s)
{
    hs_changes_stop(&s->changes);
    nk_app_defer(s->args.app, &s->end);
}

static int watch_reload(struct nk_service *s, const void *conf, const struct nk_conf *ini,
                        struct nk_diag *diag)
{
    (void)ini;
    (void)diag;
    s->conf = conf;
    s->changes.pause_ms = s->conf->debounce_ms;
    hs_changes_soon(&s->changes, 0);
    return 0;
}

static void watch_status(const struct nk_service *s, struct nk_json *out)
{
    nk_json_kv_u64(out, "directories", s->targets.n);
    nk_json_kv_u64(out, "applied", s->applied);
    nk_json_kv_u64(out, "refused", s->refused);
}

const struct nk_service_type hs_watch_service = {
    .section = "hs-watch",
    .start = watch_start,
    .drain = watch_drain,
    .reload = watch_reload,
    .status = watch_status,
    .close = watch_close,
};
