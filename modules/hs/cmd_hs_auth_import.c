/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hs_auth_import;
const struct nk_cmd nk_cmd_hs_auth_import = {
    .synopsis = "--dir DIR [--nickname CLIENT] FILE|-|LINE",
    .summary = "Let a client find an onion service of tor",
    .opts = hs_auth_ctor_import_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_import,
};
