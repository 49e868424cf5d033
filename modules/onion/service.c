/* SPDX-License-Identifier: MIT */
#include "onion/service_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLLISIONS = 8,          /* of our own service of the connection before, which tor ends soon */
    COLLISION_PAUSE_MS = 500 /* between two tries then */
};

static const char *const state_names[] = {
#define ONION_STATE_NAME(constant, name) name,
    ONION_STATES(ONION_STATE_NAME)
#undef ONION_STATE_NAME
};

void onion_service_set(struct onion_service *s, enum onion_state state)
{
    if (s->state != state) {
        s->state = state;
        nk_info(nk_app_log(s->conf.app), "onion", "the service %.8s.. is %s", s->conf.plan->address,
                state_names[state]);
    }
    if (s->conf.on_change) {
        s->conf.on_change(s->conf.owner);
    }
}

/* --- its end ---------------------------------------------------------------------------------- */

/* Nothing of it comes any more. */
static void stop(struct onion_service *s)
{
    tor_request_cancel(&s->request);
    nk_timer_stop(&s->retry);
    onion_probe_stop(&s->probe);
}

void onion_service_end(struct onion_service *s, int err, const struct nk_diag *why)
{
    if (s->end.pending) {
        return;
    }
    stop(s);
    s->error = err;
    s->why = why ? *why : (struct nk_diag){.code = err};
    s->state = ONION_ENDED;
    nk_app_defer(s->conf.app, &s->end);
}

static void tell_end(void *owner)
{
    struct onion_service *s = owner;
    s->conf.on_end(s->conf.owner, s->error, &s->why);
}

/* --- commands --------------------------------------------------------------------------------- */

void onion_service_send(struct onion_service *s, tor_reply_fn *fn, const char *line)
{
    struct nk_diag diag = {0};
    s->request.fn = fn;
    s->request.owner = s;
    int rc = tor_control_send(s->conf.control, &s->request, line, NULL, 0, &diag);
    if (rc < 0 && rc != NK_ECLOSED) { /* then on_control tells what follows */
        onion_service_end(s, rc, &diag);
    }
}

void onion_service_later(struct onion_service *s, void (*next)(struct onion_service *),
                         uint64_t delay_ms)
{
    s->next = next;
    nk_timer_start(&s->retry, delay_ms);
}

static void on_retry(void *owner)
{
    struct onion_service *s = owner;
    s->next(s);
}

/* --- adding ----------------------------------------------------------------------------------- */

static void add(struct onion_service *s);

void onion_service_added(struct onion_service *s)
{
    s->ever = true;
    s->tries = 0;
    s->added++;
    onion_service_set(s, ONION_UPLOADING);
    if (s->again) {
        onion_service_again(s);
    }
}

/* The service is there, but its key could not be kept: it must not live with a key that is lost. */
static void on_undone(void *owner, int err, const struct tor_reply *reply,
                      const struct nk_diag *why)
{
    struct onion_service *s = owner;
    const struct nk_diag first = s->why;
    (void)err;
    (void)reply;
    (void)why;
    onion_service_end(s, first.code, &first);
}

static void undo(struct onion_service *s, const struct nk_diag *why)
{
    char line[16 + NK_ONION_SIZE];
    s->why = *why;
    (void)snprintf(line, sizeof(line), "DEL_ONION %.*s", NK_ONION_LABEL, s->conf.plan->address);
    onion_service_send(s, on_undone, line);
}

/* tor still ends the service of the connection before; or it is one that somebody else has. */
static void refused(struct onion_service *s, const struct tor_reply *reply)
{
    const struct tor_line *last = &reply->lines[reply->n - 1];
    struct nk_diag diag;
    int rc = onion_spec_explain(reply->code, last->text, last->len, &diag);
    if (rc == -EEXIST && s->ever && s->conf.plan->spec.detach) {
        onion_service_added(s);
    } else if (rc == -EEXIST && s->ever && s->tries++ < COLLISIONS) {
        onion_service_later(s, add, COLLISION_PAUSE_MS);
    } else {
        onion_service_end(s, rc, &diag);
    }
}

static void on_added(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct onion_service *s = owner;
    struct tor_word id;
    struct nk_diag diag;
    (void)why;
    if (err < 0) {
        return; /* on_control tells what follows */
    }
    if (reply->code != TOR_OK) {
        refused(s, reply);
        return;
    }
    int rc = tor_reply_find(reply, "ServiceID", &id)
                 ? onion_plan_has_address(s->conf.plan, id.value, id.value_len, &diag)
                 : nk_fail(&diag, NK_EPROTO, "tor does not tell the address of the service");
    if (rc < 0) {
        onion_service_end(s, rc, &diag);
    } else if (onion_plan_keep(s->conf.plan, &diag) < 0) {
        undo(s, &diag);
    } else {
        onion_service_added(s);
    }
}

static void add(struct onion_service *s)
{
    struct nk_buf line;
    struct nk_diag diag;
    s->again = false;
    onion_service_set(s, ONION_ADDING);
    if (s->conf.plan->hsdir) {
        onion_dir_add(s);
        return;
    }
    onion_upload_init(&s->upload);
    if (s->conf.plan->discard && s->ever) {
        (void)nk_fail(&diag, NK_ECLOSED,
                      "the service ended with its connection to tor, and its key "
                      "was discarded: this address cannot be had again");
        onion_service_end(s, NK_ECLOSED, &diag);
        return;
    }
    nk_buf_init_secret(&line, ONION_SPEC_LINE);
    int rc = onion_spec_add(&line, &s->conf.plan->spec, &diag);
    const char *text = rc < 0 ? NULL : nk_buf_str(&line);
    if (text) {
        onion_service_send(s, on_added, text);
    } else {
        rc = rc < 0 ? rc : nk_fail(&diag, -ENOMEM, "out of memory");
        onion_service_end(s, rc, &diag);
    }
    nk_buf_clear(&line);
}

/* --- taking away ------------------------------------------------------------------------------ */

void onion_service_gone(struct onion_service *s)
{
    if (s->state == ONION_ENDING) {
        onion_service_end(s, 0, NULL);
    } else {
        add(s);
    }
}

static void on_deleted(void *owner, int err, const struct tor_reply *reply,
                       const struct nk_diag *why)
{
    struct onion_service *s = owner;
    (void)why;
    (void)reply; /* 552: it was not there any more */
    if (err == 0 || s->state == ONION_ENDING) {
        onion_service_gone(s);
    }
}

static void take_away(struct onion_service *s)
{
    char line[16 + NK_ONION_SIZE];
    tor_request_cancel(&s->request);
    if (s->conf.plan->hsdir) {
        onion_dir_remove(s);
        return;
    }
    (void)snprintf(line, sizeof(line), "DEL_ONION %.*s", NK_ONION_LABEL, s->conf.plan->address);
    onion_service_send(s, on_deleted, line);
}

static void begin(struct onion_service *s)
{
    if (s->conf.replace) {
        onion_service_set(s, ONION_ADDING);
        take_away(s);
    } else {
        add(s);
    }
}

void onion_service_again(struct onion_service *s)
{
    if (s->ready && (s->state == ONION_UPLOADING || s->state == ONION_PUBLISHED)) {
        stop(s);
        onion_service_set(s, ONION_ADDING);
        take_away(s);
    } else if (s->state == ONION_ADDING) {
        s->again = true; /* tor may have been told the old clients: it must not keep to them */
    }
}

void onion_service_drain(struct onion_service *s)
{
    if (s->state >= ONION_ENDING) {
        return;
    }
    bool known = s->conf.plan->hsdir || s->conf.plan->address[0] != '\0';
    bool there = known && s->ready && s->state != ONION_OFFLINE;
    stop(s);
    if (there && !s->conf.plan->spec.detach) {
        onion_service_set(s, ONION_ENDING);
        take_away(s);
    } else {
        onion_service_end(s, 0, NULL);
    }
}

/* --- what comes from tor ---------------------------------------------------------------------- */

/* Who may not find it cannot say that it is dead. */
static void begin_probe(struct onion_service *s)
{
    const struct onion_plan *p = s->conf.plan;
    if (!p->spec.restricted) {
        s->unprobed = false;
        onion_probe_start(&s->probe, p->address, p->spec.ports[0].port);
    } else if (s->conf.probe_ms > 0 && !s->unprobed) {
        s->unprobed = true;
        nk_warn(nk_app_log(s->conf.app), "onion",
                "the service is restricted to clients now, and the probe is none of them: it is "
                "not probed while that is so");
    }
}

void onion_service_published(struct onion_service *s)
{
    begin_probe(s);
    onion_service_set(s, ONION_PUBLISHED);
}

static void on_descriptor(void *owner, const struct tor_reply *event)
{
    struct onion_service *s = owner;
    const struct tor_line *line = &event->lines[0];
    if ((s->state != ONION_UPLOADING && s->state != ONION_PUBLISHED) ||
        s->conf.plan->address[0] == '\0' ||
        !onion_upload_event(&s->upload, s->conf.plan->address, line->text, line->len)) {
        return;
    }
    if (s->state == ONION_UPLOADING && onion_upload_reached(&s->upload, ONION_WAIT_FIRST)) {
        onion_service_published(s);
    } else {
        onion_service_set(s, s->state);
    }
}

static void on_dead(void *owner)
{
    struct onion_service *s = owner;
    nk_warn(nk_app_log(s->conf.app), "onion",
            "the service cannot be reached through tor: it is published again");
    onion_service_again(s);
}

static void on_control(void *owner, enum tor_control_state state, int err,
                       const struct nk_diag *why)
{
    struct onion_service *s = owner;
    if (state == TOR_CONTROL_READY && s->state == ONION_OFFLINE) {
        s->ready = true;
        s->complained = false;
        s->tries = 0;
        begin(s); /* our subscription gets there first: no event of it is missed */
    } else if (state == TOR_CONTROL_CLOSED && s->state == ONION_ENDING) {
        onion_service_end(s, 0, NULL);
    } else if (state == TOR_CONTROL_CLOSED) {
        onion_service_end(s, err, why);
    } else if (state == TOR_CONTROL_LOST && s->state != ONION_ENDED) {
        if (s->ready || !s->complained) {
            nk_warn(nk_app_log(s->conf.app), "onion", "tor cannot be reached: %s", why->text);
        }
        s->complained = true; /* once, however often it is tried */
        s->ready = false;
        stop(s);
        if (s->state == ONION_ENDING) {
            onion_service_end(s, 0, NULL);
        } else {
            onion_service_set(s, ONION_OFFLINE);
        }
    }
}

/* --- its life --------------------------------------------------------------------------------- */

int onion_service_open(struct onion_service **out, const struct onion_service_conf *conf,
                       struct nk_diag *diag)
{
    struct onion_service *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    s->conf = *conf;
    s->end = (struct nk_defer){.fn = tell_end, .owner = s};
    nk_timer_init(&s->retry, conf->app, on_retry, s);
    onion_probe_init(&s->probe, conf->app, conf->probe_ms, conf->socks, on_dead, s);
    s->watch = (struct tor_control_watch){.fn = on_control, .owner = s};
    s->descriptors = (struct tor_subscription){.event = "HS_DESC", .fn = on_descriptor, .owner = s};
    s->signals =
        (struct tor_subscription){.event = "SIGNAL", .fn = onion_dir_on_signal, .owner = s};
    tor_control_subscribe(conf->control, &s->descriptors);
    if (conf->plan->hsdir) {
        tor_control_subscribe(conf->control, &s->signals);
    }
    tor_control_watch(conf->control, &s->watch);
    *out = s;
    return 0;
}

/* The connection may live on without us: what is on it goes, and nobody waits for the reply. */
static void leave(struct onion_service *s)
{
    const struct onion_plan *p = s->conf.plan;
    bool there = s->ready && s->state > ONION_OFFLINE && s->state < ONION_ENDED;
    char line[16 + NK_ONION_SIZE];
    struct nk_diag diag;
    if (there && !p->hsdir && !p->spec.detach && p->address[0] != '\0') {
        (void)snprintf(line, sizeof(line), "DEL_ONION %.*s", NK_ONION_LABEL, p->address);
        if (tor_control_send(s->conf.control, &s->request, line, NULL, 0, &diag) == 0) {
            tor_request_cancel(&s->request);
        }
    }
}

void onion_service_close(struct onion_service *s)
{
    if (!s) {
        return;
    }
    stop(s);
    leave(s);
    nk_app_defer_cancel(s->conf.app, &s->end);
    tor_control_unsubscribe(&s->descriptors);
    tor_control_unsubscribe(&s->signals);
    tor_control_unwatch(&s->watch);
    free(s);
}

enum onion_state onion_service_state(const struct onion_service *s)
{
    return s->state;
}

const char *onion_service_state_name(const struct onion_service *s)
{
    return state_names[s->state];
}

const struct onion_upload *onion_service_upload(const struct onion_service *s)
{
    return &s->upload;
}

bool onion_service_reached(const struct onion_service *s, enum onion_upload_wait what)
{
    bool there = s->state == ONION_UPLOADING || s->state == ONION_PUBLISHED;
    bool blind = s->conf.plan->address[0] == '\0'; /* nothing can be waited for */
    return there && (blind || onion_upload_reached(&s->upload, what));
}

void onion_service_json(const struct onion_service *s, struct nk_json *j)
{
    const struct onion_plan *p = s->conf.plan;
    onion_plan_json(p, j);
    nk_json_kv_str(j, "state", state_names[s->state]);
    nk_json_key(j, "descriptors");
    nk_json_object(j);
    nk_json_kv_u64(j, "started", s->upload.started);
    nk_json_kv_u64(j, "uploaded", s->upload.uploaded);
    nk_json_kv_u64(j, "failed", s->upload.failed);
    nk_json_close(j);
    nk_json_kv_u64(j, "added", s->added);
}
