/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hss_auth_clients_list;
const struct nk_cmd nk_cmd_hss_auth_clients_list = {
    .synopsis = "[-n SVC] --arti-state DIR [--enabled yes|no] [--json]",
    .summary = "List the clients that arti lets find an onion service",
    .description =
        "For each file with a client's key: its state (enabled, disabled, broken, or lock for the "
        "key of nobody that keeps the service closed), the fingerprint of the key, the client's "
        "name and the file. A fingerprint is eight characters of a hash, the same for the same key "
        "in every form. What is odd about the files goes to the log, with --json into the answer.",
    .examples = "netkit hss -n web auth-clients list --arti-state /var/lib/arti",
    .opts = hs_auth_arti_list_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 0,
    .max_args = 0,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_list,
};
