/* SPDX-License-Identifier: MIT */
#include "tor/attach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/log.h"
#include "base/secret.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/timer.h"
#include "tor/act.h"
#include "tor/build.h"
#include "tor/event.h"

#define OPTION "__LeaveStreamsUnattached"
#define USER "netkit-circuit-"

enum {
    ID_SIZE = TOR_ID_MAX + 1,
    REASON_SIZE = 64,
    RANDOM_BYTES = 16,
    LAST_MS = 2000, /* at the end of the app, for tor's last answers */
    LAST_TURN_MS = 50,
    BUSY_MS = 100,  /* another one attaches: between two looks */
    BUSY_LOOKS = 20 /* so often; a stream of its own is made in less, as a rule */
};

enum state { DOWN, ASKING, SETTING, ON, RESETTING, SWEEPING };

struct attacher;

/* A command of which only the end matters: those for streams that are not ours. */
struct errand {
    struct attacher *t;
    struct tor_request request;
    char stream[ID_SIZE]; /* "" for other things */
    struct errand *next, *prev;
};

struct attacher {
    struct attachers *all;
    struct attacher *next, *prev;
    struct nk_app *app;
    struct tor_control_watch watch; /* its control is NULL once that is closed */
    struct tor_subscription streams;
    struct tor_request option, sweep;
    struct nk_timer busy; /* the option was 1: until it is asked for again */
    unsigned looks;
    enum state state;
    bool mine;  /* the option is 1 because we have set it */
    bool again; /* after a loss: streams may wait that came meanwhile */
    bool failing;
    struct tor_attach *first;
    struct errand *errands;
};

struct attachers {
    struct nk_app *app;
    struct attacher *first;
    struct tor_attach *leaving; /* ended, while their circuits are still being closed */
};

struct tor_attach {
    struct tor_attach_conf conf;
    char user[TOR_ATTACH_USER], circuit[ID_SIZE];
    struct tor_build *build;
    struct attacher *t;    /* NULL: not (any more) among its streams */
    struct attachers *all; /* while it is among those that leave */
    struct tor_attach *next, *prev;
    struct tor_request request;
    struct nk_defer tell; /* ready */
    bool ours;            /* the circuit was built for it, over a path that was asked for */
    bool built;
    bool told, sent; /* ready was told; ATTACHSTREAM was sent */
};

static const char slot_key = 'a'; /* its address names our slot */

static void step(struct attacher *t);

static bool is_ready(const struct attacher *t)
{
    return t->watch.control && tor_control_state(t->watch.control) == TOR_CONTROL_READY;
}

/* --- names ------------------------------------------------------------------------------------ */

static bool is_id(const char *text)
{
    return tor_id_check(text, false, "", NULL) == 0;
}

int tor_attach_check(const char *circuit, struct nk_diag *diag)
{
    bool fine = is_id(circuit) || strcmp(circuit, "auto") == 0;
    return fine ? 0 : tor_path_check(circuit, diag);
}

void tor_attach_user(char out[TOR_ATTACH_USER])
{
    uint8_t bytes[RANDOM_BYTES];
    char hex[2 * RANDOM_BYTES + 1];
    nk_random(bytes, sizeof bytes);
    nk_hex_encode(hex, bytes, sizeof bytes);
    (void)snprintf(out, TOR_ATTACH_USER, USER "%s", hex);
}

/* --- the attacher's life ---------------------------------------------------------------------- */

static void end_errand(struct errand *e)
{
    struct attacher *t = e->t;
    tor_request_cancel(&e->request);
    if (t->errands == e)
        t->errands = e->next;
    else
        e->prev->next = e->next;
    if (e->next)
        e->next->prev = e->prev;
    free(e);
}

static void end_errands(struct attacher *t)
{
    struct errand *next;
    for (struct errand *e = t->errands; e; e = next) {
        next = e->next;
        tor_request_cancel(&e->request);
        free(e);
    }
    t->errands = NULL;
}

static void free_attacher(struct attacher *t)
{
    end_errands(t);
    nk_timer_stop(&t->busy);
    tor_request_cancel(&t->option);
    tor_request_cancel(&t->sweep);
    tor_control_unsubscribe(&t->streams);
    tor_control_unwatch(&t->watch);
    free(t);
}

/* No stream is left in it. */
static void end_attacher(struct attachers *all, struct attacher *t)
{
    if (all->first == t)
        all->first = t->next;
    else
        t->prev->next = t->next;
    if (t->next)
        t->next->prev = t->prev;
    free_attacher(t);
}

static void unlink_stream(struct tor_attach *a)
{
    struct attacher *t = a->t;
    if (!t)
        return;
    if (t->first == a)
        t->first = a->next;
    else
        a->prev->next = a->next;
    if (a->next)
        a->next->prev = a->prev;
    a->t = NULL;
    tor_request_cancel(&a->request);
    nk_app_defer_cancel(t->app, &a->tell);
}

static void on_errand(void *owner, int err, const struct tor_reply *reply,
                      const struct nk_diag *why)
{
    struct errand *e = owner;
    struct attacher *t = e->t;
    (void)reply; /* refused: it has ended, or somebody else was quicker */
    (void)why;
    end_errand(e);
    if (err == 0 && t->state == SWEEPING && !t->errands && !t->sweep.conn)
        end_attacher(t->all, t);
}

static void send_errand(struct attacher *t, const char *verb, const char *id, const char *behind)
{
    bool stream = behind[0] != '\0';
    for (const struct errand *e = t->errands; stream && e; e = e->next)
        if (strcmp(e->stream, id) == 0)
            return; /* already handed back */
    struct errand *e = calloc(1, sizeof *e);
    int rc = -ENOMEM;
    if (e) {
        e->t = t;
        e->request = (struct tor_request){.fn = on_errand, .owner = e};
        if (stream)
            (void)snprintf(e->stream, sizeof e->stream, "%s", id);
        e->next = t->errands;
        if (e->next)
            e->next->prev = e;
        t->errands = e;
        rc = tor_control_sendf(t->watch.control, &e->request, NULL, "%s %s%s", verb, id, behind);
        if (rc < 0)
            end_errand(e);
    }
    if (rc < 0)
        nk_warn(nk_app_log(t->app), "tor", "%s %s: %s", verb, id, nk_strerror(rc));
}

/* It needs the attacher no more; the circuit goes when it was made for nothing. */
static void leave(struct tor_attach *a, bool used)
{
    struct attacher *t = a->t;
    unlink_stream(a);
    if (!t)
        return;
    if (a->built && !used && is_ready(t))
        send_errand(t, "CLOSECIRCUIT", a->circuit, "");
    if (!t->first)
        step(t);
}

static void fail(struct tor_attach *a, int err, const struct nk_diag *why)
{
    leave(a, false);
    a->conf.failed(a->conf.owner, err, why);
}

/* All of them fail; whoever is told may end itself or others. */
static void fail_all(struct attacher *t, int err, const struct nk_diag *given)
{
    struct nk_diag why = *given;
    t->failing = true;
    while (t->first) {
        struct tor_attach *a = t->first;
        unlink_stream(a);
        a->conf.failed(a->conf.owner, err, &why);
    }
    end_attacher(t->all, t);
}

/* --- the option ------------------------------------------------------------------------------- */

static void on_tell(void *owner)
{
    struct tor_attach *a = owner;
    a->told = true; /* and not once more after a loss */
    a->conf.ready(a->conf.owner);
}

static void on_asked(struct attacher *t, const struct tor_reply *reply)
{
    struct tor_word value;
    struct nk_diag why;
    bool one =
        tor_reply_find(reply, OPTION, &value) && value.value_len == 1 && value.value[0] == '1';
    if (!one || t->mine) {
        t->again = t->mine;
        t->mine = true; /* whether or not the answer will get here */
        t->state = SETTING;
        t->looks = 0;
        step(t);
        return;
    }
    if (t->first && t->looks++ < BUSY_LOOKS) {
        nk_timer_start(&t->busy, BUSY_MS);
        return;
    }
    nk_fail(&why, -EBUSY, "another controller attaches the streams of this tor (" OPTION " is 1)");
    nk_hint(&why, "when there is none any more: netkit tor conf reset " OPTION);
    fail_all(t, why.code, &why);
}

static void sweep(struct attacher *t);

static void on_set(struct attacher *t)
{
    t->state = ON;
    for (struct tor_attach *a = t->first; a; a = a->next)
        if (!a->told)
            nk_app_defer(t->app, &a->tell);
    if (t->again)
        sweep(t);
    if (!t->first)
        step(t);
}

static void on_busy(void *owner)
{
    step(owner);
}

static void on_option(void *owner, int err, const struct tor_reply *reply,
                      const struct nk_diag *why)
{
    struct attacher *t = owner;
    struct nk_diag diag;
    if (err < 0) {
        t->state = DOWN; /* the watch is told next */
        return;
    }
    err = tor_reply_error(reply, OPTION, &diag);
    (void)why;
    if (err < 0 && t->state != RESETTING) {
        fail_all(t, err, &diag);
    } else if (t->state == ASKING) {
        on_asked(t, reply);
    } else if (t->state == SETTING) {
        on_set(t);
    } else {
        if (err < 0)
            nk_warn(nk_app_log(t->app), "tor", "%s", diag.text);
        t->mine = false;
        t->state = t->first ? ASKING : SWEEPING;
        if (t->first)
            step(t);
        else
            sweep(t);
    }
}

static void handle(struct attacher *t, const struct tor_event *e);

static void on_sweep(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct attacher *t = owner;
    struct tor_word all;
    (void)why;
    if (err < 0)
        return;
    if (tor_reply_find(reply, "stream-status", &all)) {
        struct tor_split lines = {.text = all.value, .len = all.value_len};
        struct tor_event e;
        while (tor_split_next(&lines, '\n'))
            if (lines.word_len > 0 &&
                tor_event_parse_line(&e, "stream-status", lines.word, lines.word_len) == 0)
                handle(t, &e);
    }
    if (t->state == SWEEPING && !t->errands)
        end_attacher(t->all, t);
}

/* Streams that wait, of which the event may be lost or still on its way. */
static void sweep(struct attacher *t)
{
    tor_request_cancel(&t->sweep);
    t->sweep = (struct tor_request){.fn = on_sweep, .owner = t};
    if (tor_control_send(t->watch.control, &t->sweep, "GETINFO stream-status", NULL, 0, NULL) < 0)
        nk_warn(nk_app_log(t->app), "tor", "streams that wait cannot be asked for");
}

/* Nobody is left, or the state is new: say to tor what goes with it. */
static void step(struct attacher *t)
{
    static const char *const lines[] = {NULL, "GETCONF " OPTION,   "SETCONF " OPTION "=1",
                                        NULL, "RESETCONF " OPTION, NULL};
    if (t->failing)
        return;
    if (t->state == ON && !t->first)
        t->state = RESETTING;
    bool idle = t->state == DOWN || (t->state == ASKING && !t->option.conn);
    if (!t->first && (!t->watch.control || (idle && !t->mine))) {
        end_attacher(t->all, t);
    } else if (lines[t->state] && !t->option.conn && is_ready(t)) {
        t->option = (struct tor_request){.fn = on_option, .owner = t};
        int rc = tor_control_send(t->watch.control, &t->option, lines[t->state], NULL, 0, NULL);
        if (rc < 0)
            nk_warn(nk_app_log(t->app), "tor", "%s: %s", lines[t->state], nk_strerror(rc));
    }
}

static void on_state(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    struct attacher *t = owner;
    if (state == TOR_CONTROL_CLOSED) {
        fail_all(t, err, why);
    } else if (state == TOR_CONTROL_LOST) {
        t->state = DOWN;
        nk_timer_stop(&t->busy);
        end_errands(t);
        for (struct tor_attach *a = t->first; a; a = a->next)
            a->sent = false;
        step(t);
    } else if (state == TOR_CONTROL_READY && t->state == DOWN) {
        t->state = t->first ? ASKING : RESETTING;
        step(t);
    }
}

/* --- streams ---------------------------------------------------------------------------------- */

static void on_attached(void *owner, int err, const struct tor_reply *reply,
                        const struct nk_diag *why)
{
    struct tor_attach *a = owner;
    struct nk_diag diag;
    char what[ID_SIZE + 16];
    (void)why;
    if (err < 0)
        return; /* the watch is told next */
    (void)snprintf(what, sizeof what, "circuit %s", a->circuit);
    if (tor_reply_error(reply, what, &diag) < 0) {
        tor_act_explain(reply, &diag);
        diag.code = -ECONNABORTED;
        fail(a, diag.code, &diag);
    }
}

static void attach(struct tor_attach *a, const char *id)
{
    struct nk_diag why;
    if (a->sent)
        return;
    a->sent = true;
    a->request = (struct tor_request){.fn = on_attached, .owner = a};
    int rc = tor_control_sendf(a->t->watch.control, &a->request, &why, "ATTACHSTREAM %s %s", id,
                               a->circuit);
    if (rc < 0)
        fail(a, rc, &why);
}

static void stream_failed(struct tor_attach *a, const struct tor_event *e)
{
    char reason[REASON_SIZE], remote[REASON_SIZE];
    struct nk_diag why;
    (void)tor_value_copy(reason, sizeof reason, tor_event_get(e, "REASON"));
    bool far = tor_value_copy(remote, sizeof remote, tor_event_get(e, "REMOTE_REASON"));
    nk_fail(&why, -ECONNABORTED, "the stream on circuit %s failed: %s%s%s", a->circuit,
            reason[0] ? reason : "no reason given", far ? ", the exit's reason: " : "", remote);
    fail(a, why.code, &why);
}

/* One of ours. Whose circuit is another one was attached by somebody else: that is no good. */
static void handle_ours(struct tor_attach *a, const struct tor_event *e, const char *id,
                        const struct tor_value *status)
{
    struct nk_diag why;
    bool stands = tor_value_is(status, "SUCCEEDED");
    if (stands || tor_value_is(status, "SENTCONNECT")) {
        if (!tor_value_is(tor_event_get(e, "circuit"), a->circuit)) {
            nk_fail(&why, -ECONNABORTED, "another controller has attached the stream elsewhere");
            fail(a, why.code, &why);
        } else if (stands) {
            leave(a, true);
        }
    } else if (tor_value_is(status, "DETACHED") &&
               tor_value_is(tor_event_get(e, "REASON"), "TIMEOUT")) {
        a->sent = false; /* once more, as long as the caller has time */
    } else if (tor_value_is(status, "DETACHED") || tor_value_is(status, "FAILED") ||
               tor_value_is(status, "CLOSED")) {
        stream_failed(a, e);
    } else if (tor_value_is(status, "CONTROLLER_WAIT") || tor_event_is(e, "stream-status")) {
        attach(a, id);
    }
}

static void handle(struct attacher *t, const struct tor_event *e)
{
    char id[ID_SIZE], user[TOR_ATTACH_USER];
    const struct tor_value *status = tor_event_get(e, "status");
    if (!tor_value_copy(id, sizeof id, tor_event_get(e, "id")) || !is_id(id))
        return;
    (void)tor_value_copy(user, sizeof user, tor_event_get(e, "SOCKS_USERNAME"));
    for (struct tor_attach *a = t->first; a; a = a->next) {
        if (strcmp(a->user, user) == 0) {
            handle_ours(a, e, id, status);
            return;
        }
    }
    /* GETINFO shows those that wait for a controller as new; on others it has no effect */
    bool waits = tor_value_is(status, "CONTROLLER_WAIT") ||
                 (tor_event_is(e, "stream-status") &&
                  (tor_value_is(status, "NEW") || tor_value_is(status, "NEWRESOLVE")));
    /* another netkit's are its own to attach, if both have found the option unset */
    if (waits && strncmp(user, USER, strlen(USER)) != 0)
        send_errand(t, "ATTACHSTREAM", id, " 0");
}

static void on_stream(void *owner, const struct tor_reply *event)
{
    struct attacher *t = owner;
    struct tor_event e;
    if ((t->state == ON || t->state == SETTING || t->state == RESETTING) &&
        tor_event_parse(&e, event) == 0)
        handle(t, &e);
}

/* --- one attacher for each control ------------------------------------------------------------ */

/* Its circuit is closed, or cannot be any more. */
static void end_leaving(void *owner)
{
    struct tor_attach *a = owner;
    if (a->all->leaving == a)
        a->all->leaving = a->next;
    else
        a->prev->next = a->next;
    if (a->next)
        a->next->prev = a->prev;
    free(a);
}

/* What tor has not been told yet is told now. */
static void release_all(void *value)
{
    struct attachers *all = value;
    uint64_t until = nk_now_ms(all->app) + LAST_MS;
    bool busy = true;
    while (busy && nk_now_ms(all->app) < until) {
        busy = all->leaving;
        for (const struct attacher *t = all->first; t; t = t->next)
            busy = busy || (t->watch.control && t->state != DOWN);
        if (busy)
            (void)nk_app_turn(all->app, LAST_TURN_MS);
    }
    struct attacher *next;
    for (struct attacher *t = all->first; t; t = next) {
        next = t->next;
        while (t->first)
            unlink_stream(t->first);
        free_attacher(t);
    }
    struct tor_attach *left;
    for (struct tor_attach *a = all->leaving; a; a = left) {
        left = a->next;
        tor_build_cancel(a->build);
        free(a);
    }
    free(all);
}

static struct attachers *all_of(struct nk_app *app)
{
    struct attachers *all = nk_app_slot(app, &slot_key);
    if (all)
        return all;
    all = calloc(1, sizeof *all);
    if (all && nk_app_slot_set(app, &slot_key, all, release_all) < 0) {
        free(all);
        return NULL;
    }
    if (all)
        all->app = app;
    return all;
}

/* It stays until the circuit that is being built for it is closed. false: there is none. */
static bool begin_leaving(struct tor_attach *a)
{
    struct attachers *all = all_of(a->conf.app);
    if (!all)
        tor_build_cancel(a->build);
    if (!all || !tor_build_close(a->build, end_leaving, a))
        return false;
    a->all = all;
    a->prev = NULL;
    a->next = all->leaving;
    if (a->next)
        a->next->prev = a;
    all->leaving = a;
    return true;
}

static struct attacher *attacher_of(struct nk_app *app, struct tor_control *c)
{
    struct attachers *all = all_of(app);
    struct attacher *t = all ? all->first : NULL, *next;
    for (; t && t->watch.control != c; t = next) {
        next = t->next;
        if (!t->watch.control && !t->first)
            end_attacher(all, t); /* its control was closed */
    }
    if (t || !all || !(t = calloc(1, sizeof *t)))
        return t;
    t->all = all;
    t->app = app;
    nk_timer_init(&t->busy, app, on_busy, t);
    t->streams = (struct tor_subscription){.event = "STREAM", .fn = on_stream, .owner = t};
    t->watch = (struct tor_control_watch){.fn = on_state, .owner = t};
    t->next = all->first;
    if (t->next)
        t->next->prev = t;
    all->first = t;
    tor_control_watch(c, &t->watch);
    (void)tor_control_subscribe(c, &t->streams); /* refuses wrong names only */
    t->state = tor_control_state(c) == TOR_CONTROL_READY ? ASKING : DOWN;
    return t;
}

static int join(struct tor_attach *a, struct nk_diag *diag)
{
    struct attacher *t = attacher_of(a->conf.app, a->conf.control);
    if (!t)
        return nk_fail_sys(diag, -ENOMEM, "a circuit");
    a->t = t;
    a->prev = NULL;
    a->tell = (struct nk_defer){.fn = on_tell, .owner = a};
    a->next = t->first;
    if (a->next)
        a->next->prev = a;
    t->first = a;
    if (t->state == SWEEPING) {
        tor_request_cancel(&t->sweep);
        t->state = ASKING;
    }
    if (t->state == ON)
        nk_app_defer(t->app, &a->tell);
    else if (t->state == ASKING)
        step(t);
    return 0;
}

static void on_built(void *owner, int err, const struct tor_event *circuit,
                     const struct nk_diag *why)
{
    struct tor_attach *a = owner;
    struct nk_diag diag;
    a->build = NULL;
    if (err == 0) {
        (void)tor_value_copy(a->circuit, sizeof a->circuit, tor_event_get(circuit, "id"));
        a->built = a->ours;
        err = join(a, &diag);
        why = &diag;
    }
    if (err < 0) /* what tor refuses is a circuit that cannot be had */
        a->conf.failed(a->conf.owner, err == NK_EFORMAT ? -ECONNABORTED : err, why);
}

int tor_attach_start(struct tor_attach **out, const struct tor_attach_conf *conf,
                     struct nk_diag *diag)
{
    int rc = tor_attach_check(conf->circuit, diag);
    if (rc < 0)
        return rc;
    struct tor_attach *a = calloc(1, sizeof *a);
    if (!a)
        return nk_fail_sys(diag, -ENOMEM, "a circuit");
    a->conf = *conf;
    (void)snprintf(a->user, sizeof a->user, "%s", conf->user);
    if (is_id(conf->circuit)) {
        (void)snprintf(a->circuit, sizeof a->circuit, "%s", conf->circuit);
        rc = join(a, diag);
    } else {
        /* tor itself uses circuits of the purpose for nothing, and chooses no path for it */
        a->ours = strcmp(conf->circuit, "auto") != 0;
        const struct tor_build_conf build = {.control = conf->control,
                                             .path = conf->circuit,
                                             .purpose = a->ours ? "controller" : NULL,
                                             .fn = on_built,
                                             .owner = a};
        rc = tor_build_start(&a->build, &build, diag);
    }
    if (rc < 0) {
        free(a);
        return rc;
    }
    *out = a;
    return 0;
}

void tor_attach_end(struct tor_attach *a)
{
    if (!a)
        return;
    leave(a, false);
    if (!a->build || !begin_leaving(a))
        free(a);
}
