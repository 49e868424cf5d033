/* SPDX-License-Identifier: MIT */
/* key_cli - what the commands ssh-key gen, check and import share. */
#ifndef SSH_KEY_CLI_H
#define SSH_KEY_CLI_H

#include "base/cmd.h"
#include "base/json.h"
#include "ssh/key.h"

struct ssh_pass_conf {
    char *file;
    int64_t fd; /* -1: none */
};

/* The rows of a command whose configuration has struct ssh_pass_conf as `member`. */
#define SSH_PASS_ROWS(conf, member)                                                                \
    {.name = "passphrase-file",                                                                    \
     .type = NK_OPT_PATH,                                                                          \
     .offset = NK_FIELD(conf, member.file),                                                        \
     .arg = "FILE",                                                                                \
     .flags = NK_OPT_CLI_ONLY,                                                                     \
     .help = "The passphrase is the line in this file ('-': standard input)"},                     \
    {                                                                                              \
        .name = "passphrase-fd", .type = NK_OPT_INT, .offset = NK_FIELD(conf, member.fd),          \
        .arg = "N", .def = "-1", .min = -1, .max = 1 << 20, .flags = NK_OPT_CLI_ONLY,              \
        .help = "The passphrase is the first line that comes from this descriptor"                 \
    }

/* ssh_cli_passphrase - the one that the options name; out stays empty when they name none. */
int ssh_cli_passphrase(const struct ssh_pass_conf *c, struct nk_secret *out, struct nk_diag *diag);

/* What is said about a key. */
struct ssh_cli_key {
    const char *file, *form, *cipher, *comment; /* form and cipher may be NULL */
    const char *problem;                        /* with the file's owner and mode, or NULL */
    bool is_private;
};

/* ssh_cli_describe - as an object into j, or printed when j is NULL. k may be NULL: the public key
 * is not known without the passphrase. */
void ssh_cli_describe(const struct ssh_cli_key *about, const struct ssh_public *k,
                      struct nk_json *j);

#endif
