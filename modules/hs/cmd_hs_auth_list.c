/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hs_auth_list;
const struct nk_cmd nk_cmd_hs_auth_list = {
    .synopsis = "--dir DIR [--enabled yes|no] [--json]",
    .summary = "List the clients that tor lets find an onion service",
    .opts = hs_auth_ctor_list_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 0,
    .max_args = 0,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_list,
};
