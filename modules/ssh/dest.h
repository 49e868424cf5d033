/* SPDX-License-Identifier: MIT */
/*
 * dest - a host and how to log in there, as option rows: of `sftp`, `tunnel`, [tunnel NAME] and of
 * ssh: in endpoint strings. What ssh_config has a keyword for becomes an option of it.
 */
#ifndef SSH_DEST_H
#define SSH_DEST_H

#include "base/opt.h"
#include "ssh/config.h"

struct ssh_dest_conf {
    char *file, *jump, *password_file;
    struct nk_strlist identities, pins, options, answers;
    struct nk_strlist env; /* "NAME=VALUE" for the program of ProxyCommand */
    char *cwd;             /* its directory */
};

/* Rows for a configuration that has a struct ssh_dest_conf in `member`. */
/* clang-format off */
#define SSH_DEST_ROWS(owner, member)                                                               \
    {.name = "identity", .short_name = 'i', .type = NK_OPT_PATH, .arg = "FILE",                    \
     .offset = NK_FIELD(owner, member.identities),                                                 \
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD, .aliases = "keyfile",                                 \
     .help = "Log in with this private key"},                                                      \
    {.name = "jump", .short_name = 'J', .type = NK_OPT_STRING, .arg = "HOST,..",                   \
     .offset = NK_FIELD(owner, member.jump),                                                       \
     .flags = NK_OPT_RELOAD, .help = "Through these hosts, the first one first"},                  \
    {.name = "option", .short_name = 'o', .type = NK_OPT_STRING, .arg = "KEYWORD=VALUE",           \
     .offset = NK_FIELD(owner, member.options), .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,            \
     .help = "A setting of ssh_config that comes before all files"},                               \
    {.name = "ssh-config", .short_name = 'F', .type = NK_OPT_PATH, .arg = "FILE",                  \
     .offset = NK_FIELD(owner, member.file), .choices = ssh_dest_no_file,                          \
     .flags = NK_OPT_RELOAD,                                                                       \
     .help = "This ssh_config file instead of the user's and the system's; none: no file"},        \
    {.name = "fingerprint", .type = NK_OPT_STRING, .arg = "SHA256:..",                             \
     .offset = NK_FIELD(owner, member.pins),                                                       \
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD, .aliases = "pin",                                     \
     .help = "The host's key is the one with this fingerprint (or MD5:..), whatever known_hosts "  \
             "says"},                                                                              \
    {.name = "password-file", .type = NK_OPT_PATH, .arg = "FILE",                                  \
     .offset = NK_FIELD(owner, member.password_file),                                              \
     .flags = NK_OPT_RELOAD, .help = "The password is in this file"},                              \
    {.name = "answer", .type = NK_OPT_STRING, .arg = "PATTERN=FILE",                               \
     .offset = NK_FIELD(owner, member.answers), .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,            \
     .help = "Questions of the host that match are answered with the secret in the file"},         \
    {.name = "ssh-env", .type = NK_OPT_STRING, .arg = "NAME=VALUE",                                \
     .offset = NK_FIELD(owner, member.env), .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,                \
     .help = "A variable for the program of ProxyCommand"},                                        \
    {.name = "ssh-cwd", .type = NK_OPT_PATH, .arg = "DIR",                                         \
     .offset = NK_FIELD(owner, member.cwd),                                                        \
     .flags = NK_OPT_RELOAD, .help = "The directory that it runs in"}
/* clang-format on */

extern const char *const ssh_dest_no_file[]; /* words of ssh-config that are no file */

/* ssh_dest_load - the settings of a host; user NULL and port 0: they say. Errors of ssh_config_load
 * and -ENOMEM. */
int ssh_dest_load(const struct ssh_dest_conf *c, const char *host, const char *user, int port,
                  struct nk_log *log, struct ssh_config **out, struct nk_diag *diag);

/* ssh_dest_split - "[USER@]HOST" in two parts, without the brackets around an address, both within
 * text, which is changed; *user may be NULL. */
void ssh_dest_split(char *text, char **user, char **host);

#endif
