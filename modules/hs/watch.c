/* SPDX-License-Identifier: MIT */
/*
 * Changes are noticed by inotify, waited out until they pause, and then the directories are read
 * here, in the loop: they are small, and nothing else runs in this process. What counts is the set
 * of keys, so that a file that is touched, renamed or written in another way does nothing.
 */
#include "hs/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "core/app.h"
#include "core/watch.h"
#include "hs/auth_cli.h"
#include "hs/changes.h"

enum {
    LINE_MAX = 1 << 20 /* bytes of one event in JSON */
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

static void apply(struct nk_service *s, const struct hs_sight *sights)
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

static int watch_start(const struct nk_service_args *args, struct nk_service **out,
                       struct nk_diag *diag)
{
    const struct hs_watch_conf *c = args->conf;
    if ((c->tor.pid != 0) == (c->tor.pid_file != NULL)) {
        return nk_fail(diag, NK_EUSAGE, "give tor's --pid or its --pid-file%s",
                       c->tor.pid ? ", not both" : "");
    }
    struct nk_service *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    s->args = *args;
    s->conf = c;
    s->ready = (struct nk_defer){.fn = on_ready, .owner = s};
    s->end = (struct nk_defer){.fn = on_end, .owner = s};
    int rc = hs_targets_init(&s->targets, c->dirs, c->ndirs, diag);
    if (rc == 0 && !(s->seen = calloc(c->ndirs, sizeof(*s->seen)))) {
        rc = nk_fail(diag, -ENOMEM, "out of memory");
    }
    rc = rc < 0 ? rc : hs_changes_open(&s->changes, args->app, c->debounce_ms, check, s, diag);
    rc = rc < 0 ? rc : first_look(s, diag);
    if (rc < 0) {
        watch_close(s);
        return rc;
    }
    if (c->tor.restrict_it) { /* there may be a lock to put */
        hs_changes_soon(&s->changes, c->debounce_ms);
    }
    nk_app_defer(args->app, &s->ready);
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
