/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hss_auth_clients_import;
const struct nk_cmd nk_cmd_hss_auth_clients_import = {
    .synopsis = "[-n SVC] --arti-state DIR [--nickname CLIENT] FILE|-|LINE",
    .summary = "Let a client find an onion service of arti",
    .opts = hs_auth_arti_import_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_import,
};
