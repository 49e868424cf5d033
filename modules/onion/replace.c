/* SPDX-License-Identifier: MIT */
#include "onion/replace.h"

#include <string.h>

#include "core/app.h"

#define ASKED "onions/detached"
#define ASK "GETINFO " ASKED

static void on_asked(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct onion_replace *r = owner;
    struct tor_word value;
    struct nk_diag diag;
    if (err == 0 && (err = tor_reply_error(reply, ASK, &diag)) < 0) {
        why = &diag;
    } else if (err == 0 &&
               !(tor_reply_find(reply, ASKED, &value) &&
                 memmem(value.value, value.value_len, r->plan->address, NK_ONION_LABEL))) {
        why = &diag;
        err =
            nk_fail(&diag, -ENOENT, "tor has no detached service %s (any more)", r->plan->address);
        nk_hint(&diag, "it goes when tor ends: 'netkit onion add .. --detach' adds it again; what "
                       "a program holds only that program can change");
    }
    r->fn(r->owner, err, err < 0 ? why : NULL);
}

int onion_replace_open(struct onion_replace *r, struct nk_app *app, struct tor_control *control,
                       struct onion_plan *plan, onion_replace_fn *fn, void *owner,
                       struct nk_diag *diag)
{
    *r = (struct onion_replace){
        .app = app, .control = control, .plan = plan, .fn = fn, .owner = owner};
    r->request = (struct tor_request){.fn = on_asked, .owner = r};
    return tor_control_send(control, &r->request, ASK, NULL, 0, diag);
}

static void tell_done(void *owner)
{
    struct onion_replace *r = owner;
    r->fn(r->owner, 0, NULL);
}

static void on_change(void *owner)
{
    struct onion_replace *r = owner;
    if (r->service && !r->told && onion_service_reached(r->service, r->wait)) {
        r->told = true;
        nk_app_defer(r->app, &r->done);
    }
}

static void on_end(void *owner, int err, const struct nk_diag *why)
{
    struct onion_replace *r = owner;
    if (!r->told) {
        r->told = true;
        r->fn(r->owner, err < 0 ? err : NK_ECLOSED, why);
    }
}

int onion_replace_begin(struct onion_replace *r, enum onion_upload_wait wait, onion_replace_fn *fn,
                        struct nk_diag *diag)
{
    const struct onion_service_conf conf = {.app = r->app,
                                            .control = r->control,
                                            .plan = r->plan,
                                            .replace = true,
                                            .on_change = on_change,
                                            .on_end = on_end,
                                            .owner = r};
    r->wait = wait;
    r->fn = fn;
    r->done = (struct nk_defer){.fn = tell_done, .owner = r};
    return onion_service_open(&r->service, &conf, diag);
}

void onion_replace_close(struct onion_replace *r)
{
    if (r->app) {
        tor_request_cancel(&r->request);
        nk_app_defer_cancel(r->app, &r->done);
        onion_service_close(r->service);
        r->service = NULL;
    }
}
