/* SPDX-License-Identifier: MIT */
/* wrap - `netkit run -- CMD..`: one program of somebody else's, with the duties of an init around
 * it. */
#ifndef NK_SERVICE_WRAP_H
#define NK_SERVICE_WRAP_H

#include "base/cmd.h"

/*
 * service_wrap - start argv (argv[0] along PATH), pass signals on to its process group, reap
 * orphans (the launcher does), and return its exit status: 0..255, 128 + signal, 126 when it cannot
 * be executed, 127 when it is not there. It gets our environment, our stdin, stdout and stderr,
 * and, if we have it, the terminal. Negative when we fail ourselves.
 */
int service_wrap(struct nk_cmd_ctx *ctx, char *const *argv);

#endif
