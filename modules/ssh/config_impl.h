/* SPDX-License-Identifier: MIT */
/* config_impl - inside of config: what its files share. */
#ifndef SSH_CONFIG_IMPL_H
#define SSH_CONFIG_IMPL_H

#include "ssh/config_keys.h"

#define SSH_CONFIG_TOKENS "%CdhijkLlnpru"

enum { SSH_NAME_SHOWN = 64 };

/* A reading of all the places. */
struct ssh_config_reading {
    struct ssh_config *c;
    const struct ssh_config_ask *ask;
    struct nk_diag *diag;
    const char *host; /* what Host compares with: as given, in the final pass Hostname */
    const char *file; /* being read; NULL: the command line */
    unsigned line, depth, files;
    bool active;  /* the block's condition holds */
    bool never;   /* below an Include in a block whose condition does not hold */
    bool user;    /* the user's own file: its relative paths, and */
    bool guarded; /* whether others could have written it */
    bool final, wants_final;
};

/* ssh_config_put_token - append what %token stands for. 0, -ENOMEM, NK_ETOOBIG, -errno; NK_ECONFIG:
 * there is no such token. */
int ssh_config_put_token(const struct ssh_config *c, char token, struct nk_buf *out);

/* ssh_config_expand_some - as ssh_config_expand, with these tokens only. ssh_config_expand_path -
 * with ~ and ${NAME}, too. */
int ssh_config_expand_some(const struct ssh_config *c, const char *text, const char *tokens,
                           struct nk_buf *out, struct nk_diag *diag);
int ssh_config_expand_path(const struct ssh_config *c, const char *text, struct nk_buf *out,
                           struct nk_diag *diag);

/* ssh_config_hosts - does a Host line with these words match? ssh_config_match - the same of Match:
 * 1, 0, or an error. */
bool ssh_config_hosts(const struct ssh_config_reading *r, char **words, size_t n);
int ssh_config_match(struct ssh_config_reading *r, char **words, size_t n);

/* ssh_config_offer - apply one list (NULL: none) to a proposal; as ssh_config_proposal. */
int ssh_config_offer(struct ssh_proposal *p, enum ssh_list which, const char *spec,
                     struct nk_log *log, struct nk_diag *diag);

/* ssh_config_wrong - NK_ECONFIG for the line being read. */
int ssh_config_wrong(const struct ssh_config_reading *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ssh_config_warn - a warning about it, to the log; once, though files may be read twice. */
void ssh_config_warn(const struct ssh_config_reading *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
