/* SPDX-License-Identifier: MIT */
/*
 * holder - the global tor of a user: one process of netkit owns it, in STATE_DIR/tor/global, and
 * ends it when nobody has used it for a while.
 *
 * Whoever has a connection to its socket holder.sock uses it. The holder says, a line each: "open"
 * when tor's control socket can be used, also to who comes later; "error CODE TEXT TAB HINT" when
 * it cannot be started; "busy" when another holder is there already. It holds the lock of the
 * directory, so there is one at most. When tor ends although it is used, it is started again.
 */
#ifndef TOR_HOLDER_H
#define TOR_HOLDER_H

#include <stddef.h>

#include "base/err.h"
#include "base/file.h"
#include "tor/section.h"

struct nk_app;
struct nk_cmd_ctx;

#define TOR_HOLDER_SOCKET "holder.sock"
#define TOR_HOLDER_FD 3     /* where a new holder finds the connection of who started it */
#define TOR_HOLDER_LINE 640 /* longest line of the protocol */

/* tor_holder_dir - STATE_DIR/tor/global into out. 0 or NK_ETOOBIG. */
int tor_holder_dir(char *out, size_t max, const char *state_dir);

/* tor_holder_run - be the holder, until nobody uses it any more or a signal says so. first: a
 * connection that uses it already, or -1. 0 or the error, which those who waited were told. */
int tor_holder_run(struct nk_cmd_ctx *ctx, const struct tor_section_conf *conf, int first);

#endif
