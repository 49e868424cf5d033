/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_purge.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "core/app.h"

struct purging {
    struct relay_endpoint_session session;
    const char *const *groups;
    size_t n, answered;
    int status; /* the first refusal */
    struct nk_diag why;
};

static void refuse(struct purging *x, int status, const char *group)
{
    char name[128];
    if (x->status < 0) {
        return;
    }
    x->status = status;
    nk_escape(name, sizeof(name), group, strlen(group));
    if (status == NK_EAUTH) {
        (void)nk_fail(&x->why, status, "%s: may not purge the group '%s'",
                      x->session.target.connect, name);
        nk_hint(&x->why, "that takes the right 'admin' in an [acl] section of the relay");
    } else {
        (void)nk_fail_sys(&x->why, status, "%s: purging the group '%s'", x->session.target.connect,
                          name);
    }
}

static void end_when_answered(struct purging *x)
{
    if (x->answered == x->n) {
        relay_client_finish(x->session.client);
    }
}

static void on_alive(void *owner, bool again)
{
    struct purging *x = owner;
    struct relay_client_state state;
    (void)again;
    relay_client_state(x->session.client, &state);
    if (state.wire != RELAY_CLIENT_NATIVE) {
        struct nk_diag why = {0};
        (void)nk_fail(&why, NK_EUNSUPPORTED,
                      "%s: tlspyo's wire knows no purge, only a netkit relay's native one does",
                      x->session.target.connect);
        relay_endpoint_end(&x->session, why.code, &why);
        return;
    }
    for (size_t i = 0; i < x->n; i++) {
        int status = relay_client_purge(x->session.client, (uint32_t)i);
        if (status < 0) {
            refuse(x, status, x->groups[i]);
            x->answered++;
        }
    }
    end_when_answered(x);
}

static void on_purged(void *owner, uint32_t group, int status)
{
    struct purging *x = owner;
    x->answered++;
    if (status < 0) {
        refuse(x, status, x->groups[group]);
    }
    end_when_answered(x);
}

static void on_lost(void *owner, const struct nk_diag *why, uint64_t again_ms)
{
    struct purging *x = owner;
    relay_endpoint_lost(&x->session, why, again_ms);
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    struct purging *x = owner;
    bool refused = x->status < 0;
    relay_endpoint_end(&x->session, refused ? x->status : status, refused ? &x->why : why);
}

static void on_stop(void *owner, bool timed_out)
{
    struct purging *x = owner;
    struct nk_diag why = {0};
    if (timed_out) {
        (void)nk_fail(&why, -ETIMEDOUT, "%s: %zu of %zu groups were answered for in time",
                      x->session.target.connect, x->answered, x->n);
    }
    relay_endpoint_end(&x->session, timed_out ? why.code : NK_EXIT_SIGNAL + x->session.signum,
                       timed_out ? &why : NULL);
}

/* Handles are the positions of the groups, which are named but not joined. */
static int name_groups(struct purging *x)
{
    int status = 0;
    for (size_t i = 0; i < x->n && status == 0; i++) {
        status = relay_client_group(x->session.client, x->groups[i], false, NULL);
    }
    return status < 0 ? nk_fail_sys(&x->session.ctx->diag, status, "groups") : 0;
}

int relay_endpoint_purge(struct nk_cmd_ctx *ctx, const struct relay_endpoint_conf *conf,
                         const char *const *groups, size_t n)
{
    static const struct relay_client_ops ops = {
        .on_alive = on_alive, .on_purged = on_purged, .on_lost = on_lost, .on_end = on_end};
    struct purging x = {.groups = groups, .n = n};
    const struct relay_endpoint_plan plan = {
        .conf = conf, .ops = &ops, .on_stop = on_stop, .owner = &x};
    int status = relay_endpoint_start(&x.session, ctx, &plan);
    status = status < 0 ? status : name_groups(&x);
    status = status < 0 ? status : relay_endpoint_run(&x.session);
    relay_endpoint_stop(&x.session);
    if (status == 0) {
        printf("{\"groups\":%zu}\n", n);
    }
    return status;
}
