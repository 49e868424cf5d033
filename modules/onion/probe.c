/* SPDX-License-Identifier: MIT */
#include "onion/probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/app.h"
#include "core/registry.h"
#include "socks/socks.h"

enum {
    PATIENCE_MS =
        60 * 1000, /* of one probe: tor itself does not answer for a service that is gone */
    ENOUGH = 2     /* so many dead probes in a row */
};

static void look(void *owner);

static void drop(struct onion_probe *p)
{
    nk_timer_stop(&p->timer);
    nk_stream_close(p->stream);
    p->stream = NULL;
}

/* What a probe has shown. What is about tor's SOCKS port says nothing of the service. */
enum verdict { ALIVE, DEAD, UNKNOWN };

static enum verdict verdict_of(int reply)
{
    switch (reply) {
    case SOCKS_REPLY_OK:
    case SOCKS_REPLY_REFUSED: /* by the service's tor */
    case SOCKS_REPLY_HS_AUTH_MISSING:
    case SOCKS_REPLY_HS_AUTH_WRONG: /* its descriptor was found, and is for others */
        return ALIVE;
    case SOCKS_REPLY_FAILURE:     /* the target refuses; or anything (tor 0.4.9) */
    case SOCKS_REPLY_NOT_ALLOWED: /* by this tor's configuration */
    case SOCKS_REPLY_COMMAND:
    case SOCKS_REPLY_ADDRESS: /* it is no SOCKS port of tor's */
    case -ENOTCONN:
        return UNKNOWN;
    default:
        return DEAD;
    }
}

static void finish(struct onion_probe *p, enum verdict verdict, const char *why)
{
    drop(p);
    p->done++;
    p->failed += verdict != ALIVE;
    p->dead = verdict == ALIVE ? 0 : p->dead + (verdict == DEAD);
    if (verdict == UNKNOWN && !p->blind) {
        nk_warn(nk_app_log(p->app), "onion", "the probe says nothing about the service: %s", why);
    } else {
        nk_debug(nk_app_log(p->app), "onion", "probe: %s", why);
    }
    p->blind = verdict == UNKNOWN;
    if (p->dead < ENOUGH) {
        p->timer.fn = look;
        nk_timer_start(&p->timer, p->interval_ms);
    } else {
        p->on_dead(p->owner);
    }
}

static void on_patience(void *owner)
{
    struct onion_probe *p = owner;
    /* a tor that took the request, and is silent, does not find the service */
    finish(p, verdict_of(socks_client_reply(p->stream)), "no answer");
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    struct onion_probe *p = owner;
    struct nk_diag diag = {0};
    if (events & NK_CONNECTED) {
        finish(p, ALIVE, "reached");
    } else if (events & NK_CLOSED) {
        int reply = socks_client_reply(s);
        (void)nk_stream_error(s, &diag);
        /* closed before it answered: tor has ended, or what is there is no tor */
        finish(p, reply == -EAGAIN ? UNKNOWN : verdict_of(reply), diag.text);
    }
}

static void look(void *owner)
{
    struct onion_probe *p = owner;
    char text[256];
    struct nk_endpoint *ep = NULL;
    struct nk_diag diag;
    (void)snprintf(text, sizeof(text), "tor:%s:%u,isolate=probe-%" PRIu64 "%s%s", p->address,
                   p->port, p->done, p->socks ? ",socks=" : "", p->socks ? p->socks : "");
    int rc = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, &diag);
    rc = rc < 0 ? rc : nk_dial(p->app, ep, on_stream, p, &p->stream, &diag);
    nk_endpoint_free(ep);
    if (rc < 0) {
        finish(p, UNKNOWN, diag.text);
        return;
    }
    p->timer.fn = on_patience;
    nk_timer_start(&p->timer, PATIENCE_MS);
}

void onion_probe_init(struct onion_probe *p, struct nk_app *app, uint64_t interval_ms,
                      const char *socks, void (*on_dead)(void *), void *owner)
{
    *p = (struct onion_probe){
        .app = app, .interval_ms = interval_ms, .socks = socks, .on_dead = on_dead, .owner = owner};
    nk_timer_init(&p->timer, app, look, p);
}

void onion_probe_start(struct onion_probe *p, const char *address, uint16_t port)
{
    if (p->interval_ms == 0) {
        return;
    }
    drop(p);
    (void)snprintf(p->address, sizeof(p->address), "%s", address);
    p->port = port;
    p->dead = 0;
    p->timer.fn = look;
    nk_timer_start(&p->timer, p->interval_ms);
}

void onion_probe_stop(struct onion_probe *p)
{
    drop(p);
}
