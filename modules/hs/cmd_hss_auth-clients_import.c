/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hss_auth_clients_import;
const struct nk_cmd nk_cmd_hss_auth_clients_import = {
    .synopsis = "[-n SVC] --arti-state DIR [--nickname CLIENT] FILE|-|LINE",
    .summary = "Let a client find an onion service of arti",
    .description =
        "Adds a client's public key. FILE is what the client sent: descriptor:x25519:.. (also in "
        "capitals, as QR codes have it), kp_hsc_desc_enc.x25519_public, any other form of a public "
        "key, a folder with such files, - for standard input, or the line itself. A private key is "
        "refused, and so are keys that would let everybody in, and names and keys that are there "
        "already.\n\nThe key is written as CLIENT.auth, the form that arti reads in "
        "restricted_discovery.key_dirs.",
    .examples = "netkit hss -n web auth-clients import --arti-state /var/lib/arti --nickname "
                "client-foo kp_hsc_desc_enc.x25519_public",
    .opts = hs_auth_arti_import_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_import,
};
