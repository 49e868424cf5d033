/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hss_auth_clients_path;
const struct nk_cmd nk_cmd_hss_auth_clients_path = {
    .synopsis = "[-n SVC] --arti-state DIR [CLIENT]",
    .summary = "Print where arti has the keys of an onion service's clients",
    .opts = hs_auth_arti_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 0,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_path,
};
