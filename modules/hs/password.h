/* SPDX-License-Identifier: MIT */
/*
 * password - the password of a backup: from a file, a descriptor, or the terminal without echo.
 */
#ifndef NK_HS_PASSWORD_H
#define NK_HS_PASSWORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"
#include "base/secret.h"

#define HS_PASSWORD_MIN 8u /* characters of one that is newly chosen */
#define HS_PASSWORD_MAX 1024u

struct hs_password_conf {
    char *file;
    int64_t fd; /* -1: none */
};

/* The rows of a command whose configuration has struct hs_password_conf as `member`. */
#define HS_PASSWORD_ROWS(conf, member)                                                             \
    {.name = "password-file",                                                                      \
     .type = NK_OPT_PATH,                                                                          \
     .offset = NK_FIELD(conf, member.file),                                                        \
     .arg = "FILE",                                                                                \
     .help = "The password is the line in this file ('-': standard input); without it and "        \
             "--password-fd the terminal asks"},                                                   \
    {                                                                                              \
        .name = "password-fd", .type = NK_OPT_INT, .offset = NK_FIELD(conf, member.fd),            \
        .arg = "N", .def = "-1", .min = -1, .max = 1 << 20, .flags = NK_OPT_CLI_ONLY,              \
        .help = "The password is the first line that comes from this descriptor"                   \
    }

/*
 * hs_password_get - the password into guarded memory. A new one must have HS_PASSWORD_MIN
 * characters, and the terminal asks for it twice. NK_EUSAGE without a source (no terminal, or
 * no_input), for an empty or short one, and after three tries; -ECANCELED when the terminal gives
 * an end of file; other errors as nk_file_read_secret.
 * For the terminal see nk_ask_secret.
 */
int hs_password_get(const struct hs_password_conf *c, bool is_new, bool no_input,
                    struct nk_secret *out, struct nk_diag *diag);

#endif
