/* SPDX-License-Identifier: MIT */
/* supervise - `netkit run [SECTION..]`: every service that the configuration describes, in one
 * loop. */
#ifndef NK_SERVICE_SUPERVISE_H
#define NK_SERVICE_SUPERVISE_H

#include <stdint.h>
#include "base/cmd.h"

/*
 * service_supervise - start a service for each section of the configuration that some command can
 * serve
 * ("relay", "tunnel db"), or for those named by ctx->argv (a section's name alone means all of
 * its kind), and run them until TERM or INT, or until one fails. Holds STATE_DIR/run.lock. HUP
 * loads the configuration again. Returns 0, the error of the first service that failed, NK_ECONFIG
 * when there is nothing to start, NK_ELOCKED when another instance has the state directory, or
 * 128 + the number of a second signal.
 */
int service_supervise(struct nk_cmd_ctx *ctx, uint64_t drain_ms);

#endif
