/* SPDX-License-Identifier: MIT */
/* kex_work - steps of a key exchange in the work pool, for owners of a transport. */
#ifndef SSH_KEX_WORK_H
#define SSH_KEX_WORK_H

#include "ssh/kex.h"

struct nk_app;
struct nk_work;

/* The task is the callee's from then on: ssh_transport_computed takes it. */
typedef void ssh_kex_work_fn(void *owner, struct ssh_kex_task *take_task);

/* ssh_kex_work_start - fn is called once on the loop, not from inside, unless nk_work_cancel(*out)
 * came first, which frees the task; *out is gone when fn is called. 0; -ENOMEM or -EAGAIN: then
 * the task is still the caller's. */
int ssh_kex_work_start(struct nk_app *app, struct ssh_kex_task *task, ssh_kex_work_fn *fn,
                       void *owner, struct nk_work **out);

#endif
