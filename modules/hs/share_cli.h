/* SPDX-License-Identifier: MIT */
/* share_cli - what `netkit hs share` and `netkit hs accept` share. */
#ifndef NK_HS_SHARE_CLI_H
#define NK_HS_SHARE_CLI_H

#include "base/cmd.h"

/* hs_share_print - a line on stdout and, with qr, the code that has it: in capitals when that makes
 * a smaller code and means the same to `hs auth import`. */
int hs_share_print(struct nk_cmd_ctx *ctx, const char *line, bool qr, bool capitals);

#endif
