/* SPDX-License-Identifier: MIT */
/* [tor] as a service: the instance is there before it is needed, and its loss is told. */
#include <stdlib.h>

#include "core/app.h"
#include "core/service.h"
#include "tor/control.h"
#include "tor/section.h"

struct nk_service {
    struct nk_service_args args;
    struct tor_instance_wait *wait;
    struct tor_instance *instance;
    struct tor_control_watch watch;
    struct tor_bootstrap at;
    struct nk_defer drained;
    bool ended;
};

static void end(struct nk_service *s, int status, const struct nk_diag *why)
{
    if (!s->ended) {
        s->ended = true;
        s->args.on_end(s->args.owner, status, why);
    }
}

static void on_control(void *owner, enum tor_control_state state, int err,
                       const struct nk_diag *why)
{
    struct nk_service *s = owner;
    if (state == TOR_CONTROL_LOST) {
        nk_warn(nk_app_log(s->args.app), "tor", "lost: %s", why->text);
    } else if (state == TOR_CONTROL_CLOSED) {
        end(s, err, why);
    }
}

static void on_instance(void *owner, int err, struct tor_instance *instance,
                        const struct nk_diag *why)
{
    struct nk_service *s = owner;
    s->wait = NULL;
    if (err < 0) {
        end(s, err, why);
        return;
    }
    s->instance = instance;
    s->watch = (struct tor_control_watch){.fn = on_control, .owner = s};
    tor_control_watch(tor_instance_control(instance), &s->watch);
    nk_info(nk_app_log(s->args.app), "tor", "ready (%s), SOCKS at %s",
            tor_kind_names[tor_instance_kind(instance)], tor_instance_socks(instance));
    s->args.on_ready(s->args.owner);
}

static void on_progress(void *owner, const struct tor_bootstrap *at)
{
    struct nk_service *s = owner;
    s->at = *at;
    nk_info(nk_app_log(s->args.app), "tor", "bootstrap: %u %% %s", at->percent, at->summary);
}

static int start(const struct nk_service_args *args, struct nk_service **out, struct nk_diag *diag)
{
    struct tor_launch_conf launch;
    struct tor_instance_conf conf;
    struct nk_service *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail_sys(diag, -ENOMEM, "tor");
    }
    s->args = *args;
    tor_section_instance(args->ini, &conf, &launch);
    conf.needs = TOR_NEEDS_CONTROL | TOR_NEEDS_SOCKS | TOR_NEEDS_NETWORK;
    conf.progress = on_progress;
    int rc = tor_instance_get(args->app, &conf, on_instance, s, &s->wait, diag);
    if (rc < 0) {
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

static void on_drained(void *owner)
{
    end(owner, 0, NULL);
}

static void drain(struct nk_service *s)
{
    s->drained = (struct nk_defer){.fn = on_drained, .owner = s};
    nk_app_defer(s->args.app, &s->drained);
}

/* Every row takes a restart: others hold what the old ones led to. */
static int reload(struct nk_service *s, const void *conf, const struct nk_conf *ini,
                  struct nk_diag *diag)
{
    (void)diag;
    s->args.conf = conf;
    s->args.ini = ini;
    return 0;
}

static void status(const struct nk_service *s, struct nk_json *out)
{
    nk_json_kv_u64(out, "bootstrap", s->instance ? TOR_BOOTSTRAP_DONE : s->at.percent);
    if (s->instance) {
        const struct tor_control *control = tor_instance_control(s->instance);
        nk_json_kv_str(out, "instance", tor_kind_names[tor_instance_kind(s->instance)]);
        nk_json_kv_bool(out, "connected", tor_control_state(control) == TOR_CONTROL_READY);
        nk_json_kv_str(out, "version", tor_control_version(control));
        nk_json_kv_str(out, "control", tor_control_place(control));
        nk_json_kv_str(out, "socks", tor_instance_socks(s->instance));
    }
}

static void close_(struct nk_service *s)
{
    tor_instance_cancel(s->wait);
    if (s->instance) {
        tor_control_unwatch(&s->watch);
        tor_instance_release(s->instance);
    }
    nk_app_defer_cancel(s->args.app, &s->drained);
    free(s);
}

const struct nk_service_type tor_service = {
    .section = "tor",
    .start = start,
    .drain = drain,
    .reload = reload,
    .status = status,
    .close = close_,
};
