/* SPDX-License-Identifier: MIT */
/* admin_ask - what `netkit relay status|groups|endpoints|purge|kick` share: asking the relay that
 * holds the state directory. */
#ifndef NK_RELAY_ADMIN_ASK_H
#define NK_RELAY_ADMIN_ASK_H

#include <stddef.h>

#include "base/buf.h"
#include "base/cmd.h"

/* relay_admin_ask - send n words to STATE_DIR/relay/control.sock and read the answer into out. As
 * nk_control_ask, with ctx->diag; the limit is --timeout, else 10 s. */
int relay_admin_ask(struct nk_cmd_ctx *ctx, const char *const *words, size_t n, struct nk_buf *out);

/* relay_admin_run - all of a simple verb's run(): ask, report an error, print the answer. */
int relay_admin_run(struct nk_cmd_ctx *ctx, const char *const *words, size_t n);

/* relay_admin_list - run() of `groups` and `endpoints`, whose options are relay_admin_list_opts. */
int relay_admin_list(struct nk_cmd_ctx *ctx, const char *what);

struct relay_admin_list_conf {
    int64_t max;
};

extern const struct nk_opt relay_admin_list_opts[];

#endif
