/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hs_auth_disable;
const struct nk_cmd nk_cmd_hs_auth_disable = {
    .synopsis = "--dir DIR [--allow-public] CLIENT",
    .summary = "Shut a client out of an onion service of tor",
    .description =
        "Moves the client's file to the folder disabled_clients. The key is kept, and enable gives "
        "it back. A client that knows the service's current introduction points may reach it until "
        "they change.\n\nWhen no client is left the service stays closed to everybody, by the "
        "lock zz-netkit-lock.auth; with --allow-public it is opened to everybody instead.",
    .examples = "netkit hs auth disable --dir /var/lib/tor/web alice",
    .opts = hs_auth_ctor_take_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_disable,
};
