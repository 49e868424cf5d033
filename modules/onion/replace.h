/* SPDX-License-Identifier: MIT */
/*
 * replace - a detached service that tor has gets other clients: tor can change nothing about it, so
 * it is taken away and added again with the same key (DEL_ONION, ADD_ONION).
 *
 *     open --tor has it--> on_there --begin--> DEL, ADD --uploaded as far as wanted--> on_done
 */
#ifndef NK_ONION_REPLACE_H
#define NK_ONION_REPLACE_H

#include "core/app.h"
#include "onion/service.h"

/* Once for each step: 0, or why not. */
typedef void onion_replace_fn(void *owner, int err, const struct nk_diag *why);

/* Zero it. */
struct onion_replace {
    struct onion_service *service; /* NULL until it begins */
    struct nk_app *app;            /* private from here on */
    struct tor_control *control;
    struct onion_plan *plan;
    enum onion_upload_wait wait;
    onion_replace_fn *fn;
    void *owner;
    struct tor_request request;
    struct nk_defer done;
    bool told; /* that it has begun, or that it cannot */
};

/* onion_replace_open - ask tor whether it has the service of plan (which has its key, and
 * spec.detach) as a detached one; control is ready. fn follows: -ENOENT when it has not. 0 or the
 * error of sending. */
int onion_replace_open(struct onion_replace *r, struct nk_app *app, struct tor_control *control,
                       struct onion_plan *plan, onion_replace_fn *fn, void *owner,
                       struct nk_diag *diag);

/* onion_replace_begin - what plan says now takes its place; fn when tor has it, and it is uploaded
 * as far as `wait` says. 0 or -ENOMEM. */
int onion_replace_begin(struct onion_replace *r, enum onion_upload_wait wait, onion_replace_fn *fn,
                        struct nk_diag *diag);

/* onion_replace_close - no fn any more; tor keeps what it has. Safe on zero, and twice. */
void onion_replace_close(struct onion_replace *r);

#endif
