/* SPDX-License-Identifier: MIT */
/*
 * control - STATE_DIR/control.sock of a running `netkit run` (core/control.h):
 *
 *     status            a JSON object
 *     health            starting, ready or draining
 *     reload [json]     a line, or in a JSON object, for each change that was applied or needs a
 *                       restart; comes when the reload is over
 *     stop              nothing; the stream ends when the process does
 *     loglevel [M] L    nothing; L of module M, or of all
 *
 * What belongs to one service is asked for at its own socket, STATE_DIR/SECTION/control.sock
 * (nk_service_type.verbs), which is there however the service was started.
 */
#ifndef NK_SERVICE_CONTROL_H
#define NK_SERVICE_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cmd.h"
#include "core/control.h"

struct nk_app;
struct nk_service_group;
struct service_control;

/* service_control_open - listen; see nk_control_open. */
int service_control_open(struct nk_app *app, struct nk_service_group *group,
                         struct service_control **out, struct nk_diag *diag);

/* service_control_close - close all connections and remove the socket. NULL is fine. */
void service_control_close(struct service_control *c);

/* service_control_ask - the client's side: send n words, and read the answer's body into out, for
 * at most timeout_ms (0: no limit). As nk_control_ask, with ctx->diag. */
int service_control_ask(struct nk_cmd_ctx *ctx, const char *const *words, size_t n,
                        uint64_t timeout_ms, struct nk_buf *out);

/* service_control_run - all of a simple verb's run(): ask, report an error, print the body. The
 * timeout is --timeout, else timeout_ms. */
int service_control_run(struct nk_cmd_ctx *ctx, const char *const *words, size_t n,
                        uint64_t timeout_ms);

#endif
