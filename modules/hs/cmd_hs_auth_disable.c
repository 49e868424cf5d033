/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hs_auth_disable;
const struct nk_cmd nk_cmd_hs_auth_disable = {
    .synopsis = "--dir DIR [--allow-public] CLIENT",
    .summary = "Shut a client out of an onion service of tor",
    .opts = hs_auth_ctor_take_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_disable,
};
