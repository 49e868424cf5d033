/* SPDX-License-Identifier: MIT */
/*
 * A tor that runs already, and our own connection to one that a holder keeps.
 *
 *     control port --READY--> net/listeners/socks --> (GLOBAL: bootstrap phase) --> there
 *         | not there, or not for us
 *         +--> only SOCKS is needed: the places where it usually is are tried
 *         +--> AUTO, and nothing answers: GLOBAL
 */
#include <stdio.h>
#include <string.h>

#include "core/registry.h"
#include "tor/instance_impl.h"

/* Where packages put it, and Tor Browser's. */
static const char *const socks_places[] = {"unix:/run/tor/socks", "tcp:127.0.0.1:9050",
                                           "tcp:127.0.0.1:9150"};
enum { SOCKS_PLACES = sizeof(socks_places) / sizeof(*socks_places) };

static void drop_control(struct tor_instance *i)
{
    tor_request_cancel(&i->ask);
    tor_control_unsubscribe(&i->phases);
    tor_control_unwatch(&i->watch);
    tor_control_close(i->own);
    i->own = NULL;
    i->asking = false;
}

void tor_system_clear(struct tor_instance *i)
{
    drop_control(i);
    nk_stream_close(i->probe);
    i->probe = NULL;
}

/* --- SOCKS without a control port ------------------------------------------------------------- */

static void probe_next(struct tor_instance *i);

/* Nothing runs here that we could use. */
static void nothing(struct tor_instance *i)
{
    struct nk_diag why;
    if (i->kind == TOR_AUTO && nk_app_launcher(i->app)) {
        i->kind = TOR_GLOBAL;
        i->have = 0;
        int rc = tor_global_begin(i, &why);
        if (rc < 0) {
            tor_instance_fail(i, rc, &why);
        }
        return;
    }
    nk_fail(&why, -ECONNREFUSED, "no tor runs here: neither a control port nor SOCKS answers");
    nk_hint(&why, "start tor, use --tor global, or say where it is ('netkit tor doctor' helps)");
    tor_instance_fail(i, -ECONNREFUSED, &why);
}

static void on_probe(void *owner, struct nk_stream *s, unsigned events)
{
    struct tor_instance *i = owner;
    nk_stream_close(s);
    i->probe = NULL;
    if (events & NK_CLOSED) {
        probe_next(i);
        return;
    }
    i->kind = TOR_SYSTEM;
    (void)snprintf(i->socks, sizeof(i->socks), "%s", socks_places[i->probing - 1]);
    tor_instance_has(i, TOR_NEEDS_SOCKS);
}

static int probe_one(struct tor_instance *i, const char *place)
{
    struct nk_endpoint *ep;
    struct nk_diag diag;
    int rc = nk_endpoint_parse(place, NK_EP_CONNECT, &ep, &diag);
    if (rc == 0) {
        rc = nk_dial(i->app, ep, on_probe, i, &i->probe, &diag);
        nk_endpoint_free(ep);
    }
    return rc;
}

static void probe_next(struct tor_instance *i)
{
    while (i->probing < SOCKS_PLACES) {
        if (probe_one(i, socks_places[i->probing++]) == 0) {
            return;
        }
    }
    nothing(i);
}

/* --- with one --------------------------------------------------------------------------------- */

static void ask_next(struct tor_instance *i);

static void take_phase(struct tor_instance *i, const char *text, size_t len)
{
    struct tor_bootstrap at;
    if (i->failed || tor_bootstrap_parse(&at, text, len) < 0) {
        return;
    }
    tor_instance_progress(i, &at);
    if (at.percent == TOR_BOOTSTRAP_DONE) {
        tor_instance_has(i, TOR_NEEDS_NETWORK);
    }
}

static void on_phase(void *owner, const struct tor_reply *event)
{
    take_phase(owner, event->lines[0].text, event->lines[0].len);
}

static void on_answer(void *owner, int err, const struct tor_reply *reply,
                      const struct nk_diag *why)
{
    struct tor_instance *i = owner;
    struct tor_word value;
    (void)why;
    i->asking = false;
    if (err < 0) {
        return; /* the watch tells */
    }
    if (tor_reply_find(reply, "status/bootstrap-phase", &value)) {
        take_phase(i, value.value, value.value_len);
        return;
    }
    struct nk_diag diag;
    int rc = NK_EPROTO;
    if (tor_reply_find(reply, "net/listeners/socks", &value)) {
        rc = tor_address_listener(i->socks, sizeof(i->socks), value.value, value.value_len);
    }
    if (rc < 0) {
        nk_fail(&diag, rc, "tor does not say where it offers SOCKS (%d)", reply->code);
        tor_instance_fail(i, rc, &diag);
        return;
    }
    tor_instance_has(i, TOR_NEEDS_SOCKS);
    ask_next(i);
}

static void ask_next(struct tor_instance *i)
{
    const unsigned wants = tor_instance_wants(i);
    const char *line = wants & TOR_NEEDS_SOCKS     ? "GETINFO net/listeners/socks"
                       : wants & TOR_NEEDS_NETWORK ? "GETINFO status/bootstrap-phase"
                                                   : NULL;
    struct nk_diag diag;
    if (i->failed || i->asking || !line || tor_control_state(i->own) != TOR_CONTROL_READY) {
        return;
    }
    if (!(wants & TOR_NEEDS_SOCKS) && !i->phases.control) {
        i->phases = (struct tor_subscription){.event = "STATUS_CLIENT", .fn = on_phase, .owner = i};
        (void)tor_control_subscribe(i->own, &i->phases); /* that can be an event's name */
    }
    i->ask = (struct tor_request){.fn = on_answer, .owner = i};
    int rc = tor_control_send(i->own, &i->ask, line, NULL, 0, &diag);
    i->asking = rc == 0;
    if (rc < 0) {
        tor_instance_fail(i, rc, &diag);
    }
}

/* No control port for us: SOCKS alone may still do. */
static void refused(struct tor_instance *i, int err, const struct nk_diag *why)
{
    const bool absent = err == -ECONNREFUSED || err == -ENOENT || err == NK_ECLOSED;
    const bool any = !i->access.control;
    const struct nk_diag copy = *why;
    drop_control(i);
    if (i->kind == TOR_GLOBAL || !any) {
        tor_instance_fail(i, err, &copy);
    } else if (!(tor_instance_wants(i) & TOR_NEEDS_CONTROL)) {
        i->probing = 0;
        probe_next(i);
    } else if (i->kind == TOR_AUTO && absent) {
        nothing(i);
    } else {
        tor_instance_fail(i, err, &copy);
    }
}

static void on_control(void *owner, enum tor_control_state state, int err,
                       const struct nk_diag *why)
{
    struct tor_instance *i = owner;
    if (state == TOR_CONTROL_READY) {
        i->kind = i->kind == TOR_AUTO ? TOR_SYSTEM : i->kind;
        tor_instance_has(i, TOR_NEEDS_CONTROL);
        ask_next(i);
    } else if (state == TOR_CONTROL_LOST) {
        /* whoever asks from now on waits for the next one, whose ports may be others */
        i->have = i->given ? TOR_NEEDS_SOCKS : 0;
        i->asking = false;
    } else if (state == TOR_CONTROL_CLOSED && i->refs > 0) {
        tor_instance_fail(i, err, why); /* holders watch it themselves, and still point to it */
    } else if (state == TOR_CONTROL_CLOSED) {
        refused(i, err, why);
    }
}

int tor_system_begin(struct tor_instance *i, struct nk_diag *diag)
{
    if (i->probe) {
        return 0;
    }
    if (i->own) {
        ask_next(i);
        return 0;
    }
    const struct tor_control_conf conf = {.app = i->app, .access = &i->access, .reconnect = true};
    int rc = tor_control_open(&i->own, &conf, diag);
    if (rc == 0) {
        i->watch = (struct tor_control_watch){.fn = on_control, .owner = i};
        tor_control_watch(i->own, &i->watch);
    }
    return rc;
}
