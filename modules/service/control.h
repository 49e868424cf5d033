/* SPDX-License-Identifier: MIT */
/*
 * control - STATE_DIR/control.sock of a running `netkit run`: status, health, reload, stop,
 * loglevel.
 *
 * A client connects, sends one line of words and reads until the end of the stream. The answer
 * begins with a line "ok" or "error STATUS TEXT" (STATUS: an exit status); what follows belongs to
 * the request:
 *
 *     status            a JSON object
 *     health            starting, ready or draining
 *     reload [json]     a line, or in a JSON object, for each change that was applied or needs a
 *                       restart; comes when the reload is over
 *     stop              nothing; the stream ends when the process does
 *     loglevel [M] L    nothing; L of module M, or of all
 *
 * Only root and the user that netkit runs as are answered.
 */
#ifndef NK_SERVICE_CONTROL_H
#define NK_SERVICE_CONTROL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/cmd.h"

struct nk_app;
struct nk_service_group;
struct service_control;

#define SERVICE_CONTROL_NAME "control.sock"
#define SERVICE_CONTROL_REQUEST 256          /* longest request line */
#define SERVICE_CONTROL_ANSWER (1024 * 1024) /* longest answer */

/* service_control_open - listen. The caller holds the state directory's lock, so a socket that is
 * there already is a left-over and is replaced. 0 or the error. */
int service_control_open(struct nk_app *app, struct nk_service_group *group,
                         struct service_control **out, struct nk_diag *diag);

/* service_control_close - close all connections and remove the socket. NULL is fine. */
void service_control_close(struct service_control *c);

/*
 * service_control_ask - the client's side: send request (without line end) and read the answer's
 * body into out, for at most timeout_ms (0: no limit). 0; a positive exit status when the answer
 * was an error, which ctx->diag then has in words; NK_ECLOSED when nobody listens, -ETIMEDOUT,
 * -errno.
 */
int service_control_ask(struct nk_cmd_ctx *ctx, const char *request, uint64_t timeout_ms,
                        struct nk_buf *out);

/* service_control_run - all of a simple verb's run(): ask, report an error, print the body. The
 * timeout is
 * --timeout, else timeout_ms. */
int service_control_run(struct nk_cmd_ctx *ctx, const char *request, uint64_t timeout_ms);

#endif
