/* SPDX-License-Identifier: MIT */
#include "onion/host.h"

#include "core/app.h"

enum { AGAIN_MS = 30 * 1000 /* after a failure of one that is patient */ };

static void give_up(struct onion_host *h)
{
    onion_service_close(h->service);
    h->service = NULL;
    tor_instance_release(h->instance);
    h->instance = NULL;
}

static void on_failure(struct onion_host *h, int err, const struct nk_diag *why)
{
    if (!h->conf.patient || h->draining) {
        h->conf.on_end(h->conf.owner, err, why);
        return;
    }
    nk_log_diag(nk_app_log(h->conf.app), "onion", NK_LOG_ERROR, why);
    give_up(h);
    nk_timer_start(&h->again, AGAIN_MS);
}

static void on_change(void *owner)
{
    struct onion_host *h = owner;
    if (h->conf.on_change) {
        h->conf.on_change(h->conf.owner);
    }
}

static void on_service_end(void *owner, int err, const struct nk_diag *why)
{
    on_failure(owner, err, why);
}

static void on_instance(void *owner, int err, struct tor_instance *instance,
                        const struct nk_diag *why)
{
    struct onion_host *h = owner;
    struct nk_diag diag;
    h->wait = NULL;
    h->instance = instance;
    if (err == 0) {
        const char *socks = tor_instance_socks(instance);
        const struct onion_service_conf conf = {.app = h->conf.app,
                                                .control = tor_instance_control(instance),
                                                .plan = h->conf.plan,
                                                .probe_ms = h->conf.probe_ms,
                                                .socks = socks[0] != '\0' ? socks : NULL,
                                                .on_change = on_change,
                                                .on_end = on_service_end,
                                                .owner = h};
        why = &diag;
        err = onion_service_open(&h->service, &conf, &diag);
    }
    if (err < 0) {
        on_failure(h, err, why);
    }
}

static void on_progress(void *owner, const struct tor_bootstrap *at)
{
    struct onion_host *h = owner;
    if (h->conf.on_progress) {
        h->conf.on_progress(h->conf.owner, at);
    }
}

static int get(struct onion_host *h, struct nk_diag *diag)
{
    unsigned needs = TOR_NEEDS_CONTROL | TOR_NEEDS_NETWORK;
    const struct tor_instance_conf which = {
        .kind = (enum tor_kind)h->conf.tor->kind,
        .needs = needs | (h->conf.probe_ms ? TOR_NEEDS_SOCKS : 0),
        .access = h->conf.tor->access,
        .progress = on_progress,
    };
    return tor_instance_get(h->conf.app, &which, on_instance, h, &h->wait, diag);
}

static void on_again(void *owner)
{
    struct onion_host *h = owner;
    struct nk_diag diag;
    int rc = get(h, &diag);
    if (rc < 0) {
        on_failure(h, rc, &diag);
    }
}

/* Drained before there was a tor. */
static void tell_end(void *owner)
{
    struct onion_host *h = owner;
    h->conf.on_end(h->conf.owner, 0, NULL);
}

int onion_host_open(struct onion_host *h, const struct onion_host_conf *conf, struct nk_diag *diag)
{
    *h = (struct onion_host){.conf = *conf};
    h->end = (struct nk_defer){.fn = tell_end, .owner = h};
    nk_timer_init(&h->again, conf->app, on_again, h);
    return get(h, diag);
}

void onion_host_drain(struct onion_host *h)
{
    h->draining = true;
    if (h->service) {
        onion_service_drain(h->service);
    } else {
        nk_timer_stop(&h->again);
        tor_instance_cancel(h->wait);
        h->wait = NULL;
        nk_app_defer(h->conf.app, &h->end);
    }
}

void onion_host_close(struct onion_host *h)
{
    if (!h->conf.app) {
        return;
    }
    nk_timer_stop(&h->again);
    nk_app_defer_cancel(h->conf.app, &h->end);
    tor_instance_cancel(h->wait);
    h->wait = NULL;
    give_up(h);
}
