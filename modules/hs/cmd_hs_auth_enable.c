/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hs_auth_enable;
const struct nk_cmd nk_cmd_hs_auth_enable = {
    .synopsis = "--dir DIR CLIENT",
    .summary = "Let a disabled client find an onion service of tor again",
    .opts = hs_auth_ctor_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_enable,
};
