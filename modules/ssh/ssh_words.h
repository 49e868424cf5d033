/* SPDX-License-Identifier: MIT */
/* ssh_words - the words of OpenSSH's ssh(1). What has a keyword in ssh_config becomes an option of
 * the configuration, so that the command line comes first there. */
#ifndef SSH_SSH_WORDS_H
#define SSH_SSH_WORDS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/opt.h"

struct ssh_words {
    char *host, *user; /* of HOST, USER@HOST or ssh://[USER@]HOST[:PORT]; user may be NULL */
    int port;          /* of the address or -p; 0: none */
    const char *file;  /* -F */
    struct nk_strlist options;  /* "Keyword=value", in their order */
    const char *stdio_forward;  /* -W */
    const char *log_file;       /* -E */
    const char *query;          /* -Q */
    const char *password_file;  /* --password-file */
    const char *socks_login;    /* --socks-login: a file */
    struct nk_strlist pins;     /* --fingerprint */
    struct nk_strlist answers;  /* --answer: "PATTERN=FILE" */
    bool version, print_config; /* -V, -G */
    bool reconnect;             /* --reconnect */
    const char *hold;           /* --hold: a duration */
    bool match_exec;            /* --match-exec: ssh_config may run programs */
    char *const *command;       /* the words after HOST */
    int ncommand;
};

/* ssh_words_parse - argc words at argv, which are borrowed. 0; NK_EUSAGE: an option that does not
 * exist, or not here; -ENOMEM. ssh_words_clear - in each case, also afterwards. */
int ssh_words_parse(struct ssh_words *w, int argc, char *const *argv, struct nk_diag *diag);
void ssh_words_clear(struct ssh_words *w);

#endif
