/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hs_auth_remove;
const struct nk_cmd nk_cmd_hs_auth_remove = {
    .synopsis = "--dir DIR [--allow-public] [--yes] CLIENT",
    .summary = "Delete the key of a client of an onion service of tor",
    .description =
        "Deletes the client's public key, enabled or not. On a terminal it asks first, otherwise "
        "it needs --yes.\n\nWhen no client is left the service stays closed to everybody, by the "
        "lock zz-netkit-lock.auth; with --allow-public it is opened to everybody instead.",
    .examples = "netkit hs auth remove --dir /var/lib/tor/web alice --yes",
    .opts = hs_auth_ctor_take_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_remove,
};
