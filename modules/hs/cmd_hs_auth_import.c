/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

extern const struct nk_cmd nk_cmd_hs_auth_import;
const struct nk_cmd nk_cmd_hs_auth_import = {
    .synopsis = "--dir DIR [--nickname CLIENT] FILE|-|LINE",
    .summary = "Let a client find an onion service of tor",
    .description =
        "Adds a client's public key. FILE is what the client sent: descriptor:x25519:.. (also in "
        "capitals, as QR codes have it), kp_hsc_desc_enc.x25519_public, any other form of a public "
        "key, a folder with such files, - for standard input, or the line itself. A private key is "
        "refused, and so are keys that would let everybody in, and names and keys that are there "
        "already.\n\nWith its first client a service is closed to everybody else. The file "
        "zz-netkit-lock.auth, a key whose secret half nobody has, is put beside it, so that the "
        "service stays closed when the last client is taken away.",
    .examples = "netkit hs auth import --dir /var/lib/tor/web --nickname alice alice.auth\n"
                "netkit hs auth import --dir /var/lib/tor/web alice.auth    # named as the file",
    .opts = hs_auth_ctor_import_rows,
    .conf_size = sizeof(struct hs_auth_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = hs_auth_cmd_import,
};
