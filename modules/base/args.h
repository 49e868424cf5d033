/* SPDX-License-Identifier: MIT */
/*
 * args - the words of a command line, read the GNU way (POSIX.1-2017 XBD 12.2 with long options):
 * --opt=v and --opt v, -o v and -ov, bundled flags, operands anywhere, "--" ends the options, "-"
 * is an operand. Names are never abbreviated, so that new options cannot break scripts.
 */
#ifndef NK_BASE_ARGS_H
#define NK_BASE_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/conf.h"
#include "base/err.h"
#include "base/opt.h"

/* What the words say. Texts point into argv. */
struct nk_args {
    struct nk_conf_flag *own; /* options that are rows of the command, in their order */
    size_t nown;
    struct nk_conf_flag *global; /* the others */
    size_t nglobal;
    char **operands; /* NULL-terminated */
    int noperands;
    int dashes;         /* how many of them stand before "--"; -1: there is no "--" */
    bool help, version; /* --help / --version among the global ones */
};

/*
 * nk_args_parse - read argc words. Rows of `own` win over rows of `global` with the same name;
 * either may be NULL. A row that is not REPEAT and not FLAG may be given once. Returns 0, NK_EUSAGE
 * (diag with a suggestion; `help` and `version` are valid all the same), -ENOMEM. Always clear out
 * afterwards.
 */
int nk_args_parse(struct nk_args *out, int argc, char **argv, const struct nk_opt *own,
                  const struct nk_opt *global, struct nk_diag *diag);
void nk_args_clear(struct nk_args *a);

/* nk_args_skip - how many words at argv[0] form an option of `rows` (1, or 2 with a separate
 * value); 0 when argv[0] is no such option. For finding the command among global options. */
int nk_args_skip(int argc, char **argv, const struct nk_opt *rows);

/* nk_args_has_flag - can the row be given on a command line? */
bool nk_args_has_flag(const struct nk_opt *row);

#endif
