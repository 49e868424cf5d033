/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hss_auth_clients_remove;
const struct nk_cmd nk_cmd_hss_auth_clients_remove = {
    .synopsis = "[-n SVC] --arti-state DIR [--yes] CLIENT",
    .summary = "Delete the key of a client of an onion service of arti",
    .opts = hs_auth_arti_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_remove,
};
